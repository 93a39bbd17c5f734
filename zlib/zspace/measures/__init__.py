"""Numbers with their nulls: `resampling`, `alignment`, `depth`, `margins`, `residual`, `accumulation`."""
