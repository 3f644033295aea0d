"""Object store port."""
