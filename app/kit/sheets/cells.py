"""Cells to values: what people type, in all the ways in which they type it, or a fault that says what to do.

Values are JSON: text, whole numbers, booleans, lists; days as ``YYYY-MM-DD`` and decimals as exact text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from app.kit.errors import Fault
from app.kit.sheets.ledger import Cell, Code, Column

EXACT = 2**53
"""Whole numbers from here on have lost digits: Excel keeps 15."""
_LAYOUT = "\n\t"
_DIGITS = 15
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[ T]0{1,2}:00(?::00(?:\.0+)?)?)?\Z")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})\Z")
_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?\Z")
_GROUPS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?\Z")
_SEPARATORS = re.compile(r"[、,，;；\n]+")
_YES = frozenset({"是", "有", "y", "yes", "true", "1", "√", "✓"})
_NO = frozenset({"否", "无", "n", "no", "false", "0", "×", "✗"})


def letters(index: int) -> str:
    """Return the letters of a column, from 0: A, B … Z, AA."""
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(65 + rest) + text
    return text


def shown(value: Any) -> str:
    """Return a raw cell as a person sees it, for the file of failed rows and for messages."""
    if isinstance(value, Mapping):
        return str(value["v"])
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return str(value)


def half(text: str) -> str:
    """Return text with full-width letters and digits made half-width, and without outer blanks."""
    return unicodedata.normalize("NFKC", text).strip()


def empty(value: Any) -> bool:
    """Say whether a raw cell holds nothing."""
    return isinstance(value, str) and not value.strip()


class Words:
    """A list of words, found by code or title in any of its languages."""

    def __init__(self, codes: Sequence[Code]) -> None:
        self._known: dict[str, str] = {}
        self._codes = {_folded(word.code): word.code for word in codes}
        for word in codes:
            for name in (word.code, word.zh, word.en, f"{word.code} {word.zh}", f"{word.code} {word.en}"):
                if name.strip():
                    self._known.setdefault(_folded(name), word.code)

    def find(self, text: str) -> str | None:
        """Return the code; None when there is no such word. A code before a blank decides, whatever its title was."""
        folded = _folded(text)
        return self._known.get(folded) or self._codes.get(folded.partition(" ")[0])


def _folded(text: str) -> str:
    return re.sub(r"\s+", " ", half(text)).casefold()


def parse(column: Column, raw: Any, words: Words | None = None) -> Any:
    """Return the value of a cell; None when it is empty.

    Args:
        column: where it stands.
        raw: as ``child`` printed it: text, number, boolean, or ``{"t", "v"}`` for days and times.
        words: of a CHOICE.

    Raises:
        Fault: ``CELL_…``; its field is the column's name.
    """
    if empty(raw):
        return None
    match column.cell:
        case Cell.INTEGER:
            return _integer(column, raw)
        case Cell.DECIMAL:
            return format(_decimal(column, raw), "f")
        case Cell.DATE:
            return _day(column, raw).isoformat()
        case Cell.BOOLEAN:
            return _boolean(column, raw)
        case Cell.CHOICE:
            return _choice(column, _text(column, raw), words)
        case Cell.CHOICES:
            parts = [part for part in _SEPARATORS.split(_text(column, raw)) if part.strip()]
            return list(dict.fromkeys(_choice(column, part, words) for part in parts))
        case Cell.CODE:
            return re.sub(r"\s+", "", half(_text(column, raw)))
    return _text(column, raw)


def _fault(column: Column, code: str, raw: Any, **params: object) -> Fault:
    return Fault(code, (column.name,), value=shown(raw)[:60], **params)


def _text(column: Column, raw: Any) -> str:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        # A long code typed into a cell that is no text has lost its last digits, silently.
        if isinstance(raw, float) or abs(raw) >= 10**_DIGITS:
            raise _fault(column, "CELL_DIGITS_LOST" if abs(raw) >= 10**_DIGITS else "CELL_NOT_TEXT", raw)
        return str(raw)
    if isinstance(raw, Mapping):
        if raw["t"] == "date":
            return str(raw["v"])
        raise _fault(column, "CELL_NOT_TEXT", raw)
    if isinstance(raw, bool):
        return "是" if raw else "否"
    text = unicodedata.normalize("NFC", str(raw)).replace("_x000D_", "").replace("\r\n", "\n").strip()
    for position, char in enumerate(text, 1):
        if unicodedata.category(char) in ("Cc", "Cs") and char not in _LAYOUT:
            raise Fault("CELL_CONTROL", (column.name,), position=position, code=f"U+{ord(char):04X}")
    if len(text) > column.limit:
        raise Fault("TOO_LONG", (column.name,), limit=column.limit, length=len(text))
    return text


def _number(column: Column, raw: Any) -> Decimal:
    if isinstance(raw, bool | Mapping):
        raise _fault(column, "CELL_NOT_NUMBER", raw)
    if isinstance(raw, int):
        return Decimal(raw)
    if isinstance(raw, float):
        return Decimal(format(raw, ".15g"))  # as Excel shows it, not as binary holds it
    text = half(str(raw)).replace(" ", "")
    text = text.replace(",", "") if _GROUPS.match(text) else text
    if not _NUMBER.match(text):
        raise _fault(column, "CELL_NOT_NUMBER", raw)
    try:
        return Decimal(text)
    except InvalidOperation:
        raise _fault(column, "CELL_NOT_NUMBER", raw) from None


def _integer(column: Column, raw: Any) -> int:
    value = _number(column, raw)
    if value != value.to_integral_value():
        raise _fault(column, "CELL_NOT_WHOLE", raw)
    if abs(value) >= EXACT:
        raise _fault(column, "CELL_NOT_NUMBER", raw)
    return int(value)


def _decimal(column: Column, raw: Any) -> Decimal:
    return _number(column, raw)


def _day(column: Column, raw: Any) -> date:
    if isinstance(raw, Mapping):
        if raw["t"] == "date":
            return date.fromisoformat(raw["v"])
        if raw["t"] == "datetime" and str(raw["v"]).endswith("T00:00:00"):
            return date.fromisoformat(str(raw["v"])[:10])
        raise _fault(column, "CELL_NOT_DATE", raw)
    if isinstance(raw, bool | float):
        raise _fault(column, "CELL_NOT_DATE", raw)
    text = half(str(raw)).replace(" 年", "年").replace(" 月", "月").replace(" 日", "日")
    # 45296 would be a day to Excel, but a cell without a date's format may as well hold a quantity: we do not guess.
    found = _DAY.match(text) or _COMPACT.match(text)
    if found is None:
        raise _fault(column, "CELL_NOT_DATE", raw)
    try:
        return date(*(int(part) for part in found.groups()))
    except ValueError:
        raise _fault(column, "CELL_NO_SUCH_DAY", raw) from None


def _boolean(column: Column, raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    text = half(shown(raw)).casefold()
    if text in _YES or text in _NO:
        return text in _YES
    raise _fault(column, "CELL_NOT_YES_NO", raw)


def _choice(column: Column, text: str, words: Words | None) -> str:
    found = words.find(text) if words else None
    if found is None:
        raise _fault(column, "CELL_NOT_IN_LIST", text, title=column.zh)
    return found
