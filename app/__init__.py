"""The product: runtime, kit and slices (see README.md in this folder)."""
