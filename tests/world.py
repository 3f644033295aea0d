"""The fixture world: two provinces of invented tenants, people, dated grants, and rows of every table.

Each row carries a canary string that names the tenant whose row it is; whoever reads another's canary
has found a hole. Rows of tables that no factory knows are made from the table's own columns, so that
a new slice is part of the world from its first table on.
"""

import itertools
import uuid
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from app.registry import load_models
from tests.factories.rows import Filler

load_models()
SPACE = uuid.UUID("6f1d0c1e-0000-4000-8000-000000000000")
TODAY = date(2026, 3, 2)
"""The legal day of the world: a Monday."""
LEVEL_KINDS = ("PROVINCE", "CITY", "COUNTY", "TOWNSHIP", "PARK", "ENTERPRISE")
COUNTIES = ("D111", "D112", "D121", "D122", "D211", "D212", "D221", "D222")
TREE: tuple[tuple[str, str, str | None, str | None], ...] = (
    # name, kind, parent, home park
    ("N0", "NATIONAL", None, None),
    ("P1", "PROVINCE", None, None),
    ("P2", "PROVINCE", None, None),
    *((f"C{p}{c}", "CITY", f"P{p}", None) for p in (1, 2) for c in (1, 2)),
    *((name, "COUNTY", f"C{name[1:3]}", None) for name in COUNTIES),
    ("D10", "COUNTY", "P1", None),  # directly under the province: it has no city key
    *((f"T{name[1:]}", "TOWNSHIP", name, None) for name in ("D111", "D112", "D211")),
    ("K1", "PARK", "C11", None),
    ("K2", "PARK", "D211", None),
    *((f"E{name[1:]}{n}", "ENTERPRISE", name, None) for name in COUNTIES for n in (1, 4)),
    ("E1112", "ENTERPRISE", "D111", "K1"),  # one park holds enterprises of two counties
    ("E1122", "ENTERPRISE", "D112", "K1"),
    ("E2112", "ENTERPRISE", "D211", "K2"),
    *((f"E{name[1:]}2", "ENTERPRISE", name, None) for name in ("D121", "D122", "D212", "D221", "D222")),
    *((f"E{name[1:]}3", "ENTERPRISE", f"T{name[1:]}", None) for name in ("D111", "D112", "D211")),
    *((f"E{name[1:]}3", "ENTERPRISE", name, None) for name in ("D121", "D122", "D212", "D221", "D222")),
    ("E101", "ENTERPRISE", "D10", None),
    ("R1", "RESCUE_TEAM", "D111", None),
    ("R2", "RESCUE_TEAM", "C21", None),
    ("A1", "AGENCY", "P1", None),
    ("A2", "AGENCY", "C11", None),
)
SITES: tuple[tuple[str, str, str | None], ...] = (
    # enterprise, county or township, park
    ("E1111", "D111", None),
    ("E1111", "D112", None),  # the second site lies in the neighbour county
    ("E1112", "D111", "K1"),
    ("E1113", "T111", None),
    ("E1121", "T112", "K1"),
    ("E1211", "D211", None),  # and one in the other province
    ("E2111", "D211", "K2"),
    ("E2121", "D212", None),
    ("E1224", "D122", None),
    ("E101", "D10", None),
    ("A1", "D121", None),  # a service agency is a company, too
)
SUSPENDED = "E2224"
SCOPE_GRANTS = (
    ("E1111", "A1", "2026-01-01", "2026-12-31"),
    ("E1211", "A1", "2025-01-01", "2026-03-01"),  # ended yesterday
    ("E2111", "A1", "2026-03-03", "2026-12-31"),  # begins tomorrow
    ("E1121", "A2", "2026-01-01", "2026-12-31"),
    ("E1113", "A2", "2025-01-01", "2025-12-31"),  # below a township
    ("E1112", "A2", "2025-01-01", "2025-12-31"),  # in a park
    ("A1", "R2", "2025-01-01", "2025-12-31"),  # of a tenant without a level
)
INCIDENT_CALLS = (
    ("E1112", "R1", "2026-03-01", "2026-03-20"),
    ("E1122", "R1", "2026-01-01", "2026-01-20"),
    ("E2111", "R2", "2026-03-02", "2026-03-02"),
    ("E1113", "R2", "2026-01-01", "2026-01-20"),
    ("A1", "R2", "2026-01-01", "2026-01-20"),
)
HOSTINGS = (
    ("D112", "A2", "2026-01-01", "2026-12-31"),
    ("D212", "A2", "2025-01-01", "2025-12-31"),
    ("T211", "A2", "2025-01-01", "2025-12-31"),
    ("K2", "A2", "2025-01-01", "2025-12-31"),
    ("R1", "A2", "2025-01-01", "2025-12-31"),
)


@dataclass(frozen=True)
class Actor:
    """Somebody who tries to read and write."""

    name: str
    tenant: str | None
    """Name of the tenant for which he acts; None: nobody or a citizen."""
    roles: tuple[str, ...] = ()
    signed_in: bool = True
    state: str = "ACTIVE"
    valid_to: str | None = None

    @property
    def person(self) -> uuid.UUID | None:
        """Id of the person."""
        return uuid.uuid5(SPACE, f"person/{self.name}") if self.signed_in else None

    @property
    def membership(self) -> uuid.UUID:
        """Id of the membership."""
        return uuid.uuid5(SPACE, f"membership/{self.name}")

    @property
    def acts(self) -> bool:
        """Whether the membership lets him act on the day of the world."""
        ended = self.valid_to is not None and self.valid_to < TODAY.isoformat()
        return self.tenant is not None and self.state == "ACTIVE" and not ended


ACTORS = (
    Actor("anonymous", None, signed_in=False),
    Actor("citizen", None),
    Actor("enterprise_officer_1", "E1111", ("SAFETY_MANAGER",)),
    Actor("enterprise_officer_2", "E2111", ("SAFETY_MANAGER",)),
    Actor("enterprise_admin", "E1112", ("ADMIN",)),
    Actor("enterprise_two_provinces", "E1211", ("HEAD",)),
    Actor("township", "T111", ("OFFICER",)),
    Actor("township_2", "T211", ("GRID",)),
    Actor("county_1", "D111", ("OFFICER", "ACCEPTOR")),
    Actor("county_2", "D112", ("ADMIN",)),
    Actor("county_far", "D211", ("SECURITY",)),
    Actor("county_direct", "D10", ("OFFICER",)),
    Actor("city_1", "C11", ("ADMIN",)),
    Actor("city_2", "C12", ("LEADER",)),
    Actor("province_1", "P1", ("LEADER",)),
    Actor("province_2", "P2", ("STANDARDS",)),
    Actor("park_1", "K1", ("OFFICER",)),
    Actor("park_2", "K2", ("DUTY",)),
    Actor("rescue", "R1", ("CAPTAIN",)),
    Actor("rescue_2", "R2", ("DUTY",)),
    Actor("agency", "A1", ("EXPERT",)),
    Actor("host", "A2", ("EXPERT",)),
    Actor("national", "N0", ("EXCHANGE",)),
    Actor("auditor", "D111", ("AUDITOR",)),
    Actor("revoked", "D121", ("OFFICER",), state="ENDED"),
    Actor("expired", "D122", ("OFFICER",), valid_to="2026-03-01"),
)
"""Everybody of the isolation matrix."""


def tenant_id(name: str) -> uuid.UUID:
    """Return the id of a tenant of the world."""
    return uuid.uuid5(SPACE, f"tenant/{name}")


def canary(name: str) -> str:
    """Return the string that marks rows of a tenant."""
    return f"canary-{name}-"


@dataclass
class World:
    """Whole tables as a superuser reads them, and who is who."""

    keys: dict[str, int]
    """Name of a tenant to its key."""
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    actors: dict[str, Actor] = field(default_factory=lambda: {actor.name: actor for actor in ACTORS})

    @classmethod
    async def read(cls, admin: Any) -> "World":
        """Read every table of schema app."""
        names = await admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'app' AND tablename <> $1", _NOT)
        tables = {
            row["tablename"]: [dict(record) for record in await admin.fetch(f'SELECT * FROM app."{row["tablename"]}"')]
            for row in names
        }
        by_id = {row["id"]: row["key"] for row in tables["tenant"]}
        return cls({name: by_id[tenant_id(name)] for name, *_ in TREE if tenant_id(name) in by_id}, tables)

    def claims(self, actor: Actor) -> dict[str, str]:
        """Return the claims with which this actor's requests run."""
        claims = {"app.today": TODAY.isoformat()}
        if actor.person is not None:
            claims["app.person"] = str(actor.person)
        if actor.acts and actor.tenant is not None:
            claims["app.key"] = str(self.keys[actor.tenant])
            claims["app.membership"] = str(actor.membership)
        return claims

    def kind(self, actor: Actor) -> str:
        """Return the kind of the tenant for which the actor acts; PUBLIC when none."""
        return next(kind for name, kind, *_ in TREE if name == actor.tenant) if actor.acts else "PUBLIC"

    def login(self, actor: Actor) -> str:
        """Return the login under which his requests run."""
        kind = self.kind(actor)
        if kind == "PUBLIC":
            return "public"
        return kind.lower() if kind in LEVEL_KINDS else "assigned"


_NOT = "alembic_version"


async def load_world(admin: Any, prefix: str) -> None:
    """Fill a migrated, empty database.

    Args:
        admin: asyncpg connection of a superuser.
        prefix: prefix of the roles; the tree goes in as the bulk path does, so that its check runs.
    """
    keys = {name: number for number, (name, *_) in enumerate(TREE, start=11)}
    async with admin.transaction():
        await admin.execute(f"SET LOCAL SESSION AUTHORIZATION {prefix}_sys_seed")
        for row in TREE:
            await _tenant(admin, keys, *row)
    await admin.execute("SELECT setval(pg_get_serial_sequence('app.tenant', 'key'), 1000)")
    await _people(admin, keys)
    await _dated(admin, keys)
    tenants = tuple((row[0], row[1], tenant_id(row[0])) for row in TREE)
    people = tuple((actor.person, actor.tenant or "N0") for actor in ACTORS if actor.person is not None)
    await Filler(admin, prefix, keys, tenants=tenants, sites=SITES, people=people).fill()


def _levels(name: str) -> dict[str, str]:
    """Level to the tenant of that level, by walking the tree; independent of the product."""
    rows = {row[0]: row for row in TREE}
    found: dict[str, str] = {}
    step: str | None = name
    while step is not None:
        if rows[step][1] in LEVEL_KINDS:
            found.setdefault(rows[step][1].lower(), step)
        step = rows[step][2]
    if rows[name][3]:
        found["park"] = str(rows[name][3])
    return found


async def _tenant(admin: Any, keys: dict[str, int], *row: str | None) -> None:
    name, kind, parent, park = str(row[0]), *row[1:]
    levels = _levels(name)
    columns = {
        "id": tenant_id(name),
        "key": keys[name],
        "owner_key": keys[name],
        "kind": kind,
        "name": canary(name),
        "name_sort": name,
        "parent_id": tenant_id(parent) if parent else None,
        "home_park_id": tenant_id(park) if park else None,
        "status": "SUSPENDED" if name == SUSPENDED else "ACTIVE",
        **{f"{level}_key": keys[other] for level, other in levels.items()},
    }
    names, marks = ", ".join(columns), ", ".join(f"${n}" for n in range(1, len(columns) + 1))
    await admin.execute(f"INSERT INTO app.tenant ({names}) VALUES ({marks})", *columns.values())


async def _people(admin: Any, keys: dict[str, int]) -> None:
    for actor in ACTORS:
        if actor.person is None:
            continue
        issuer = "ent" if (actor.tenant or "E")[0] == "E" else "gov"
        await admin.execute(
            "INSERT INTO app.person (person_id, issuer, subject, display_name) VALUES ($1, $2, $3, $4)",
            actor.person,
            issuer,
            actor.name,
            canary(actor.tenant or "nobody") + actor.name,
        )
        if actor.tenant is None:
            continue
        await admin.execute(
            "INSERT INTO app.membership (id, owner_key, person_id, name, post, roles, state, valid_from, valid_to, "
            "is_primary) VALUES ($1, $2, $3, $4, $5, $6, $7, '2025-01-01', $8, true)",
            actor.membership,
            keys[actor.tenant],
            actor.person,
            canary(actor.tenant) + actor.name,
            "post",
            list(actor.roles),
            actor.state,
            date.fromisoformat(actor.valid_to) if actor.valid_to else None,
        )
    for name, *_ in TREE:
        await admin.execute(
            "INSERT INTO app.membership (id, owner_key, name, roles, state, valid_from) "
            "VALUES ($1, $2, $3, '{}', 'PENDING', '2026-01-01')",
            uuid.uuid5(SPACE, f"pending/{name}"),
            keys[name],
            canary(name) + "pending",
        )


async def _dated(admin: Any, keys: dict[str, int]) -> None:
    number = itertools.count()
    for table, rows in (("scope_grant", SCOPE_GRANTS), ("incident_call", INCIDENT_CALLS), ("hosting", HOSTINGS)):
        more = ", incident_id" if table == "incident_call" else ""
        for owner, grantee, begin, end in rows:
            await admin.execute(
                f"INSERT INTO app.{table} "
                f"(id, owner_key, grantee_key, grantee_name, purpose, valid_from, valid_to{more}) "
                f"VALUES ($1, $2, $3, $4, $5, $6, $7{', $1' if more else ''})",
                uuid.uuid5(SPACE, f"{table}/{next(number)}"),
                keys[owner],
                keys[grantee],
                canary(grantee),
                canary(owner) + table,
                date.fromisoformat(begin),
                date.fromisoformat(end),
            )
    for name, kind, *_ in TREE:
        moved = name == "E1224"
        await admin.execute(
            "INSERT INTO app.tenant_change (id, owner_key, kind, before, after, valid_from, document, other_id) "
            "VALUES ($1, $2, $3, $4, $5, '2026-01-01', $6, $7)",
            uuid.uuid5(SPACE, f"change/{name}"),
            keys[name],
            "MOVE" if moved else "RENAME",
            "{}",
            "{}",
            canary(name) + kind,
            tenant_id("D122") if moved else None,
        )
