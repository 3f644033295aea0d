"""Benches that need more than a few lines."""
