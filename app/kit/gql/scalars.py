"""Scalars of the API beyond GraphQL's own: their names, their meaning, their exact written form.

The form in JSON is fixed here and in :mod:`app.api.compiled.scalars` (the SQL side), and a property
test holds the two together.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NewType, TypeVar
from uuid import UUID

import strawberry
from graphql import GraphQLError
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

Moment = TypeVar("Moment", date, datetime)
BigInt = NewType("BigInt", int)
"""A 64-bit integer; written as a string, since JSON numbers of many clients lose digits after 2^53."""

INT8 = 2**63
FIRST_YEAR, LAST_YEAR = 1900, 2199
"""Years that a day or moment given to the API may lie in: no rule of the field reaches further."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
_DECIMAL = re.compile(r"-?\d{1,60}(\.\d{1,30})?\Z")
_INTEGER = re.compile(r"-?\d{1,19}\Z")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]\d{2}:\d{2})\Z")


def dump_datetime(value: Any) -> str:
    """Write a moment: UTC, ``Z``, always six digits of microseconds; text that is already so passes through."""
    if isinstance(value, str):
        return value
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise GraphQLError("DateTime needs a moment with its zone")
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def parse_datetime(value: Any) -> datetime:
    """Read a moment with its zone.

    Raises:
        GraphQLError: not such a moment.
    """
    if isinstance(value, str) and _TIME.match(value):
        try:
            moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        else:
            return _in_range(moment)
    raise GraphQLError("expected a moment such as 2026-03-01T08:00:00Z, with Z or an offset")


def _in_range(value: Moment) -> Moment:
    if FIRST_YEAR <= value.year <= LAST_YEAR:
        return value
    raise GraphQLError(f"expected a year from {FIRST_YEAR} to {LAST_YEAR}")


def dump_date(value: Any) -> str:
    """Write a day as ``YYYY-MM-DD``."""
    return value if isinstance(value, str) else date.isoformat(value)


def parse_date(value: Any) -> date:
    """Read a day.

    Raises:
        GraphQLError: not a day of the calendar.
    """
    if isinstance(value, str) and _DATE.match(value):
        try:
            day = date.fromisoformat(value)
        except ValueError:
            pass
        else:
            return _in_range(day)
    raise GraphQLError("expected a day of the calendar such as 2026-03-01")


def parse_uuid(value: Any) -> UUID:
    """Read a UUID.

    Raises:
        GraphQLError: not a UUID.
    """
    if isinstance(value, str):
        try:
            return UUID(value)
        except ValueError:
            pass
    raise GraphQLError("expected a UUID")


def dump_decimal(value: Any) -> str:
    """Write an exact decimal as PostgreSQL does: plain digits, trailing zeros kept."""
    return value if isinstance(value, str) else format(Decimal(value), "f")


def parse_decimal(value: Any) -> Decimal:
    """Read an exact decimal, given as a string or a whole number.

    Raises:
        GraphQLError: not a plain decimal number.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and _DECIMAL.match(value):
        try:
            return Decimal(value)
        except InvalidOperation:
            pass
    raise GraphQLError('expected an exact decimal as a string, such as "12.50"')


def dump_bigint(value: Any) -> str:
    """Write a 64-bit integer as a string."""
    return str(value)


def parse_bigint(value: Any) -> int:
    """Read a 64-bit integer from a string or a whole number.

    Raises:
        GraphQLError: not a whole number, or outside 64 bits.
    """
    if isinstance(value, str) and _INTEGER.match(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and -INT8 <= value < INT8:
        return value
    raise GraphQLError('expected a whole number of 64 bits as a string, such as "9007199254740993"')


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="Moment in UTC, ISO 8601 with six digits of microseconds and Z: 2026-03-01T08:00:00.000000Z. "
        f"As input any offset is accepted, and years from {FIRST_YEAR} to {LAST_YEAR}.",
        serialize=dump_datetime,
        parse_value=parse_datetime,
    ),
    date: strawberry.scalar(
        name="Date",
        description="Legal day, YYYY-MM-DD, in Asia/Shanghai; it ends at 24:00 there. "
        f"As input from {FIRST_YEAR} to {LAST_YEAR}.",
        serialize=dump_date,
        parse_value=parse_date,
    ),
    UUID: strawberry.scalar(
        name="UUID",
        description="UUID in lower case with hyphens.",
        serialize=str,
        parse_value=parse_uuid,
    ),
    Decimal: strawberry.scalar(
        name="Decimal",
        description="Exact decimal number as a string, plain digits, trailing zeros kept.",
        serialize=dump_decimal,
        parse_value=parse_decimal,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="Whole number of 64 bits as a string.",
        serialize=dump_bigint,
        parse_value=parse_bigint,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value; its shape is described where it is used.",
        serialize=lambda value: value,
        parse_value=lambda value: value,
    ),
}
"""For ``StrawberryConfig(scalar_map=SCALARS)``."""
