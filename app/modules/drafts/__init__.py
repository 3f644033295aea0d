"""Slice drafts."""
