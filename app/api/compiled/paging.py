"""Keyset paging: orders, cursors, and the conditions that they become.

A cursor is the hexadecimal form of a small JSON array: tag of the order, sort value, tie. It is
unsigned: the policy makes a forged one harmless (decision 28).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.api.compiled.binding import ColumnBinding, Source
from app.api.compiled.scalars import CASTS, READERS, literal, name
from app.api.compiled.values import Getter, InputFaultError, Val, storable
from app.kit.gql.marks import DEFAULT_PAGE, MAX_PAGE

MAX_DEEP = 10_000
"""Most rows that numbered pages reach: offset + first."""
_BAD_CURSOR = "this cursor is none of this list in this order; start again without it"


@dataclass(frozen=True)
class Order:
    """One column, then the tie that makes the order total; nulls last upwards, first downwards."""

    tag: str
    column: ColumnBinding
    tie: ColumnBinding
    descending: bool

    @property
    def single(self) -> bool:
        """Whether the column is its own tie."""
        return self.column.column == self.tie.column

    def sql(self, alias: str, *, reverse: bool) -> str:
        """Return the ORDER BY list."""
        way = " DESC" if self.descending != reverse else ""
        parts = [self.column] if self.single else [self.column, self.tie]
        return ",".join(f"{alias}.{name(part.column or '')}{way}" for part in parts)

    def cursor(self, column: Callable[[str], str]) -> str:
        """Return the SQL of a row's cursor as JSON text; ``column`` names a column of the row."""
        value = f"coalesce(to_json({column(self.column.column or '')})::text,'null')"
        tie = f"to_json({column(self.tie.column or '')})::text"
        text = f"concat({literal('[' + json.dumps(self.tag) + ',')},{value},',',{tie},']')"
        return f"'\"'||encode(convert_to({text},'UTF8'),'hex')||'\"'"

    def beyond(self, alias: str, value: str | None, tie: str, *, reverse: bool) -> str:
        """Return the condition "strictly after this position" in the order or its reverse.

        Args:
            alias: of the row.
            value: parameter of the sort value; None when the position has none.
            tie: parameter of the tie.
            reverse: walk the order backwards.
        """
        down = self.descending != reverse
        sign = "<" if down else ">"
        column, tie_column = f"{alias}.{name(self.column.column or '')}", f"{alias}.{name(self.tie.column or '')}"
        if self.single:
            return f"{tie_column} {sign} {tie}"
        if value is None:
            same = f"({column} IS NULL AND {tie_column} {sign} {tie})"
            return f"({same} OR {column} IS NOT NULL)" if down else same
        after = f"({column},{tie_column}) {sign} ({value},{tie})"
        return after if down or not self.column.stored_nullable else f"({after} OR {column} IS NULL)"


def order_of(source: Source, chosen: Val) -> Order:
    """Return the order that an argument asks for, or the type's own."""
    if not chosen.given:
        return Order("", source.default, source.tie, source.descending)
    tag = chosen.now if isinstance(chosen.now, str) else chosen.now.name
    member, _, way = tag.rpartition("_")
    return Order(tag, source.named(member), source.tie, way == "DESC")


def _decode(cursor: Any) -> list[Any]:
    try:
        made = json.loads(bytes.fromhex(cursor), parse_float=Decimal)
    except (ValueError, TypeError, RecursionError):
        made = None
    if not isinstance(made, list) or len(made) != 3:  # noqa: PLR2004 - tag, value, tie
        raise InputFaultError(_BAD_CURSOR)
    return made


def cursor_is_null(cursor: Any) -> str:
    """Return what a plan may depend on: whether the position has a sort value."""
    try:
        return "null" if _decode(cursor)[1] is None else "value"
    except InputFaultError:
        return "bad"


def position(order: Order, cursor: Val) -> tuple[Getter | None, Getter]:
    """Return getters of the sort value (None when the position has none) and of the tie.

    Raises:
        InputFaultError: the cursor is none of this order; the getters raise it too.
    """

    def part(index: int, column: ColumnBinding) -> Getter:
        def get(variables: Any) -> Any:
            made = _decode(cursor.get(variables))
            if made[0] != order.tag or isinstance(made[index], bool | list | dict) or made[index] is None:
                raise InputFaultError(_BAD_CURSOR)
            try:
                return storable(READERS[column.family](made[index]))
            except (ValueError, TypeError, ArithmeticError):
                raise InputFaultError(_BAD_CURSOR) from None

        return get

    made = _decode(cursor.now)
    if made[0] != order.tag or (made[1] is None and not order.column.stored_nullable):
        raise InputFaultError(_BAD_CURSOR)
    return (None if made[1] is None else part(1, order.column)), part(2, order.tie)


@dataclass(frozen=True)
class Page:
    """Which rows of a list: how many, from which end, beyond which positions."""

    size: Getter
    backward: bool
    after: Val
    before: Val
    offset: Getter | None


def page_of(arguments: dict[str, Val], most: int = MAX_PAGE, default: int = DEFAULT_PAGE) -> Page:
    """Return the page that the arguments ask for.

    Raises:
        InputFaultError: arguments that exclude each other; getters raise it for values out of range.
    """
    first, last = arguments["first"], arguments.get("last")
    after, before, offset = arguments.get("after"), arguments.get("before"), arguments.get("offset")
    absent = Val(None, lambda _: None)
    backward = last is not None and last.given
    if backward and first.given:
        raise InputFaultError("first and last exclude each other")
    size = _size(last if backward and last is not None else first, most, default)
    skip = None
    if offset is not None and offset.given:
        if backward or any(cursor is not None and cursor.given for cursor in (after, before)):
            raise InputFaultError("offset goes with first only, without last, after and before")
        skip = _offset(offset, size)
    return Page(size, backward, after or absent, before or absent, skip)


def _size(value: Val, most: int, default: int) -> Getter:
    if not value.given:
        return lambda _: min(default, most)

    def get(variables: Any) -> int:
        size = value.get(variables)
        if not 1 <= size <= most:
            raise InputFaultError(f"first and last are 1 to {most}")
        return int(size)

    return get


def _offset(value: Val, size: Getter) -> Getter:
    def get(variables: Any) -> int:
        offset = value.get(variables)
        if offset < 0 or offset + size(variables) > MAX_DEEP:
            raise InputFaultError(f"offset is 0 or more, and offset + first at most {MAX_DEEP}")
        return int(offset)

    return get


def casted(column: ColumnBinding) -> str:
    """Return the cast of a value compared with a column."""
    return CASTS[column.family]
