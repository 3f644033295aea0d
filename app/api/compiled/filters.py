"""Filters: one condition per given operand, compiled for the shape of the filter.

Only leakproof comparisons (decision 22), so that PostgreSQL may use an index before the policy.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any

from app.api.compiled.binding import ColumnBinding, OneBinding, Source
from app.api.compiled.scalars import CASTS, name
from app.api.compiled.values import Getter, InputFaultError, Val, storable
from app.kit.ids import parse_global_id

MAX_IN = 100
_SIGNS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def conditions(
    source: Source,
    chosen: Val,
    alias: str,
    bind: Callable[[Getter, str], str],
    seen: Callable[[OneBinding, str], str],
) -> list[str]:
    """Return the SQL conditions of a filter argument.

    Args:
        source: the filtered type.
        chosen: the filter; absent means all rows.
        alias: of the row.
        bind: registers a parameter and returns it with its cast.
        seen: returns the condition "the row that this edge of the aliased row leads to is the caller's to see". An
            edge to a hidden row shows null, so a filter on it finds what it would find on null: the id of a hidden
            row matches nothing, like an unknown one.
    """
    if not chosen.given:
        return []
    tests: list[str] = []
    for field_name, operands in chosen.items():
        binding = source.fields[field_name]
        column = binding.key if isinstance(binding, OneBinding) else binding
        if not isinstance(column, ColumnBinding) or column.column is None:
            raise TypeError(f"{source.type_name}.{field_name} is no column")
        for operator, value in operands.items():
            test = _condition(f"{alias}.{name(column.column)}", column, operator, value, bind)
            if not isinstance(binding, OneBinding):
                tests.append(test)
            elif operator == "isNull":
                tests.append(f"{'NOT ' if value.now else ''}{seen(binding, alias)}")
            else:
                tests += [test, seen(binding, alias)]
    return tests


def _condition(
    target: str, column: ColumnBinding, operator: str, value: Val, bind: Callable[[Getter, str], str]
) -> str:
    if operator == "isNull":
        return f"{target} IS {'NULL' if value.now else 'NOT NULL'}"
    cast = CASTS[column.family]
    if operator == "in":
        return f"{target} = ANY({bind(_many(column, value), cast + '[]')})"
    return f"{target} {_SIGNS[operator]} {bind(lambda variables: _plain(column, value.get(variables)), cast)}"


def _many(column: ColumnBinding, value: Val) -> Getter:
    def get(variables: Any) -> list[Any]:
        values = value.get(variables)
        if len(values) > MAX_IN:
            raise InputFaultError(f"in takes at most {MAX_IN} values")
        return [_plain(column, item) for item in values]

    return get


def _plain(column: ColumnBinding, value: Any) -> Any:
    """Return what the driver binds: stored text of enums, UUID of global ids; a foreign id matches nothing."""
    if isinstance(value, Enum):
        return value.name
    if column.prefix is not None:
        found = parse_global_id(str(value), column.prefix)
        return found[1] if found else None
    return storable(value)
