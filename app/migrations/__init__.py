"""The one migration history of all slices."""
