"""Seeds: the real tree of two provinces as tenants, and invented people with accounts of the embedded issuer.

By the bulk path (decision 15): COPY into a stage, INSERT … SELECT with the keys by join, one
statement per level; the database verifies the keys. Running it again changes nothing.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any, TypeAlias

from app.kit.rules import shipped
from app.kit.sortkey import sort_key
from app.modules.members.service import demo, realm_of
from infra.db.port import Database
from infra.identity.port import Attributes, Directory, NewAccount
from tenants.kinds import LEVELS, Kind, key_column

Connection: TypeAlias = Any  # asyncpg ships no types

FIRST_DAY = date(2024, 1, 1)
"""Demo memberships are valid from this day on."""
_ORDER = (
    Kind.NATIONAL,
    Kind.PROVINCE,
    Kind.CITY,
    Kind.COUNTY,
    Kind.TOWNSHIP,
    Kind.PARK,
    Kind.ENTERPRISE,
    Kind.RESCUE_TEAM,
    Kind.AGENCY,
)
"""Parents before children."""
_TENANT = ("id", "kind", "name", "name_sort", "division_code", "credit_code", "parent_id", "home_park_id")
_PERSON = ("person_id", "issuer", "subject", "display_name")
_MEMBER = ("id", "tenant_id", "person_id", "name", "post", "roles", "valid_from")
_KEYS = [key_column(level) for level in LEVELS]


def _key(level: str) -> str:
    above = f"p.{key_column(level)}"
    if level == "park":
        above = "coalesce(h.key, p.park_key)"
    if level == "enterprise":
        above = "NULL"
    return f"CASE s.kind WHEN '{level.upper()}' THEN s.key ELSE {above} END"


_INSERT_TENANTS = f"""
INSERT INTO app.tenant (key, owner_key, {", ".join(_TENANT)}, {", ".join(_KEYS)})
SELECT s.key, s.key, {", ".join("s." + column for column in _TENANT)}, {", ".join(map(_key, LEVELS))}
  FROM (SELECT nextval('app.tenant_key_seq')::int AS key, n.* FROM (
          SELECT st.* FROM stage_tenant st WHERE st.kind = $1
             AND NOT EXISTS (SELECT FROM app.tenant t WHERE t.id = st.id
                  OR t.kind = st.kind AND t.division_code = st.division_code AND t.status <> 'CLOSED')
           ORDER BY st.division_code, st.name_sort) n) s
  LEFT JOIN app.tenant p ON p.id = s.parent_id LEFT JOIN app.tenant h ON h.id = s.home_park_id
 WHERE s.parent_id IS NULL OR p.id IS NOT NULL
"""
_INSERT_PEOPLE = f"""
INSERT INTO app.person ({", ".join(_PERSON)}) SELECT {", ".join(_PERSON)} FROM stage_person s
 WHERE NOT EXISTS (SELECT FROM app.person p WHERE p.person_id = s.person_id
                    OR (p.issuer, p.subject) = (s.issuer, s.subject))
"""
_INSERT_MEMBERS = f"""
INSERT INTO app.membership (id, owner_key, person_id, name, post, roles, valid_from, state, is_primary,
                            {", ".join(_KEYS)})
SELECT s.id, t.key, s.person_id, s.name, s.post, s.roles, s.valid_from, 'ACTIVE', true,
       {", ".join("t." + key for key in _KEYS)}
  FROM stage_member s JOIN app.tenant t ON t.id = s.tenant_id
 WHERE NOT EXISTS (SELECT FROM app.membership m WHERE m.id = s.id)
"""


async def seed(db: Database, directory: Directory) -> list[str]:
    """Write the tree and the demo people that are not there yet.

    Args:
        db: the database.
        directory: the issuer that gets the accounts.

    Returns:
        Lines that say what was written, and what the source data could not give.
    """
    async with db.connect("sys_seed") as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('anlan.seed.members'))")
        tenants = await seed_tree(connection, demo.tree())
        people, members = await seed_people(connection, demo.people())
    by_ref = {tenant.ref: tenant for tenant in demo.tree()}
    accounts = await directory.create_many([_account(person, by_ref[person.ref]) for person in demo.people()])
    counts = ", ".join(f"{count} {kind.lower().replace('_', ' ')}" for kind, count in tenants.items() if count)
    skipped = ", ".join(f"{count} {level.lower()}" for level, count in shipped.skipped_divisions().items())
    unplaced = sum(not park.county_codes for park in shipped.parks())
    return [
        f"{sum(tenants.values())} tenants new of {len(demo.tree())} in the tree{f' ({counts})' if counts else ''}",
        f"skipped codes (development zones without a county): {skipped}; {unplaced} parks stand under their province",
        f"{people} people, {members} memberships, {accounts} accounts new",
    ]


async def seed_tree(connection: Connection, tenants: Sequence[demo.DemoTenant]) -> dict[Kind, int]:
    """Insert tenants, level by level; those that exist stay as they are.

    Args:
        connection: of ``sys_seed``, in a transaction.
        tenants: whose parents are among them or exist.

    Returns:
        How many of each kind are new.
    """
    await connection.execute(
        f"CREATE TEMP TABLE stage_tenant ON COMMIT DROP AS SELECT {', '.join(_TENANT)} FROM app.tenant WITH NO DATA"
    )
    records = [
        (
            tenant.id,
            str(tenant.kind),
            tenant.name,
            sort_key(tenant.name),
            tenant.division_code,
            tenant.credit_code,
            demo.tenant_id(tenant.parent) if tenant.parent else None,
            demo.tenant_id(tenant.park) if tenant.park else None,
        )
        for tenant in tenants
    ]
    await connection.copy_records_to_table("stage_tenant", records=records, columns=list(_TENANT))
    await connection.execute("ANALYZE stage_tenant")
    added: Counter[Kind] = Counter()
    for kind in _ORDER:
        added[kind] += _count(await connection.execute(_INSERT_TENANTS, str(kind)))
    await connection.execute("DROP TABLE stage_tenant")
    return dict(added)


async def seed_people(connection: Connection, people: Sequence[demo.DemoPerson]) -> tuple[int, int]:
    """Insert persons and their active memberships; returns how many of each are new."""
    kinds = {tenant.ref: tenant.kind for tenant in demo.tree()}
    await connection.execute(
        "CREATE TEMP TABLE stage_person (person_id uuid, issuer text, subject text, display_name text) ON COMMIT DROP;"
        "CREATE TEMP TABLE stage_member (id uuid, tenant_id uuid, person_id uuid, name text, post text, roles text[],"
        " valid_from date) ON COMMIT DROP"
    )
    persons = [(p.person_id, realm_of(kinds[p.ref]), str(p.subject), p.name) for p in people]
    members = [
        (p.membership_id, demo.tenant_id(p.ref), p.person_id, p.name, p.post, [p.role], FIRST_DAY) for p in people
    ]
    await connection.copy_records_to_table("stage_person", records=persons, columns=list(_PERSON))
    await connection.copy_records_to_table("stage_member", records=members, columns=list(_MEMBER))
    return _count(await connection.execute(_INSERT_PEOPLE)), _count(await connection.execute(_INSERT_MEMBERS))


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])


def _account(person: demo.DemoPerson, tenant: demo.DemoTenant) -> NewAccount:
    return NewAccount(
        realm_of(tenant.kind),
        person.account,
        person.name,
        Attributes(tenant.id, tenant.kind.lower(), tenant.division_code, tenant.credit_code),
        frozenset({person.role}),
        person.subject,
    )
