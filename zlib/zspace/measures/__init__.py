"""Numbers with their nulls: one module per measure, and what they resample and refuse by."""
