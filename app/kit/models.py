"""Gathers the kit's mapped classes for the metadata."""

from importlib import import_module
from importlib.util import find_spec

for _name in ("jobs_models", "objects_models", "idempotency", "sheets.models"):
    if find_spec(f"app.kit.{_name}") is not None:
        import_module(f"app.kit.{_name}")
