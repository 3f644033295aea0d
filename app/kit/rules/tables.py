"""Reads rows of rule tables into the rules of this package; the same check guards publishing.

A row is its code, its columns as text (``attrs``) and what every row has: legal basis, first day, mark.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from app.kit.rules.completeness import FieldWeight
from app.kit.rules.datafiles import Mark
from app.kit.rules.deadlines import Counting, DeadlineRule, Direction, Span, Unit
from app.kit.rules.size_class import SizeBound
from app.kit.rules.supervision import FlagRule

E = TypeVar("E", bound=StrEnum)


class RowError(ValueError):
    """A cell that the rule cannot be read from.

    Args:
        column: name of the column.
        found: what stands there.
    """

    def __init__(self, column: str, found: object) -> None:
        super().__init__(f"{column}: {found!r}")
        self.column = column
        self.found = str(found)


@dataclass(frozen=True)
class TableRow:
    """One row of a code or rule table."""

    code: str
    name_zh: str
    name_en: str = ""
    parent_code: str | None = None
    attrs: Mapping[str, object] = field(default_factory=dict)
    legal_basis: str = ""
    valid_from: date | None = None
    source: str = ""
    mark: Mark = Mark.UNVERIFIED

    def text(self, column: str) -> str:
        """Return a column's text; empty when the row has none."""
        return str(self.attrs.get(column) or "").strip()


def deadline_rule(row: TableRow) -> DeadlineRule:
    """Read a row of ``statutory_deadline``.

    Raises:
        RowError: a cell is missing or not of its kind.
    """
    span = _span(row, "")
    extension = _span(row, "extension_") if row.text("extension_amount") else None
    if (span.unit is Unit.HOUR) is not (span.counting is Counting.CLOCK):
        raise RowError("day_kind", row.text("day_kind"))
    if span.counting is Counting.WORKING and span.unit is not Unit.DAY:
        raise RowError("unit", row.text("unit"))
    return DeadlineRule(
        code=row.code,
        span=span,
        direction=_word(row, "direction", Direction),
        legal_basis=row.legal_basis,
        mark=row.mark,
        counting_mark=_word(row, "day_kind_mark", Mark, str.upper),
        valid_from=row.valid_from,
        pausable=row.text("pausable") == "1",
        extension=extension,
        extension_basis=row.text("extension_basis"),
    )


def size_bound(row: TableRow) -> SizeBound:
    """Read a row of ``enterprise_size_class``.

    Raises:
        RowError: a bound is no number, or a lower class has a higher bound.
    """
    large, medium, small = (_number(row, column) for column in ("large_min", "medium_min", "small_min"))
    if not large >= medium >= small:
        raise RowError("medium_min", medium)
    return SizeBound(row.name_zh, _some(row, "indicator"), row.text("unit"), (large, medium, small))


def flag_rule(row: TableRow) -> FlagRule:
    """Read a row of ``supervision_flag``.

    Raises:
        RowError: it names no category, or its number of employees is no number.
    """
    above = row.text("employees_above")
    if above and not above.isdecimal():
        raise RowError("employees_above", above)
    categories = frozenset(_some(row, "categories").split(";"))
    return FlagRule(row.code, categories, int(above) if above else None, row.legal_basis, row.mark, row.valid_from)


def field_weight(row: TableRow) -> FieldWeight:
    """Read a row of ``completeness_weight``.

    Raises:
        RowError: the weight is no positive number.
    """
    weight = _number(row, "weight")
    if weight <= 0:
        raise RowError("weight", weight)
    return FieldWeight(row.code, weight, frozenset(filter(None, row.text("categories").split(";"))))


def industry_mapping(row: TableRow) -> tuple[str, str]:
    """Read a row of ``size_industry_map``: prefix or section of GB/T 4754, and the industry of the size classes.

    Raises:
        RowError: the industry is missing.
    """
    if not row.name_zh:
        raise RowError("name_zh", "")
    return row.code, row.name_zh


READERS: Mapping[str, Callable[[TableRow], object]] = {
    "statutory_deadline": deadline_rule,
    "enterprise_size_class": size_bound,
    "supervision_flag": flag_rule,
    "completeness_weight": field_weight,
    "size_industry_map": industry_mapping,
}
"""Tables that rules are read from; a version whose rows do not read is refused."""


def _span(row: TableRow, prefix: str) -> Span:
    amount = row.text(f"{prefix}amount")
    if not amount.isdecimal() or int(amount) < 1:
        raise RowError(f"{prefix}amount", amount)
    return Span(int(amount), _word(row, f"{prefix}unit", Unit), _word(row, f"{prefix}day_kind", Counting))


def _word(row: TableRow, column: str, words: type[E], spell: Callable[[str], str] = str) -> E:
    text = row.text(column)
    try:
        return words(spell(text))
    except ValueError:
        raise RowError(column, text) from None


def _number(row: TableRow, column: str) -> Decimal:
    text = row.text(column)
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise RowError(column, text) from None
    if not number.is_finite():
        raise RowError(column, text)
    return number


def _some(row: TableRow, column: str) -> str:
    text = row.text(column)
    if not text:
        raise RowError(column, text)
    return text
