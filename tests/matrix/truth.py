"""What the answers must be: whole tables, the typed table, the oracle, and what a field shows of a row."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from tests.matrix.relations import Relations
from tests.matrix.words import Edge, Expected, Rows, Shown, Type, Value
from tests.oracle import Oracle, identity
from tests.world import Actor, World

Row = dict[str, Any]
CANARY = re.compile(r"canary-(\w+)-")


class Truth:
    """Answers for one world."""

    def __init__(self, world: World, expected: Expected) -> None:
        """Take whole tables and what is expected of them."""
        self.world, self.expected = world, expected
        self.oracle, self.relations = Oracle(world), Relations(world)
        self._visible: dict[tuple[str, str], dict[str, Row]] = {}
        self._canaries: dict[str, set[str]] = {}
        self._joined: dict[tuple[str, str], dict[Any, list[Row]]] = {}

    def rows(self, name: str) -> list[Row]:
        """Return every row behind a type."""
        return self.world.tables[self.expected.types[name].table]

    def gid(self, name: str, row: Row) -> str:
        """Return the global id of a row."""
        kind = self.expected.types[name]
        return f"{kind.prefix}_{row[kind.key]}"

    def relation(self, name: str, row: Row, actor: Actor) -> str:
        """Return what a row is to an actor."""
        return self.relations.of(self.expected.types[name].table, row, actor)

    def visible(self, name: str, actor: Actor) -> dict[str, Row]:
        """Return the rows of a type that an actor reads, by global id; table and oracle must agree.

        Raises:
            AssertionError: they do not.
        """
        key = (name, actor.name)
        if key not in self._visible:
            kind = self.expected.types[name]
            by_oracle = self.oracle.visible(kind.table, actor)
            allowed = kind.readers.get(self.world.kind(actor), frozenset())
            by_table = {identity(row) for row in self.rows(name) if self.relation(name, row, actor) in allowed}
            assert by_oracle == by_table, f"{name} {actor.name}: table and oracle disagree"
            barred = self._barred(kind.roles, actor)
            self._visible[key] = {
                self.gid(name, row): row for row in self.rows(name) if identity(row) in by_oracle and not barred
            }
        return self._visible[key]

    def _barred(self, roles: frozenset[str], actor: Actor) -> bool:
        """Whether none of an actor's roles is among those that read a type."""
        own = {*actor.roles, *(f"{self.world.kind(actor)} {role}" for role in actor.roles)}
        return bool(roles) and not (actor.acts and roles & own)

    def in_table(self, name: str, actor: Actor) -> set[str]:
        """Return the identities of the rows that the database shows an actor, whatever his roles."""
        return self.oracle.visible(self.expected.types[name].table, actor)

    def canaries(self, actor: Actor) -> set[str]:
        """Return the tenants whose canary an actor may meet in any answer."""
        if actor.name not in self._canaries:
            found: set[str] = set()
            for name in self.expected.types:
                for row in self.visible(name, actor).values():
                    found |= set(CANARY.findall(json.dumps(row, default=str)))
            self._canaries[actor.name] = found
        return self._canaries[actor.name]

    def joined(self, field: Edge | Rows, row: Row) -> list[Row]:
        """Return the rows that an edge or a list of a row leads to, whoever may see them."""
        key = (field.target, field.other)
        if key not in self._joined:
            index: dict[Any, list[Row]] = defaultdict(list)
            for other in self.rows(field.target):
                index[other[field.other]].append(other)
            self._joined[key] = index
        value = row[field.own]
        return [] if value is None else self._joined[key].get(value, [])

    def value(self, kind: Type, field: str, row: Row, scalar: str) -> Any:
        """Return what a field with a value of its own must show.

        Args:
            kind: expectation of the type.
            field: its name.
            row: as a superuser reads it.
            scalar: name of the field's type in the schema.
        """
        if field == "id":
            return f"{kind.prefix}_{row[kind.key]}"
        expectation = kind.fields[field]
        if isinstance(expectation, Shown):
            return ... if expectation.expected is None else expectation.expected(row)
        assert isinstance(expectation, Value)
        value = row[expectation.column]
        if expectation.prefix and value is not None:
            return f"{expectation.prefix}_{value}"
        return shown(value, scalar)

    def groups(self, column: str, prefix: str, rows: Iterable[Row]) -> Counter[str | None]:
        """Return how many rows share each value of a column."""
        keys = (row[column] for row in rows)
        return Counter(None if key is None else f"{prefix}_{key}" if prefix else str(key) for key in keys)


def shown(value: Any, scalar: str) -> Any:
    """Return a stored value as the API writes it."""
    if value is None:
        return None
    if scalar == "JSON":
        return json.loads(value) if isinstance(value, str) else value
    match value:
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
    return str(value) if scalar == "BigInt" or isinstance(value, UUID) else value
