"""Numbers with their nulls: `resampling`, `alignment`, `surface`, `residual`, `accumulation`."""
