"""Slice feed."""
