"""Reads the reference files of ``app/data``; nothing else knows where they lie."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from importlib.resources import files
from typing import Any, cast


class Mark(StrEnum):
    """How far a fact is backed; the weakest last. UNVERIFIED ones stay configurable (decision 44)."""

    VERIFIED = "VERIFIED"
    """Read in the text of the law or standard."""
    SEEN = "SEEN"
    """Read in a named public place."""
    UNVERIFIED = "UNVERIFIED"
    """No text behind it; never printed as a fact without its mark."""


def read_rows(path: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file of ``app/data``.

    Args:
        path: path below ``app/data``, with ``/``.

    Raises:
        ValueError: a row has more or fewer cells than the head.
    """
    text = files("app").joinpath("data", path).read_text(encoding="utf-8")
    reader = csv.reader(io.StringIO(text), strict=True)
    head = next(reader)
    for cells in reader:
        if len(cells) != len(head):
            raise ValueError(f"{path}, line {reader.line_num}: {len(cells)} cells, the head has {len(head)}")
        yield dict(zip(head, cells, strict=True))


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
        return Mark.UNVERIFIED
    if lowered.startswith("verified"):
        return Mark.VERIFIED
    return Mark.SEEN if "seen" in lowered else Mark.UNVERIFIED
