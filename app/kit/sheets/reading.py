"""A stranger's workbook to rows of a ledger: headings found, each cell parsed, every fault with row and column.

What is wrong with the file as a whole is one :class:`Fault`; what is wrong with a row stands at the row.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.kit.errors import Fault
from app.kit.sheets.cells import Words, empty, letters, parse, shown
from app.kit.sheets.ledger import Column, Ledger

MAX_BYTES = 20 * 2**20
"""Longest workbook."""
MAX_ROWS = 50_000
"""Most rows below the headings; a longer ledger comes in several files."""
MAX_COLUMNS = 100
MAX_MERGED = 100_000
"""Most cells in merged ranges."""
LIMITS = {
    "rows": MAX_ROWS + 1,
    "head": 1,
    "columns": MAX_COLUMNS,
    "cells": 5_000_000,
    "entries": 500,
    "unpacked": 400 * 2**20,
    "memory": 1536 * 2**20,
    "seconds": 90,
}
"""What the reading process may spend; see ``child``."""
MAX_OUTPUT = 400 * 2**20
PATIENCE_S = 180.0
DATA_SHEETS = ("数据", "Data")
EXTRA = ("错误", "Errors", "原行号", "Row in the file")
"""Columns of the file of failed rows, which may come back as it is."""
_NAMED = 5
"""Other rows with the same key that a message names."""
_CHILD = Path(__file__).with_name("child.py")


@dataclass
class Row:
    """A row of a sheet.

    Args:
        number: as Excel counts, from 1.
        raw: column's name to the text as it stands there.
        values: column's name to its parsed value; what failed or is empty is missing or None.
        faults: what is wrong; a fault's field begins with the column's name.
    """

    number: int
    raw: dict[str, str]
    values: dict[str, Any]
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class Sheet:
    """A sheet that was read.

    Args:
        rows: those that hold something.
        positions: column's name to its place in this file, from 0: columns may stand in any order.
    """

    rows: list[Row]
    positions: Mapping[str, int]

    def cell(self, name: str, number: int) -> str:
        """Return the reference of a cell, ``C5``; the row alone for a column that the file does not have."""
        return f"{letters(self.positions[name])}{number}" if name in self.positions else str(number)


async def read(ledger: Ledger, content: AsyncIterator[bytes], words: Mapping[str, Words]) -> Sheet:
    """Read a workbook.

    Args:
        ledger: whose columns it must have.
        content: of the file.
        words: column's name to its list, for columns with one.

    Raises:
        Fault: ``SHEET_…``: the file cannot be used at all.
    """
    with tempfile.TemporaryDirectory(prefix="anlan-sheet-") as folder:
        path = Path(folder) / "sheet.xlsx"
        size = 0
        with path.open("wb") as file:
            async for chunk in content:
                size += len(chunk)
                if size > MAX_BYTES:
                    raise Fault("SHEET_TOO_LARGE", (), limit=MAX_BYTES // 2**20)
                file.write(chunk)
        lines = await _lines(path)
    about, end = json.loads(lines[0]), json.loads(lines[-1])
    if isinstance(end, dict) and "refused" in end:  # also when it came upon it half-way
        raise Fault(end["refused"], (), **end["params"])
    # JSON of fifty thousand rows takes a second: not on the loop that gives other jobs their signs of life.
    return await asyncio.to_thread(_sheet, ledger, about, lines[1:], words)


async def _lines(path: Path) -> list[bytes]:
    """Run the child and return what it prints.

    Raises:
        Fault: ``SHEET_BOMB``: it needed more memory, time or words than a real workbook does.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        str(_CHILD),
        str(path),
        json.dumps(LIMITS),
        json.dumps(DATA_SHEETS),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    if process.stdout is None:
        raise TypeError("a pipe was asked for")
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(PATIENCE_S):
            while chunk := await process.stdout.read(1 << 20):
                parts.append(chunk)
                size += len(chunk)
                if size > MAX_OUTPUT:
                    raise Fault("SHEET_BOMB")
            code = await process.wait()
    except TimeoutError:
        raise Fault("SHEET_BOMB") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = b"".join(parts).splitlines()
    if code != 0 or not lines:
        raise Fault("SHEET_BOMB")
    return lines


def _sheet(ledger: Ledger, about: Mapping[str, Any], lines: Sequence[bytes], words: Mapping[str, Words]) -> Sheet:
    cells = [json.loads(line) for line in lines]
    positions = _headings(ledger, cells[0] if cells else [])
    marks = _marks(about)
    columns = [(column, positions[column.name]) for column in ledger.incoming if column.name in positions]
    rows: list[Row] = []
    for index, raw in enumerate(cells[1:], start=1):
        marked = marks.get(index, {})
        if all(empty(value) for value in raw) and not marked:
            continue
        rows.append(_row(index + 1, raw, columns, words, marked))
    if not rows:
        raise Fault("SHEET_EMPTY", (), sheet=about["sheet"])
    return Sheet(rows, positions)


def _row(
    number: int,
    raw: Sequence[Any],
    columns: Sequence[tuple[Column, int]],
    words: Mapping[str, Words],
    marked: Mapping[int, str],
) -> Row:
    row = Row(number, {}, {})
    for column, position in columns:
        value = raw[position] if position < len(raw) else ""
        if not empty(value):
            row.raw[column.name] = shown(value)
        if position in marked:
            row.faults.append(Fault(marked[position], (column.name,)))
            continue
        try:
            row.values[column.name] = parse(column, value, words.get(column.name))
        except Fault as fault:
            row.faults.append(fault)
    for column, _ in columns:
        if column.required and row.values.get(column.name) is None and column.name in row.values:
            row.faults.append(Fault("REQUIRED", (column.name,)))
    return row


def _headings(ledger: Ledger, head: Sequence[Any]) -> dict[str, int]:
    """Find the columns by their headings, in any order and in either language.

    Raises:
        Fault: ``SHEET_COLUMNS_MISSING``, ``SHEET_COLUMN_TWICE``, ``SHEET_COLUMN_UNKNOWN``.
    """
    known = {_heading(title): column for column in ledger.incoming for title in (column.zh, column.en)}
    extra = {_heading(title) for title in EXTRA}
    found: dict[str, int] = {}
    for position, value in enumerate(head):
        text = _heading(shown(value))
        if not text or text in extra:
            continue
        column = known.get(text)
        where = letters(position)
        if column is None:
            raise Fault("SHEET_COLUMN_UNKNOWN", (), column=where, title=shown(value)[:40], ledger=ledger.zh)
        if column.name in found:
            raise Fault("SHEET_COLUMN_TWICE", (), column=where, title=shown(value)[:40])
        found[column.name] = position
    missing = [column.zh for column in ledger.incoming if column.required and column.name not in found]
    if missing:
        raise Fault("SHEET_COLUMNS_MISSING", (), missing="、".join(missing), ledger=ledger.zh)
    return found


def _heading(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in plain if not char.isspace() and char not in "*:")


def _marks(about: Mapping[str, Any]) -> dict[int, dict[int, str]]:
    """Return row to column to the code of what may not be there.

    Raises:
        Fault: ``SHEET_HEADINGS_MERGED``, ``SHEET_MERGED``.
    """
    marks: dict[int, dict[int, str]] = defaultdict(dict)
    for row, column in about["formulas"]:
        marks[row][column] = "CELL_FORMULA"
    for row, column in about["faulty"]:
        marks[row][column] = "CELL_ERROR_VALUE"
    count = 0
    for top, left, bottom, right in about["merged"]:
        if top == 0:
            raise Fault("SHEET_HEADINGS_MERGED", (), column=letters(left))
        # A range may name the whole plane: below the last row and beyond the last column nothing stands anyway.
        rows, columns = range(top, min(bottom + 1, about["rows"])), range(left, min(right, MAX_COLUMNS) + 1)
        count += len(rows) * len(columns)
        if count > MAX_MERGED:
            raise Fault("SHEET_MERGED", (), limit=MAX_MERGED)
        for row in rows:
            marks[row] |= dict.fromkeys(columns, "CELL_MERGED")
    return marks


def twins(rows: Sequence[tuple[Row, Any]], key: str) -> None:
    """Add ``ROW_TWICE`` to every row whose key stands in the file more than once: which is right, we cannot know.

    Args:
        rows: each row with the value of its key, None when it has none.
        key: name of the column.
    """
    same: dict[str, list[Row]] = defaultdict(list)
    for row, value in rows:
        if value is not None:
            same[str(value).casefold()].append(row)
    for group in same.values():
        for row in group if len(group) > 1 else ():
            others = [str(other.number) for other in group if other is not row]
            named = ", ".join(others[:_NAMED]) + (" …" if len(others) > _NAMED else "")
            row.faults.append(Fault("ROW_TWICE", (key,), rows=named))
