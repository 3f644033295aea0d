"""Seeds of the reference tables, by the bulk path: COPY into a stage, INSERT … SELECT what is new.

Running it again adds nothing. A newer release adds what its files hold in addition: versions and
calendar years whose content is new, divisions whose code and first day are new; and it ends the
divisions that its list ends. Nothing else ever changes a row.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from typing import Any, TypeAlias
from uuid import UUID

from app.kit.ids import uuid7
from app.kit.rules import shipped
from app.kit.rules.datafiles import day_or_none
from app.kit.rules.tables import TableRow
from app.kit.sortkey import sort_key
from app.modules.standards.models import NATIONAL
from app.modules.standards.service import content_hash
from infra.db.port import Database
from infra.settings import Settings

Connection: TypeAlias = Any  # asyncpg ships no types

_DIVISION = ("id", "code", "name", "name_sort", "level", "parent_code", "valid_from", "valid_to", "successor_codes")
_TABLE = ("id", "code", "name_zh", "name_en")
_VERSION = ("id", "area_code", "version", "valid_from", "legal_basis", "source", "mark", "content_hash", "row_count")
_ROW = ("id", "version_id", "position", "code", "parent_code", "name_zh", "name_en", "attrs", "legal_basis")
_YEAR = ("id", "year", "source", "mark", "content_hash")
_DAY = ("id", "year_id", "day", "kind", "name_zh", "name_en", "in_lieu")

_STAGE = {
    "stage_division": ("division", (*_DIVISION, "source")),
    "stage_table": ("standard_table", _TABLE),
    "stage_version": ("standard_version", _VERSION),
    "stage_row": ("standard_row", (*_ROW, "valid_from", "source", "mark")),
    "stage_year": ("calendar_year", _YEAR),
    "stage_day": ("calendar_day", _DAY),
}


async def seed(connection: Connection) -> dict[str, int]:
    """Write the reference data that is not there yet, in one transaction.

    Args:
        connection: a plain connection of the login ``sys_seed``.

    Returns:
        rows added per table, ``division_closed`` for divisions that were ended, and ``skipped_<level>`` for
        divisions that cannot be placed (decision 43).
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext('anlan.seed.standards'))")
        for stage, (table, columns) in _STAGE.items():
            await connection.execute(
                f"CREATE TEMP TABLE {stage} ON COMMIT DROP AS SELECT {', '.join(columns)} FROM app.{table} WITH NO DATA"
            )
        await connection.execute("ALTER TABLE stage_version ADD COLUMN table_code text")
        await _copy_divisions(connection)
        await _copy_tables(connection, list(shipped.tables()))
        await _copy_calendar(connection)
        closed = int((await connection.execute(_CLOSE)).rpartition(" ")[2])
        added = {table: await _insert(connection, stage, table, columns) for stage, (table, columns) in _STAGE.items()}
    return (
        added
        | {"division_closed": closed}
        | {f"skipped_{level.lower()}": count for level, count in shipped.skipped_divisions().items()}
    )


async def run(db: Database, _settings: Settings, _size: str) -> list[str]:
    """Seed, and say what was done; the same for every size."""
    async with db.connect("sys_seed") as connection:
        done = await seed(connection)
    counts = ", ".join(f"{table} {count}" for table, count in done.items() if not table.startswith("skipped_"))
    skipped = ", ".join(f"{count} of level {name[8:]}" for name, count in done.items() if name.startswith("skipped_"))
    return [f"standards: {counts}", f"divisions that cannot be placed (development zones): {skipped}"]


async def _copy(connection: Connection, stage: str, columns: Sequence[str], records: Iterable[Sequence[Any]]) -> None:
    await connection.copy_records_to_table(stage, records=list(records), columns=list(columns))


async def _copy_divisions(connection: Connection) -> None:
    records = []
    for item in shipped.divisions():
        code, name, *rest, successors, source = astuple(item)
        records.append((uuid7(), code, name, sort_key(name), *rest, list(successors), source))
    await _copy(connection, "stage_division", (*_DIVISION, "source"), records)


async def _copy_tables(connection: Connection, tables: Sequence[shipped.ShippedTable]) -> None:
    versions, rows = [], []
    for table in tables:
        version_id = uuid7()
        digest = content_hash(table.version, table.valid_from, table.rows)
        head = (version_id, NATIONAL, table.version, table.valid_from, table.legal_basis)
        versions.append((*head, _source(table.rows), table.mark, digest, len(table.rows), table.code))
        rows += [_record(version_id, position, row) for position, row in enumerate(table.rows, 1)]
    await _copy(connection, "stage_table", _TABLE, ((uuid7(), t.code, t.name_zh, t.name_en) for t in tables))
    await _copy(connection, "stage_version", (*_VERSION, "table_code"), versions)
    await _copy(connection, "stage_row", _STAGE["stage_row"][1], rows)


async def _copy_calendar(connection: Connection) -> None:
    years, days = [], []
    for year, source, mark, special in shipped.calendar_years():
        year_id = uuid7()
        digest = hashlib.sha256(json.dumps(special, sort_keys=True).encode()).hexdigest()
        years.append((year_id, year, source, mark, digest))
        for row in special:
            names = (row["name_zh"], row["name_en"], row["in_lieu"] == "1")
            days.append((uuid7(), year_id, day_or_none(row["day"]), row["kind"].upper(), *names))
    await _copy(connection, "stage_year", _YEAR, years)
    await _copy(connection, "stage_day", _DAY, days)


_CLOSE = """UPDATE app.division d SET valid_to = s.valid_to, successor_codes = s.successor_codes FROM stage_division s
WHERE d.code = s.code AND d.valid_from IS NOT DISTINCT FROM s.valid_from AND s.valid_to IS NOT NULL
AND (d.valid_to IS DISTINCT FROM s.valid_to OR d.successor_codes <> s.successor_codes)"""
"""Ends divisions that a newer list ends and names their successors; first, so that a code is free again."""

_NEW = {
    "division": "NOT EXISTS (SELECT FROM app.division d WHERE d.code = s.code AND "
    "(d.valid_from IS NOT DISTINCT FROM s.valid_from OR (d.valid_to IS NULL AND s.valid_to IS NULL)))",
    "standard_table": "NOT EXISTS (SELECT FROM app.standard_table t WHERE t.code = s.code)",
    "standard_row": "EXISTS (SELECT FROM app.standard_version v WHERE v.id = s.version_id)",
    "calendar_year": "NOT EXISTS (SELECT FROM app.calendar_year y WHERE (y.year, y.content_hash)"
    " = (s.year, s.content_hash))",
    "calendar_day": "EXISTS (SELECT FROM app.calendar_year y WHERE y.id = s.year_id)",
}


async def _insert(connection: Connection, stage: str, table: str, columns: Sequence[str]) -> int:
    """Insert what is new; children follow their parent's id, which is only there when the parent was new."""
    names = ", ".join(columns)
    if table == "standard_version":
        sql = (
            f"INSERT INTO app.standard_version (table_id, {names}) SELECT t.id, {', '.join('s.' + c for c in columns)} "
            "FROM stage_version s JOIN app.standard_table t ON t.code = s.table_code WHERE NOT EXISTS (SELECT FROM "
            "app.standard_version v WHERE v.table_id = t.id AND v.area_code = s.area_code "
            "AND v.content_hash = s.content_hash)"
        )
    else:
        sql = f"INSERT INTO app.{table} ({names}) SELECT {names} FROM {stage} s WHERE {_NEW[table]}"
    return int((await connection.execute(sql)).rpartition(" ")[2])


def _record(version_id: UUID, position: int, row: TableRow) -> tuple[Any, ...]:
    attrs = json.dumps(dict(row.attrs), ensure_ascii=False)
    head = (uuid7(), version_id, position, row.code, row.parent_code, row.name_zh, row.name_en, attrs)
    return (*head, row.legal_basis, row.valid_from, row.source, row.mark)


def _source(rows: Sequence[TableRow]) -> str:
    """Name the sources of a table once each, in order."""
    return "; ".join(dict.fromkeys(row.source for row in rows if row.source))
