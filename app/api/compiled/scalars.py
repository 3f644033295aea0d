"""The scalar registry: how each pair of GraphQL type and PostgreSQL type is written, by SQL and by Python.

The SQL side writes JSON text inside the one statement; the Python side (``app.kit.gql.scalars``)
writes the same text in the fallback. A property test holds both together.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import types as sql_types
from sqlalchemy.dialects import postgresql

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_FAMILIES = {
    "SMALLINT": "int",
    "INTEGER": "int",
    "BIGINT": "bigint",
    "TEXT": "text",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
    "UUID": "uuid",
    "DOUBLE PRECISION": "float8",
    "JSON": "jsonb",
    "JSONB": "jsonb",
}
ALIASES = {"integer": "int", "timestamp with time zone": "timestamptz", "double precision": "float8", "bool": "boolean"}


def family(kind: sql_types.TypeEngine[Any]) -> str:
    """Return the family of a column's type: ``text``, ``int``, ``text[]`` and so on.

    Raises:
        TypeError: the API has no form for it.
    """
    if isinstance(kind, sql_types.ARRAY):
        return family(kind.item_type) + "[]"
    name = kind.compile(dialect=_DIALECT).upper()
    if name.startswith(("VARCHAR", "CHAR", "TEXT COLLATE")):
        return "text"
    if name.startswith("FLOAT"):
        return "float8"
    if name.startswith("NUMERIC"):
        return "numeric"
    if name in _FAMILIES:
        return _FAMILIES[name]
    raise TypeError(f"{name}: no form in the API; timestamps need their zone")


@dataclass(frozen=True)
class Rule:
    """How one pair is written.

    Args:
        sql: from an SQL expression to one that gives the JSON text, NULL for NULL.
    """

    sql: Callable[[str], str]


def _json(value: str) -> str:
    return f"to_json({value})::text"


def _bare(value: str) -> str:
    return f"({value})::text"


def _quoted(value: str) -> str:
    return f"'\"'||({value})::text||'\"'"


def _moment(value: str) -> str:
    return f"""'"'||to_char({value} AT TIME ZONE 'UTC','YYYY-MM-DD"T"HH24:MI:SS.US"Z"')||'"'"""


def _finite(value: str) -> str:
    return f"CASE WHEN ({value})::text NOT IN ('NaN','Infinity','-Infinity') THEN ({value})::text END"


def _array(value: str) -> str:
    return f"to_json(array_remove({value},NULL))::text"


RULES: dict[tuple[str, str], Rule] = {
    ("String", "text"): Rule(_json),
    ("String!enum", "text"): Rule(_json),
    ("Int", "int"): Rule(_bare),
    ("BigInt", "int"): Rule(_quoted),
    ("BigInt", "bigint"): Rule(_quoted),
    ("Boolean", "boolean"): Rule(_bare),
    ("Date", "date"): Rule(_json),
    ("DateTime", "timestamptz"): Rule(_moment),
    ("UUID", "uuid"): Rule(_quoted),
    ("Decimal", "numeric"): Rule(_quoted),
    ("Float", "float8"): Rule(_finite),
    ("Float", "numeric"): Rule(_finite),
    ("Float", "int"): Rule(_bare),
    ("JSON", "jsonb"): Rule(_bare),
    ("[String]", "text[]"): Rule(_array),
    ("[String!enum]", "text[]"): Rule(_array),
    ("[Int]", "int[]"): Rule(_array),
    ("[UUID]", "uuid[]"): Rule(_array),
}
"""(GraphQL type, family) to its rule; ``String!enum`` stands for every enum: its names are the stored texts."""


def id_sql(prefix: str) -> Callable[[str], str]:
    """Return the SQL writer of global ids of one type."""
    return lambda value: f"'\"{prefix}_'||({value})::text||'\"'"


CASTS = {
    "text": "text",
    "int": "int8",
    "bigint": "int8",
    "boolean": "bool",
    "date": "date",
    "timestamptz": "timestamptz",
    "uuid": "uuid",
    "numeric": "numeric",
    "float8": "float8",
}
"""Cast of a bound value by family; whole numbers go as int8, so that any 64-bit operand is comparable."""


def _int8(value: Any) -> int:
    number = int(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError("beyond 64 bits")
    return number


READERS: dict[str, Callable[[Any], Any]] = {
    "text": str,
    "int": _int8,
    "bigint": _int8,
    "boolean": bool,
    "date": date.fromisoformat,
    "timestamptz": datetime.fromisoformat,
    "uuid": UUID,
    "numeric": lambda value: Decimal(str(value)),
    "float8": float,
}
"""From the JSON of a cursor to what the driver binds."""


def literal(text: str) -> str:
    """Quote a text as an SQL literal; ours only: response keys, type names, prefixes."""
    return "'" + text.replace("'", "''") + "'"


def name(text: str) -> str:
    """Quote an identifier of a mapped class."""
    return '"' + text.replace('"', '""') + '"'


def key_text(key: str) -> str:
    """Return a JSON object's key with its colon."""
    return json.dumps(key, ensure_ascii=False) + ":"
