"""Reads the reference files of ``app/data``; nothing else knows where they lie."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from typing import Any, Literal, cast

Mark = Literal["verified", "seen", "unverified"]
"""How far a fact is backed: read in the law's text, read in a named public place, or neither."""

MARKS: tuple[Mark, ...] = ("verified", "seen", "unverified")


def read_rows(path: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file of ``app/data``.

    Args:
        path: path below ``app/data``, with ``/``.
    """
    text = files("app").joinpath("data", path).read_text(encoding="utf-8")
    yield from csv.DictReader(io.StringIO(text))


def read_geojson(path: str) -> dict[str, Any]:
    """Return a gzipped GeoJSON file of ``app/data``."""
    return cast("dict[str, Any]", json.loads(gzip.decompress(files("app").joinpath("data", path).read_bytes())))


def day_or_none(text: str) -> date | None:
    """Return an ISO date, or None for an empty cell (unknown)."""
    return date.fromisoformat(text) if text else None


def mark_of(text: str) -> Mark:
    """Return the mark that a cell of a column ``source``, ``verification`` or ``mark`` stands for.

    A cell that says both "seen" and "unverified" is unverified: the weaker word holds.
    """
    lowered = text.lower()
    if "unverified" in lowered:
        return "unverified"
    if lowered.startswith("verified"):
        return "verified"
    return "seen" if "seen" in lowered else "unverified"
