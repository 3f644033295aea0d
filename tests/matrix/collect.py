"""Collects what the slices' tests expect of the API."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.matrix.words import Expected, Type

_MODULES = Path(__file__).parents[1] / "modules"


def expectations(name: str) -> dict[str, Any]:
    """Return the entries of one table (``TYPES``, ``ROOTS`` …) of every slice.

    Raises:
        ValueError: two slices have the same entry.
    """
    found: dict[str, Any] = {}
    for path in sorted(_MODULES.glob("*/expectations.py")):
        table: Mapping[str, Any] = getattr(import_module(f"tests.modules.{path.parent.name}.expectations"), name, {})
        if twice := found.keys() & table.keys():
            raise ValueError(f"{path}: {name} has entries of another slice: {sorted(twice)}")
        found |= table
    return found


def expected() -> Expected:
    """Return every expectation of the API."""
    types: dict[str, Type] = expectations("TYPES")
    roots = {"node": "node", "nodes": "node", **expectations("ROOTS")}
    return Expected(types, roots, expectations("IDS"))
