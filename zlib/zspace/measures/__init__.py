"""Numbers with their nulls: `resampling`, `alignment`, `residual`."""
