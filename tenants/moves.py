"""The job that applies a change of a tenant and rewrites level keys wherever they follow from it.

Every row carries one value per level, and one UPDATE sets them all: at each moment a row is at its
old place or at its new one, never at both or at none. Rows are rewritten in batches, each its own
transaction, so that nobody waits long.

An INSERT that read the tenant before the change may commit after a batch has passed. So the job notes
which transactions run right after the change has committed and, once they have ended, goes on until a
whole pass rewrites nothing. It notes *virtual* transactions (and prepared ones): a transaction gets its
number only when it first writes, so one that has read the old keys may still be without one, and
comparing ``pg_snapshot_xmin`` with the change's number would miss it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import MetaData, Table

from infra.db.base import Base
from infra.db.port import Database
from tenants.access import Access, access_of
from tenants.changes import ChangeKind
from tenants.kinds import LEVELS, key_column

LOGIN = "sys_move"
LOCK = 7_146_002
"""Advisory lock: one move at a time, so that two never disagree about a common child."""
BATCH = 500
_OWNERS = 200
"""Owners per statement: bounds what one batch looks at."""
_POLL_SECONDS = 0.05
_KEYS = tuple(key_column(level) for level in LEVELS)

Progress = Callable[[str, int], Awaitable[None]]
"""Told the table in work and how many rows have been rewritten so far."""

_APPLY = {
    ChangeKind.RENAME: (
        "UPDATE app.tenant SET name = $2::jsonb->>'name', name_sort = coalesce($2::jsonb->>'name_sort', name_sort), "
        "version = version + 1, updated_at = now() WHERE id = $1"
    ),
    ChangeKind.MOVE: (
        "UPDATE app.tenant SET parent_id = ($2::jsonb->>'parent_id')::uuid, "
        "home_park_id = ($2::jsonb->>'home_park_id')::uuid, version = version + 1, updated_at = now() WHERE id = $1"
    ),
    ChangeKind.CLOSE: (
        "UPDATE app.tenant SET status = 'CLOSED', version = version + 1, updated_at = now() "
        "WHERE id = $1 AND $2::jsonb IS NOT NULL"
    ),
}
_TAKE_OVER = (
    "UPDATE app.tenant SET status = 'CLOSED', successor_id = ($2::jsonb->>'successor_id')::uuid, "
    "version = version + 1, updated_at = now() WHERE id = $1"
)
_CHILDREN = (
    "UPDATE app.tenant SET parent_id = ($2::jsonb->>'successor_id')::uuid, version = version + 1, updated_at = now() "
    "WHERE parent_id = $1"
)
_CHANGE = (
    "SELECT c.kind, c.after::text AS after, t.id AS tenant_id, c.applied_at, "
    "(c.after->>'successor_id')::uuid AS successor_id "
    "FROM app.tenant_change c JOIN app.tenant t ON t.key = c.owner_key WHERE c.id = $1 FOR UPDATE OF c, t"
)
_SUBTREE = (
    "WITH RECURSIVE s AS (SELECT id, key FROM app.tenant WHERE id = ANY($1::uuid[]) UNION "
    "SELECT t.id, t.key FROM app.tenant t JOIN s ON t.parent_id = s.id OR t.successor_id = s.id) SELECT id, key FROM s"
)
_OWN = "CASE t.kind WHEN '{kind}' THEN t.key ELSE p.{key} END"
_RUNNING = (
    "SELECT coalesce(array_agg(l.virtualxid), '{}') FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.pid <> pg_backend_pid() "
    "AND a.datname = current_database() AND (cardinality($1::text[]) = 0 OR l.virtualxid = ANY($1::text[]))"
)
_PREPARED = (
    "SELECT coalesce(array_agg(gid::text), '{}') FROM pg_prepared_xacts WHERE database = current_database() "
    "AND (cardinality($1::text[]) = 0 OR gid = ANY($1::text[]))"
)


@dataclass(frozen=True)
class Moved:
    """What a job did."""

    rows: int
    """Rows whose keys it rewrote."""
    passes: int
    """Passes over the tables; the last one found nothing to do."""


async def apply(
    db: Database,
    change_id: UUID,
    *,
    progress: Progress | None = None,
    batch: int = BATCH,
    metadata: MetaData = Base.metadata,
) -> Moved:
    """Apply a recorded change; a second call, or a call after a crash, goes on where the first one stopped.

    Args:
        db: the database.
        change_id: row of ``tenant_change``.
        progress: told what happens.
        batch: rows per transaction.
        metadata: the complete metadata.

    Raises:
        LookupError: there is no such change.
    """
    async with db.connect(LOGIN) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        async with connection.transaction():
            change = await connection.fetchrow(_CHANGE, change_id)
            if change is None:
                raise LookupError(f"no change {change_id}")
            if change["applied_at"] is not None:
                return Moved(0, 0)
            await _change_tenant(connection, ChangeKind(change["kind"]), change["tenant_id"], change["after"])
        moved = Moved(0, 0)
        if change["kind"] not in (ChangeKind.RENAME, ChangeKind.CLOSE):
            # After a merger the children stand below the other one.
            concerned = [one for one in (change["tenant_id"], change["successor_id"]) if one is not None]
            moved = await _Job(connection, metadata, progress, batch).run(concerned, [])
        await connection.execute("UPDATE app.tenant_change SET applied_at = now() WHERE id = $1", change_id)
        return moved


async def settle(
    db: Database,
    tenants: Iterable[UUID] = (),
    sites: Iterable[UUID] = (),
    *,
    progress: Progress | None = None,
    batch: int = BATCH,
    metadata: MetaData = Base.metadata,
) -> Moved:
    """Rewrite every key that follows from these tenants and sites, as after a site has got another county or park.

    Call it after the transaction that changed them has committed.
    """
    async with db.connect(LOGIN) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        return await _Job(connection, metadata, progress, batch).run(list(tenants), list(sites))


async def _change_tenant(connection: Any, kind: ChangeKind, tenant_id: UUID, after: str) -> None:
    """Change the tenant's own row, its keys included, in the transaction of the caller."""
    if kind in _APPLY:
        await connection.execute(_APPLY[kind], tenant_id, after)
    else:
        await connection.execute(_TAKE_OVER, tenant_id, after)
        if kind is ChangeKind.MERGE:
            await connection.execute(_CHILDREN, tenant_id, after)
    await connection.execute(f"{_tenants_sql()} AND t.id = $1", tenant_id)


def _expected_tenant(key: str) -> str:
    """SQL for the value that a level key of tenant ``t`` must have: its successor's, else its own or its parent's."""
    own = {
        "park_key": "CASE t.kind WHEN 'PARK' THEN t.key ELSE coalesce(h.key, p.park_key) END",
        "enterprise_key": "CASE t.kind WHEN 'ENTERPRISE' THEN t.key END",
    }.get(key, _OWN.format(kind=key.removesuffix("_key").upper(), key=key))
    return f"CASE WHEN n.id IS NOT NULL THEN n.{key} ELSE {own} END"


def _tenants_sql() -> str:
    expected = ", ".join(f"{_expected_tenant(key)} AS {key}" for key in _KEYS)
    return (
        f"UPDATE app.tenant t SET {', '.join(f'{key} = e.{key}' for key in _KEYS)} FROM (SELECT t.id, {expected} "
        "FROM app.tenant t LEFT JOIN app.tenant p ON p.id = t.parent_id "
        "LEFT JOIN app.tenant h ON h.id = t.home_park_id LEFT JOIN app.tenant n ON n.id = t.successor_id) e "
        f"WHERE e.id = t.id AND ({_tuple('t')}) IS DISTINCT FROM ({_tuple('e')})"
    )


def _tuple(alias: str) -> str:
    return ", ".join(f"{alias}.{key}" for key in _KEYS)


class _Job:
    """One run: which tenants and sites it concerns, and the passes over all tables."""

    def __init__(self, connection: Any, metadata: MetaData, progress: Progress | None, batch: int) -> None:
        self._connection = connection
        self._progress = progress
        self._batch = batch
        keyed = [(table, access_of(table)) for table in metadata.sorted_tables if access_of(table).keyed]
        self._sites = [table for table, access in keyed if access.is_site]
        self._rows = [pair for pair in keyed if not pair[1].self_keyed and not pair[1].is_site]
        self._done = 0

    async def run(self, tenants: list[UUID], sites: list[UUID]) -> Moved:
        older = await self._older(), await self._prepared()
        passes, settled = 0, False
        while True:
            before = self._done
            await self._pass(tenants, sites)
            passes += 1
            if settled and self._done == before:
                return Moved(self._done, passes)
            if not settled:
                await self._wait(*older)
                settled = True

    async def _older(self, among: Iterable[str] = ()) -> list[str]:
        return list(await self._connection.fetchval(_RUNNING, list(among)))

    async def _prepared(self, among: Iterable[str] = ()) -> list[str]:
        return list(await self._connection.fetchval(_PREPARED, list(among)))

    async def _wait(self, running: list[str], prepared: list[str]) -> None:
        """Wait until every transaction that ran when the change committed has ended."""
        while running or prepared:
            await asyncio.sleep(_POLL_SECONDS)
            running = await self._older(running) if running else []
            prepared = await self._prepared(prepared) if prepared else []

    async def _pass(self, tenants: list[UUID], sites: list[UUID]) -> None:
        rows = await self._connection.fetch(_SUBTREE, tenants)
        ids, owners = [row["id"] for row in rows], {row["key"] for row in rows}
        while await self._count("tenant", f"{_tenants_sql()} AND t.id = ANY($1::uuid[])", ids):
            pass  # parents first: a child follows in the next round
        for table in self._sites:
            owners |= await self._place_sites(table, owners, ids, sites)
        for table, access in self._rows:
            await self._place_rows(table, access, sorted(owners))

    async def _place_sites(self, table: Table, owners: set[int], ids: list[UUID], sites: list[UUID]) -> set[int]:
        concerned = (
            f"SELECT id, owner_key FROM {table} WHERE owner_key = ANY($1::int[]) OR place_id = ANY($2::uuid[]) "
            "OR park_id = ANY($2::uuid[]) OR id = ANY($3::uuid[])"
        )
        rows = await self._connection.fetch(concerned, sorted(owners), ids, sites)
        found = [row["id"] for row in rows]
        statement = (
            f"UPDATE {table} x SET province_key = p.province_key, city_key = p.city_key, county_key = p.county_key, "
            "township_key = p.township_key, park_key = h.key, enterprise_key = o.enterprise_key "
            f"FROM {table} y JOIN app.tenant p ON p.id = y.place_id LEFT JOIN app.tenant h ON h.id = y.park_id "
            "JOIN app.tenant o ON o.key = y.owner_key "
            f"WHERE x.id = y.id AND y.id = ANY($1::uuid[]) AND ({_tuple('x')}) IS DISTINCT FROM "
            "(p.province_key, p.city_key, p.county_key, p.township_key, h.key, o.enterprise_key)"
        )
        for start in range(0, len(found), self._batch):
            await self._count(table.name, statement, found[start : start + self._batch])
        return {row["owner_key"] for row in rows}

    async def _place_rows(self, table: Table, access: Access, owners: list[int]) -> None:
        statement = _rows_sql(table, access, self._batch)
        for start in range(0, len(owners), _OWNERS):
            while await self._count(table.name, statement, owners[start : start + _OWNERS]):
                pass

    async def _count(self, name: str, statement: str, *args: object) -> int:
        number = int((await self._connection.execute(statement, *args)).split()[-1])
        self._done += number
        if number and self._progress is not None:
            await self._progress(name, self._done)
        return number


def _rows_sql(table: Table, access: Access, batch: int) -> str:
    """UPDATE of the next batch of rows whose keys are not those of their owner or site."""
    site = access.site
    joins = "JOIN app.tenant o ON o.key = x.owner_key"
    if site:
        joins += f" LEFT JOIN app.site s ON s.id = x.{site} AND s.owner_key = x.owner_key"
    expected = []
    for key in _KEYS:
        value = f"CASE WHEN s.id IS NULL THEN o.{key} ELSE s.{key} END" if site else f"o.{key}"
        if key == "enterprise_key" and access.agencies_only:
            value = "NULL::int"
        elif key == "enterprise_key" and "agencies_only" in table.columns:
            value = f"CASE WHEN x.agencies_only THEN NULL ELSE {value} END"
        expected.append(f"{value} AS {key}")
    primary = [column.name for column in table.primary_key.columns]
    chosen, same = ", ".join(f"x.{name}" for name in primary), " AND ".join(f"x.{name} = w.{name}" for name in primary)
    draft = f" AND x.state <> '{access.draft_state}'" if access.draft_state else ""
    return (
        f"WITH w AS (SELECT {chosen}, {_tuple('e')} FROM {table} x {joins} "
        f"CROSS JOIN LATERAL (SELECT {', '.join(expected)}) e WHERE x.owner_key = ANY($1::int[]){draft} "
        f"AND ({_tuple('x')}) IS DISTINCT FROM ({_tuple('e')}) LIMIT {batch} FOR UPDATE OF x) "
        f"UPDATE {table} x SET {', '.join(f'{key} = w.{key}' for key in _KEYS)} FROM w WHERE {same}"
    )
