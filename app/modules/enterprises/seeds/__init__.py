"""Seeds of enterprises by the bulk path: COPY into stages, INSERT … SELECT with the keys by join (decision 15).

Tenants, files, sites and people of invented enterprises; also the files of the enterprises that the
members slice has seeded as tenants. The database verifies the keys; a second run adds nothing.
"""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeAlias

from app.kit.legal_clock import LegalClock
from app.kit.sortkey import sort_key
from app.modules.enterprises.seeds.invented import Invented, Inventor
from app.modules.members.public import tree
from infra.db.port import Database
from infra.settings import Settings
from tenants.kinds import LEVELS, Kind, key_column

Connection: TypeAlias = Any  # asyncpg ships no types

SIZES = {"s": 500, "m": 20_000}
"""Enterprises per size (stories, section 5)."""
BATCH = 5000
_KEYS = tuple(key_column(level) for level in LEVELS)
_AREA = ("province_key", "city_key", "county_key", "township_key")
_TENANT = ("id", "name", "name_sort", "credit_code", "place_code", "park_id")
_FILE = (
    "id",
    "credit_code",
    "name",
    "name_sort",
    "legal_representative",
    "established_on",
    "capital_wan",
    "registered_address",
    "division_code",
    "industry_code",
    "employees",
    "revenue_wan",
    "assets_wan",
    "size_class",
    "size_class_as_of",
    "size_basis",
    "duties",
    "supervision_categories",
    "standardization_grade",
    "contact_name",
    "contact_phone",
    "safety_licence_no",
    "hazchem_licence_no",
    "liability_policy_no",
    "status",
    "lifecycle",
    "completeness",
    "confirmed_on",
)
_SITE = (
    "id",
    "enterprise_id",
    "enterprise_name",
    "park_id",
    "name",
    "address",
    "division_code",
    "division_on",
    "longitude",
    "latitude",
    "is_main",
)
_PERSON = ("id", "enterprise_id", "name", "role", "phone_masked", "certificate_expires_on")
_PLACE = (
    "JOIN app.tenant p ON p.division_code = s.place_code AND p.kind IN ('COUNTY', 'TOWNSHIP') AND p.status <> 'CLOSED'"
)
_INSERTS = {
    "tenant": f"""
INSERT INTO app.tenant (key, owner_key, id, kind, name, name_sort, credit_code, parent_id, home_park_id,
                        {", ".join(_AREA)}, park_key, enterprise_key)
SELECT n.key, n.key, n.id, 'ENTERPRISE', n.name, n.name_sort, n.credit_code, p.id, n.park_id,
       {", ".join("p." + key for key in _AREA)}, coalesce(h.key, p.park_key), n.key
  FROM (SELECT nextval('app.tenant_key_seq')::int AS key, s.* FROM (
          SELECT s.* FROM stage_tenant s {_PLACE}
           WHERE NOT EXISTS (SELECT FROM app.tenant t WHERE t.id = s.id OR t.credit_code = s.credit_code)
           ORDER BY s.credit_code) s) n
  JOIN app.tenant p ON p.division_code = n.place_code AND p.kind IN ('COUNTY', 'TOWNSHIP') AND p.status <> 'CLOSED'
  LEFT JOIN app.tenant h ON h.id = n.park_id""",
    "enterprise": f"""
INSERT INTO app.enterprise (owner_key, {", ".join(_KEYS)}, {", ".join(_FILE)})
SELECT t.key, {", ".join("t." + key for key in _KEYS)}, {", ".join("s." + name for name in _FILE)}
  FROM stage_enterprise s JOIN app.tenant t ON t.id = s.id AND t.kind = 'ENTERPRISE'
 WHERE NOT EXISTS (SELECT FROM app.enterprise e WHERE e.id = s.id OR e.credit_code = s.credit_code)""",
    "site": f"""
INSERT INTO app.site (owner_key, place_id, {", ".join(_AREA)}, park_key, enterprise_key, {", ".join(_SITE)})
SELECT e.owner_key, p.id, {", ".join("p." + key for key in _AREA)}, h.key, e.enterprise_key,
       {", ".join("s." + name for name in _SITE)}
  FROM (SELECT s.*, s.division_code AS place_code FROM stage_site s) s
  JOIN app.enterprise e ON e.id = s.enterprise_id {_PLACE} LEFT JOIN app.tenant h ON h.id = s.park_id
 WHERE NOT EXISTS (SELECT FROM app.site o WHERE o.id = s.id)""",
    "enterprise_person": f"""
INSERT INTO app.enterprise_person (owner_key, {", ".join(_KEYS)}, {", ".join(_PERSON)})
SELECT e.owner_key, {", ".join("e." + key for key in _KEYS)}, {", ".join("s." + name for name in _PERSON)}
  FROM stage_enterprise_person s JOIN app.enterprise e ON e.id = s.enterprise_id
 WHERE NOT EXISTS (SELECT FROM app.enterprise_person o WHERE o.id = s.id)""",
}
_STAGED = {"tenant.park_id": "home_park_id AS park_id", "tenant.place_code": "division_code AS place_code"}
"""Columns that a stage names otherwise than its table."""
_COLUMNS = {"tenant": _TENANT, "enterprise": _FILE, "site": _SITE, "enterprise_person": _PERSON}


@dataclass
class Seeded:
    """What a run did.

    Args:
        rows: rows added per table.
        inventing_s: seconds spent making the data up.
        writing_s: seconds spent in the database.
    """

    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COLUMNS, 0))
    inventing_s: float = 0.0
    writing_s: float = 0.0

    @property
    def rate(self) -> float:
        """Rows per second of the database's share."""
        return sum(self.rows.values()) / self.writing_s if self.writing_s else 0.0


async def seed(connection: Connection, count: int, on: date) -> Seeded:
    """Write the first ``count`` invented enterprises, and the files of the demo's own, in one transaction.

    Args:
        connection: a plain connection of ``sys_seed``; the tree is there already.
        count: how many; more is a continuation of fewer.
        on: legal day as of which files and sites are made.
    """
    done = Seeded()
    inventor = Inventor(on)
    own = [inventor.of_tenant(tenant) for tenant in tree() if tenant.kind is Kind.ENTERPRISE]
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('anlan.seed.enterprises'))")
        await _stages(connection)
        await _write(connection, done, own, on, tenants=False)
        for first in range(0, count, BATCH):
            begin = time.perf_counter()
            batch = [inventor.one(number) for number in range(first, min(first + BATCH, count))]
            done.inventing_s += time.perf_counter() - begin
            await _write(connection, done, batch, on, tenants=True)
    return done


async def run(db: Database, settings: Settings, size: str) -> list[str]:
    """Seed the size, and say what was done."""
    clock = LegalClock(settings)
    await clock.refresh(db)
    async with db.connect("sys_seed") as connection:
        done = await seed(connection, SIZES[size], clock.today())
    added = ", ".join(f"{table} {count}" for table, count in done.rows.items())
    if not any(done.rows.values()):
        return [f"nothing new: {added}"]
    return [f"{added}; {done.rate:,.0f} rows/s written, {done.inventing_s:.1f} s spent on inventing them"]


async def _stages(connection: Connection) -> None:
    for table, columns in _COLUMNS.items():
        wanted = ", ".join(_STAGED.get(f"{table}.{name}", name) for name in columns)
        await connection.execute(
            f"CREATE TEMP TABLE stage_{table} ON COMMIT DROP AS SELECT {wanted} FROM app.{table} WITH NO DATA"
        )


async def _write(connection: Connection, done: Seeded, batch: Sequence[Invented], on: date, *, tenants: bool) -> None:
    begin = time.perf_counter()
    keys = {item.id: sort_key(item.name) for item in batch}
    done.inventing_s += time.perf_counter() - begin
    records: dict[str, Iterable[tuple[Any, ...]]] = {
        "tenant": (
            (item.id, item.name, keys[item.id], item.credit_code, item.place_code, item.park_id)
            for item in (batch if tenants else ())
        ),
        "enterprise": (_file_record(item, keys[item.id]) for item in batch),
        "site": (record for item in batch for record in _site_records(item, on)),
        "enterprise_person": (
            (person.id, item.id, person.name, person.role, person.phone_masked, person.expires)
            for item in batch
            for person in item.people
        ),
    }
    begin = time.perf_counter()
    for table, rows in records.items():
        await connection.execute(f"TRUNCATE stage_{table}")
        await connection.copy_records_to_table(f"stage_{table}", records=list(rows), columns=list(_COLUMNS[table]))
        await connection.execute(f"ANALYZE stage_{table}")
        done.rows[table] += int((await connection.execute(_INSERTS[table])).rpartition(" ")[2])
    done.writing_s += time.perf_counter() - begin


def _file_record(item: Invented, name_sort: str) -> tuple[Any, ...]:
    values = {**item.file, "id": item.id, "name_sort": name_sort}
    for name in ("size_basis", "duties"):
        values[name] = json.dumps(values[name], ensure_ascii=False)
    return tuple(values[name] for name in _FILE)


def _site_records(item: Invented, on: date) -> Iterable[tuple[Any, ...]]:
    for site in item.sites:
        where = (site.park_id, f"{item.name}{site.name}", site.address, site.place_code, on)
        yield (site.id, item.id, item.name, *where, *site.point, site.is_main)
