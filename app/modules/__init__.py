"""The slices: one folder per business capability, each with the same file names."""
