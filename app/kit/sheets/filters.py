"""A list's filter as JSON, as a client sends it to the list itself, to conditions on the mapped class.

The same words and the same meaning as ``app.api.compiled.filters``: each operand one leakproof comparison, a foreign
or unknown id matches nothing, an edge to a hidden row is as if it were null. A differential test holds them together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, cast
from uuid import UUID

import strawberry
from graphql import GraphQLError
from sqlalchemy import ColumnElement, and_, exists, false, select
from sqlalchemy.orm import aliased
from strawberry.types.base import StrawberryOptional
from strawberry.types.enum import StrawberryEnumDefinition

from app.kit.errors import Fault
from app.kit.gql.inputs import graphql_name, marked
from app.kit.gql.marks import One, target_of
from app.kit.gql.scalars import BigInt, parse_bigint, parse_date, parse_datetime, parse_uuid
from app.kit.ids import parse_global_id

MAX_IN = 100
_RANGES = {
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
}


def conditions(source: type[Any], given: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter.

    Args:
        source: the bound type.
        given: field's name in GraphQL to operands.

    Raises:
        Fault: ``FILTER_…``, with the path that is wrong.
    """
    model = source.__anlan_bound__.model
    known = {graphql_name(field): (field, mark) for field, mark in marked(source) if getattr(mark, "filterable", False)}
    found: list[ColumnElement[bool]] = []
    for name, operands in given.items():
        if operands is None:
            continue
        if name not in known:
            raise Fault("FILTER_UNKNOWN", ("filter", name[:64]), name=name[:64], known=", ".join(sorted(known)))
        if not isinstance(operands, Mapping):
            raise Fault("FILTER_VALUE", ("filter", name), value=str(operands)[:60])
        field, mark = known[name]
        edge = mark if isinstance(mark, One) else None
        column = edge.key if edge else getattr(model, mark.attr or field.python_name)
        read = _reader(field, edge)
        for operator, value in operands.items():
            if value is not None:
                found.append(_condition(column, value, read, edge, (name, operator)))
    return found


def _condition(
    column: Any, value: Any, read: Callable[[Any], Any], edge: One | None, path: tuple[str, str]
) -> ColumnElement[bool]:
    operator, where = path[1], ("filter", *(part[:64] for part in path))
    try:
        match operator:
            case "isNull" if isinstance(value, bool):
                seen = _seen(edge) if edge else None
                test = column.is_(None) if seen is None else ~seen
                return test if value else ~test
            case "in" if isinstance(value, list):
                if len(value) > MAX_IN:
                    raise Fault("FILTER_TOO_MANY", where, limit=MAX_IN)
                test = column.in_([one for one in map(read, value) if one is not None])
            case "eq":
                one = read(value)
                test = false() if one is None else column == one
            case _ if operator in _RANGES and edge is None and _ranged(column):
                test = _RANGES[operator](column, read(value))
            case _:
                raise Fault("FILTER_UNKNOWN", where, name=".".join(path)[:64], known="eq, in, gt, gte, lt, lte, isNull")
    except (GraphQLError, ValueError, TypeError, KeyError, OverflowError):
        raise Fault("FILTER_VALUE", where, value=str(value)[:60]) from None
    return and_(test, _seen(edge)) if edge else test


def _ranged(column: Any) -> bool:
    return column.type.python_type not in (bool, UUID)


def _seen(edge: One) -> ColumnElement[bool]:
    """The row that the edge leads to is the reader's to see: read under the policy of his login."""
    reference = next(iter(edge.key.property.columns[0].foreign_keys))
    target = next(
        mapper.class_ for mapper in edge.key.class_.registry.mappers if mapper.local_table is reference.column.table
    )
    other = aliased(target)
    return exists(select(1).where(getattr(other, reference.column.key) == edge.key))


def _reader(field: Any, edge: One | None) -> Callable[[Any], Any]:
    """Return what turns an operand of JSON into a value, by the field's type."""
    if edge is not None:
        return _id_of(target_of(field).__anlan_bound__.prefix)
    kind = field.resolve_type()
    while isinstance(kind, StrawberryOptional):
        kind = kind.of_type
    if isinstance(kind, StrawberryEnumDefinition):
        return _enum(cast("type[Enum]", kind.wrapped_cls))
    if kind is strawberry.ID:
        return _id_of(field.metadata["anlan.mark"].prefix)
    readers: dict[Any, Callable[[Any], Any]] = {
        date: parse_date,
        datetime: parse_datetime,
        UUID: parse_uuid,
        BigInt: parse_bigint,
        str: _typed(str),
        bool: _typed(bool),
        int: _whole,
    }
    return readers[kind]


def _id_of(prefix: str) -> Callable[[Any], Any]:
    def read(value: Any) -> UUID | None:
        found = parse_global_id(_typed(str)(value), prefix)
        return found[1] if found else None

    return read


def _typed(kind: type[Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, kind):
            raise TypeError(value)
        if isinstance(value, str) and "\0" in value:
            raise ValueError(value)
        return value

    return read


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**31) <= value < 2**31:
        raise TypeError(value)
    return value


def _enum(kind: type[Enum]) -> Callable[[Any], Any]:
    return lambda value: kind[_typed(str)(value)].name
