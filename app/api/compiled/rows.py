"""Pieces of SQL text: a row under construction, and joining."""

from collections.abc import Sequence

from graphql import FieldNode, SelectionSetNode

from app.api.compiled.scalars import name

_MAX_ARGUMENTS = 90
"""PostgreSQL takes at most 100 arguments."""


class Row:
    """A row under construction: the inner SELECT holds only what the outer expressions name."""

    def __init__(self, number: int) -> None:
        self.inner, self.outer = f"s{number}", f"t{number}"
        self._columns: dict[str, str] = {}

    def column(self, column: str) -> str:
        """Return the outer name of a column."""
        quoted = name(column)
        self._columns.setdefault(quoted, f"{self.inner}.{quoted}")
        return f"{self.outer}.{quoted}"

    def expression(self, text: str) -> str:
        """Return the outer name of an expression over the row ``{t}``."""
        alias = f"x{len(self._columns)}"
        self._columns[alias] = f"({text.replace('{t}', self.inner)}) AS {alias}"
        return f"{self.outer}.{alias}"

    @property
    def columns(self) -> str:
        """What the inner SELECT names."""
        return ",".join(self._columns.values()) or "1"

    @property
    def names(self) -> str:
        """The same, one SELECT further out."""
        return "".join(f",q.{key}" for key in self._columns)


def concat(parts: Sequence[str]) -> str:
    """Join SQL texts; PostgreSQL takes at most 100 arguments, so long ones nest."""
    merged: list[str] = []
    for part in parts:
        if merged and plain(part) and plain(merged[-1]):
            merged[-1] = merged[-1][:-1] + part[1:]
        else:
            merged.append(part)
    if len(merged) == 1:
        return merged[0]
    while len(merged) > _MAX_ARGUMENTS:
        chunks = [merged[i : i + _MAX_ARGUMENTS] for i in range(0, len(merged), _MAX_ARGUMENTS)]
        merged = [f"concat({','.join(chunk)})" for chunk in chunks]
    return f"concat({','.join(merged)})"


def plain(part: str) -> bool:
    """Whether the text is one quoted literal (ours hold no quote inside)."""
    return part[0] == "'" and part.find("'", 1) == len(part) - 1


def sets_of(nodes: Sequence[FieldNode]) -> list[SelectionSetNode]:
    """Return the selection sets of fields that share a response key."""
    return [node.selection_set for node in nodes if node.selection_set is not None]


def where_sql(tests: Sequence[str]) -> str:
    """Return the WHERE clause of conditions, empty without any."""
    return f" WHERE {' AND '.join(tests)}" if tests else ""
