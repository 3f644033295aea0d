"""Inputs generated from the marks: filters, orders, groups. One type per bound type, made once."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import strawberry
from strawberry.types.base import StrawberryList, StrawberryOptional
from strawberry.types.enum import StrawberryEnumDefinition

from app.kit.gql.scalars import BigInt

_NULL = "null as an operand means: no condition."


def _operand(name: str, description: str) -> Any:
    renamed = name.rstrip("_") if name.endswith("_") else None
    return strawberry.field(description=description, default=strawberry.UNSET, name=renamed)


def _make_input(name: str, description: str, fields: dict[str, tuple[Any, str]]) -> type[Any]:
    body: dict[str, Any] = {"__annotations__": {key: kind | None for key, (kind, _) in fields.items()}}
    body |= {key: _operand(key, text) for key, (_, text) in fields.items()}
    return strawberry.input(type(name, (), body), name=name, description=description)


def _leaf(name: str, kind: Any, *, ranged: bool = True) -> type[Any]:
    fields: dict[str, tuple[Any, str]] = {"eq": (kind, "Equals."), "in_": (list[kind], "Is one of, at most 100.")}
    if ranged:
        fields |= {
            "gt": (kind, "Is greater, or later."),
            "gte": (kind, "Is greater or equal."),
            "lt": (kind, "Is less, or earlier."),
            "lte": (kind, "Is less or equal."),
        }
    fields["is_null"] = (bool, "Has no value (true), or has one (false).")
    return _make_input(name, f"Conditions on one value, all of which must hold. {_NULL}", fields)


LEAVES: dict[Any, type[Any]] = {
    str: _leaf("StringFilter", str),
    int: _leaf("IntFilter", int),
    BigInt: _leaf("BigIntFilter", BigInt),
    date: _leaf("DateFilter", date),
    datetime: _leaf("DateTimeFilter", datetime),
    UUID: _leaf("UUIDFilter", UUID, ranged=False),
    strawberry.ID: _leaf("IDFilter", strawberry.ID, ranged=False),
    bool: _make_input(
        "BooleanFilter",
        f"Conditions on a yes or no. {_NULL}",
        {"eq": (bool, "Equals."), "is_null": (bool, "Has no value (true), or has one (false).")},
    ),
}
"""Filter of each leakproof type."""

UNFILTERED = (Decimal, float)
"""Their comparisons are not leakproof: no filter (decision 22)."""

_ENUMS: dict[type[Any], type[Any]] = {}
_FILTERS: dict[type[Any], type[Any] | None] = {}
_ORDERS: dict[type[Any], type[Enum] | None] = {}
_GROUPS: dict[type[Any], type[Enum]] = {}


def marked(target: type[Any]) -> list[tuple[Any, Any]]:
    """Return the fields of a bound type that have a mark, each with its mark."""
    fields = target.__strawberry_definition__.fields
    return [(field, field.metadata["anlan.mark"]) for field in fields if "anlan.mark" in field.metadata]


def graphql_name(field: Any) -> str:
    """Return a field's name in GraphQL: its own, or the Python name in camelCase."""
    if field.graphql_name:
        return str(field.graphql_name)
    head, *tail = field.python_name.split("_")
    return str(head + "".join(part.title() for part in tail))


def leaf_filter(kind: Any) -> type[Any]:
    """Return the filter for a field's annotation.

    Raises:
        TypeError: its type has no leakproof comparison.
    """
    while isinstance(kind, StrawberryOptional):
        kind = kind.of_type
    if isinstance(kind, StrawberryEnumDefinition):
        wrapped = kind.wrapped_cls
        if wrapped not in _ENUMS:
            _ENUMS[wrapped] = _leaf(f"{kind.name}Filter", wrapped, ranged=False)
        return _ENUMS[wrapped]
    if isinstance(kind, StrawberryList) or kind not in LEAVES:
        raise TypeError(f"{kind}: no leakproof comparison, so no filter (decision 22)")
    return LEAVES[kind]


def filter_input(target: type[Any]) -> type[Any] | None:
    """Return the filter input of a bound type; None when nothing is filterable."""
    if target not in _FILTERS:
        fields: dict[str, tuple[Any, str]] = {}
        for field, mark in marked(target):
            if not getattr(mark, "filterable", False):
                continue
            edge = type(mark).__name__ == "One"
            kind = LEAVES[strawberry.ID] if edge else leaf_filter(field.resolve_type())
            fields[field.python_name] = (kind, f"On `{graphql_name(field)}`: {field.description}")
        name = target.__strawberry_definition__.name
        text = f"Which rows of {name}: every condition must hold."
        _FILTERS[target] = _make_input(f"{name}Filter", text, fields) if fields else None
    return _FILTERS[target]


def order_enum(target: type[Any]) -> type[Enum] | None:
    """Return the order enum of a bound type; None when nothing is sortable."""
    if target not in _ORDERS:
        members: dict[str, Any] = {}
        for field, mark in marked(target):
            if getattr(mark, "sortable", False):
                name = graphql_name(field)
                for way, text in (("ASC", "smallest first, rows without one last"), ("DESC", "the reverse")):
                    key = f"{field.python_name.upper()}_{way}"
                    members[key] = strawberry.enum_value(key, description=f"By `{name}`, {text}.")
        _ORDERS[target] = _make_enum(target, "Order", "Order of rows of", members) if members else None
    return _ORDERS[target]


def group_enum(target: type[Any]) -> type[Enum]:
    """Return the enum of the values that rows of a bound type can be counted by.

    Raises:
        TypeError: nothing is groupable.
    """
    if target not in _GROUPS:
        members = {
            field.python_name.upper(): strawberry.enum_value(
                field.python_name.upper(), description=f"By `{graphql_name(field)}`."
            )
            for field, mark in marked(target)
            if getattr(mark, "groupable", False)
        }
        if not members:
            raise TypeError(f"{target.__name__}: counts need a groupable column")
        _GROUPS[target] = _make_enum(target, "Group", "What to count by: values of", members)
    return _GROUPS[target]


def _make_enum(target: type[Any], suffix: str, text: str, members: dict[str, Any]) -> type[Enum]:
    name = target.__strawberry_definition__.name
    make: Any = Enum  # typed as a class; called, it makes one
    members_of = make(f"{name}{suffix}", members)
    made: type[Enum] = strawberry.enum(members_of, name=f"{name}{suffix}", description=f"{text} {name}.")
    return made
