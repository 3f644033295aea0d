"""Rows for every table of the metadata, made from the table's own columns and a few words per slice.

A table that is new needs nothing here unless a check of its own refuses the made-up values.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, Table, types
from sqlalchemy.dialects import postgresql

from infra.db.base import Base
from tenants.access import Access, TableClass
from tests.factories.known import FIXED, OWNERS, SKIP, Made

_SPACE = uuid.UUID("6f1d0c1e-0000-4000-8000-000000000001")
_ONE_OF = re.compile(r"^\(?(\w+) IN \('([^']*)'(?:, '([^']*)')?")
_MAPPED = ("tenant", "agency", "person", "membership", "scope_grant", "incident_call", "hosting", "tenant_change")
"""Made by the world itself."""
AGENCIES_ONLY = 92
"""Number of the variant that is hidden from the enterprise."""


@dataclass(frozen=True)
class Variant:
    """One row to make of a table."""

    owner: str
    author: str
    site: uuid.UUID | None = None
    state: str | None = None
    number: int = 0
    person: uuid.UUID | None = None


def site_id(enterprise: str, number: int) -> uuid.UUID:
    """Return the id of the n-th site of an enterprise of the world."""
    return uuid.uuid5(_SPACE, f"site/{enterprise}/{number}")


class UnfilledError(AssertionError):
    """The world lacks rows of a table."""


class Filler:
    """Fills one database."""

    def __init__(
        self,
        admin: Any,
        prefix: str,
        keys: dict[str, int],
        *,
        tenants: Iterable[tuple[str, str, uuid.UUID]],
        sites: Iterable[tuple[str, str, str | None]],
        people: Iterable[tuple[uuid.UUID, str]],
    ) -> None:
        """Take who is who, and where enterprises have sites."""
        self.people = tuple(people)
        self.admin = admin
        self.prefix = prefix
        self.keys = keys
        self.kinds = {name: kind for name, kind, _ in tenants}
        self.ids = {name: tenant for name, _, tenant in tenants}
        self.sites: dict[str, list[tuple[str, str | None]]] = {}
        for enterprise, place, park in sites:
            self.sites.setdefault(enterprise, []).append((place, park))
        self.made: dict[tuple[str, str], dict[str, Any]] = {}
        self.first: dict[str, dict[str, Any]] = {}
        self.members: dict[uuid.UUID | None, uuid.UUID] = {}

    async def fill(self) -> None:
        """Make rows of every table, parents first."""
        problems: list[str] = []
        for name in _MAPPED:
            row = await self.admin.fetchrow(f"SELECT * FROM app.{name} LIMIT 1")
            self.first[name] = dict(row) if row else {}
        members = await self.admin.fetch("SELECT id, person_id FROM app.membership WHERE person_id IS NOT NULL")
        self.members = {row["person_id"]: row["id"] for row in members}
        for table in sorted(Base.metadata.sorted_tables, key=lambda one: bool(one.info["access"].site)):
            access = table.info["access"]
            if table.schema != "app" or table.name in (*_MAPPED, *SKIP) or await self._filled(table):
                continue
            try:
                for variant in self._variants(table, access):
                    await self._insert(table, access, variant)
            except UnfilledError as fault:
                problems.append(str(fault))
        if problems:
            raise UnfilledError("\n".join(problems))

    async def _filled(self, table: Table) -> bool:
        return bool(await self.admin.fetchval(f"SELECT EXISTS (SELECT FROM {table})"))

    def _variants(self, table: Table, access: Access) -> Iterable[Variant]:
        if access.table_class is TableClass.PERSON:
            yield from (Variant(tenant, tenant, person=person) for person, tenant in self.people)
            return
        if not access.keyed:
            yield Variant("N0", "N0")
            return
        for number, owner in enumerate(self._owners(table)):
            sites = [site_id(owner, nth) for nth in range(len(self.sites.get(owner, ())))]
            if access.is_site:
                yield from (Variant(owner, owner, site, number=nth) for nth, site in enumerate(sites))
                continue
            yield Variant(owner, owner)
            if access.site:
                yield from (Variant(owner, owner, site, number=nth) for nth, site in enumerate(sites, start=1))
            yield from self._hidden(table, access, owner, number)

    def _hidden(self, table: Table, access: Access, owner: str, number: int) -> Iterable[Variant]:
        """Rows that somebody who sees the owner's other rows must not see."""
        if "details" in table.columns:
            yield Variant(owner, "", number=91)  # the system's own act: nobody's claim
        if "agencies_only" in table.columns:
            yield Variant(owner, self._above(owner), number=AGENCIES_ONLY)
        if access.draft_state:
            yield Variant(owner, owner if number % 2 else self._above(owner), state=access.draft_state, number=90)

    def _owners(self, table: Table) -> Iterable[str]:
        kinds = OWNERS.get(table.name)
        for name, kind in self.kinds.items():
            if kinds and kind not in kinds:
                continue
            parents = [fk for fk in table.foreign_key_constraints if "owner_key" in fk.column_keys]
            if all(fk.referred_table.name == "tenant" or (fk.referred_table.name, name) in self.made for fk in parents):
                yield name

    def _above(self, owner: str) -> str:
        return f"D{owner[1:4]}" if self.kinds[owner] == "ENTERPRISE" and f"D{owner[1:4]}" in self.keys else owner

    async def _insert(self, table: Table, access: Access, variant: Variant) -> None:
        row = self._row(table, access, variant)
        await self.admin.execute(
            "SELECT set_config('app.key', $1, false), set_config('app.today', '2026-03-02', false)",
            str(self.keys[variant.author]) if variant.author else "",
        )
        names = ", ".join(f'"{name}"' for name in row)
        # Reference data come with the seeds: their guards judge everybody else.
        seeded = not access.keyed and "INSERT" in access.system_write.get("sys_seed", ())
        login = f"{self.prefix}_sys_seed" if seeded else "DEFAULT"
        try:
            await self.admin.execute(f"SET SESSION AUTHORIZATION {login}")
            stored = await self.admin.fetchrow(
                f"INSERT INTO {table} ({names}) SELECT {names}"
                f" FROM jsonb_populate_record(NULL::{table}, $1) RETURNING *"
                if row
                else f"INSERT INTO {table} SELECT FROM (SELECT $1::text) one RETURNING *",
                json.dumps(row, default=str),
            )
        except asyncpg.PostgresError as fault:
            raise UnfilledError(
                f"{table.name}: no row for the fixture world ({fault}); say in tests/factories/known.py what it needs"
            ) from fault
        finally:
            await self.admin.execute("SET SESSION AUTHORIZATION DEFAULT")
            await self.admin.execute("SELECT set_config('app.key', '', false), set_config('app.today', '', false)")
        self.made.setdefault((table.name, variant.owner), dict(stored))
        if variant.person is not None:
            self.made.setdefault((table.name, str(variant.person)), dict(stored))
        self.first.setdefault(table.name, dict(stored))

    def _row(self, table: Table, access: Access, variant: Variant) -> dict[str, Any]:
        row: dict[str, Any] = {}
        words = {found[1]: found.group(2, 3) for found in map(_first_words, table.constraints) if found}
        for column in table.columns:
            if column.computed is not None or (column.identity is not None and column.identity.always):
                continue
            if column.name in ("seq", "author_key") or (column.name.endswith("_key") and column.name != "owner_key"):
                continue
            value = self._value(table, column, words, variant)
            if value is not None:
                row[column.name] = value
        given = {
            access.site: variant.site if access.site else None,
            "state": variant.state,
            "person_id": variant.person,
            "agencies_only": variant.number == AGENCIES_ONLY or None,
        }
        if "membership_id" in table.columns:
            given["membership_id"] = self.members.get(variant.person)
        row |= {name: value for name, value in given.items() if name is not None and value is not None}
        if access.is_site and variant.site:
            place, park = self.sites[variant.owner][variant.number]
            row |= {"id": variant.site, "place_id": self.ids[place], "park_id": self.ids[park] if park else None}
        made = Made(variant.owner, variant.author, variant.number, variant.state, self.ids[variant.owner])
        for name, fixed in FIXED.get(table.name, {}).items():
            row[name] = fixed(made) if callable(fixed) else fixed
        return {name: value for name, value in row.items() if value is not None}

    def _value(self, table: Table, column: Column[Any], words: dict[str, Any], variant: Variant) -> Any:
        for key in column.foreign_keys:
            parent = key.constraint
            assert isinstance(parent, ForeignKeyConstraint)
            if column.name == "owner_key":
                break
            if column.nullable:
                return None
            name = parent.referred_table.name
            row = (
                self.made.get((name, str(variant.person)))
                or self.made.get((name, variant.owner))
                or self.first.get(name)
            )
            if row is None:
                raise UnfilledError(f"{table.name}: {name} has no row")
            return row[key.column.name]
        if column.name == "owner_key":
            return self.keys[variant.owner] if not column.nullable or "owner_key" in column.name else None
        if column.name in words:
            draft = table.info["access"].draft_state
            return next(word for word in words[column.name] if word != draft)
        return self._plain(table, column, variant)

    def _plain(self, table: Table, column: Column[Any], variant: Variant) -> Any:
        kind, given = column.type, column.server_default is not None or column.nullable
        mark = f"canary-{variant.owner}-"
        if isinstance(kind, types.Uuid):
            return None if given else uuid.uuid5(_SPACE, f"{table.name}/{column.name}/{variant}")
        if isinstance(kind, postgresql.JSON):  # and JSONB
            return {"canary": mark}
        if isinstance(kind, types.String):
            return None if given and column.name != "title" else f"{mark}{column.name}-{variant.number}"[: kind.length]
        if given:
            return None
        makers: tuple[tuple[Any, Callable[[], Any]], ...] = (
            (types.ARRAY, lambda: [mark]),
            (types.Boolean, lambda: False),
            (types.Numeric, lambda: 1),
            (types.Integer, lambda: 1),
            (types.DateTime, lambda: "2026-03-01T00:00:00Z"),
            (types.Date, lambda: "2026-03-01"),
        )
        return next(make() for known, make in makers if isinstance(kind, known))


def _first_words(constraint: object) -> re.Match[str] | None:
    """The first words that a check ``column IN ('A', 'B' …)`` allows."""
    return _ONE_OF.match(str(constraint.sqltext)) if isinstance(constraint, CheckConstraint) else None
