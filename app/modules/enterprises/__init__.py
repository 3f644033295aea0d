"""Enterprises: registration, claim, the file with its reviewed changes, sites and people."""
