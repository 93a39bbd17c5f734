"""Series: generation steps of one layer as time series."""
