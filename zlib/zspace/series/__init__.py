"""Series: generation steps of a layer (`volatility`, `regimes`); layers taken as time (`cointegration`)."""
