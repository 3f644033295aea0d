"""Use cases: write entries, seal them into chains, verify a chain."""

import hashlib
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Table, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.ids import uuid7
from app.modules.audit.models import BATCH, UNSEALED_ALARM_S, AuditEntry, AuditHead
from app.modules.audit.policies import plain
from infra.db.port import Database
from infra.db.session import WriteSession
from tenants.context import Acting, Caller
from tenants.models import Tenant

log = logging.getLogger("anlan.audit")

LOGIN = "sys_audit"
LOCK = 0x616E6C616E02
"""Advisory lock of the sealer: one at a time over all processes; no business transaction takes it."""
PAGE = 1000
_ENTRY: Table = AuditEntry.__table__  # type: ignore[assignment]
"""Inserted without the mapper, which would read the row back: a row may be out of its writer's sight."""
_CONTENT = (
    "id",
    "action",
    "object_type",
    "object_id",
    "site_id",
    "outcome",
    "reason",
    "actor_name",
    "actor_post",
    "actor_agency",
    "person_id",
    "request_id",
)


@dataclass(frozen=True)
class Deed:
    """What was done, or refused.

    Args:
        action: ``object.verb``.
        object_type: prefix of the object's global id.
        object_id: the object; None when it has no row (a list, an export).
        owner_key: tenant whose record the object is; None: the acting tenant's own.
        site_id: the site that places the object, when a site does.
        details: ids, codes and counts; never personal data.
    """

    action: str
    object_type: str
    object_id: UUID | None = None
    owner_key: int | None = None
    site_id: UUID | None = None
    details: Mapping[str, Any] | None = None


async def record(session: WriteSession, by: Acting | str, deed: Deed, request_id: str) -> None:
    """Write that something was done, in the transaction that does it.

    A row goes under the acting tenant's keys; another under the object's keys when the object is a
    tenant's of its own, where the database leaves out the person if an enterprise reads it.

    Args:
        session: the business transaction.
        by: the acting membership, or the name of a duty for system work, which needs ``owner_key``.
        deed: what was done.
        request_id: of the request or job.

    Raises:
        ValueError: details hold more than ids, codes and counts, or system work names no owner.
    """
    rows = [_row(by, deed, request_id)]
    if isinstance(by, Acting):
        if deed.owner_key not in (None, by.tenant_key):
            rows.append({**rows[0], "id": uuid7(), "owner_key": deed.owner_key, "site_id": deed.site_id})
    elif deed.owner_key is None:
        raise ValueError(f"{deed.action}: system work names the tenant whose record it changed")
    else:
        rows[0] |= {"owner_key": deed.owner_key, "site_id": deed.site_id}
    await session.execute(insert(_ENTRY), rows)


async def record_all(session: WriteSession, by: Acting, deeds: Sequence[Deed], request_id: str) -> None:
    """Write many deeds of one membership as :func:`record` writes each, in one statement.

    Args:
        session: the business transaction.
        by: the acting membership.
        deeds: what was done.
        request_id: of the request or job.

    Raises:
        ValueError: details hold more than ids, codes and counts.
    """
    rows = [_row(by, deed, request_id) for deed in deeds]
    foreign = [
        {**row, "id": uuid7(), "owner_key": deed.owner_key, "site_id": deed.site_id}
        for row, deed in zip(rows, deeds, strict=True)
        if deed.owner_key not in (None, by.tenant_key)
    ]
    if rows:
        await session.execute(insert(_ENTRY), [*rows, *foreign])


async def record_denial(
    db: Database, caller: Caller, claims: Mapping[str, str], deed: Deed, *, reason: str, request_id: str
) -> None:
    """Write that something was refused, in a transaction of its own; call it after the rollback.

    Only the acting tenant gets a row: that somebody elsewhere tried is not the object's owner's
    business, and a foreign object must not be told from none. A signed-in person without a
    membership goes to the national tenant's log, an anonymous caller to the process log alone.

    Args:
        db: the database.
        caller: who was refused.
        claims: the caller's claims.
        deed: what was refused; its owner and site are not used.
        reason: code of the error.
        request_id: of the request.
    """
    log.info("audit.denied action=%s reason=%s request=%s", deed.action, reason, request_id)
    row = _row(caller if isinstance(caller, Acting) else "", deed, request_id)
    row |= {"outcome": "DENIED", "reason": reason[:64]}
    if isinstance(caller, Acting):
        async with db.write(caller.login, claims) as session:
            await session.execute(insert(_ENTRY), [row])
    elif caller.person_id is not None:
        async with db.write("sys_identity", {}) as session:
            national = select(Tenant.key).where(Tenant.kind == "NATIONAL").order_by(Tenant.key).limit(1)
            if (key := await session.scalar(national)) is not None:
                row |= {"owner_key": key, "person_id": caller.person_id, "actor_agency": None}
                await session.execute(insert(_ENTRY), [row])


def _row(by: Acting | str, deed: Deed, request_id: str) -> dict[str, Any]:
    details = dict(deed.details or {})
    if not plain(details):
        raise ValueError(f"{deed.action}: audit details are ids, codes and counts")
    acting = by if isinstance(by, Acting) else None
    return {
        "id": uuid7(),
        "owner_key": None,
        "site_id": None,
        "action": deed.action,
        "object_type": deed.object_type,
        "object_id": deed.object_id,
        "outcome": "ALLOWED",
        "reason": None,
        "actor_name": acting.actor_name if acting else None,
        "actor_post": acting.post if acting else None,
        "actor_agency": acting.tenant_name if acting else f"system:{by}",
        "person_id": acting.person_id if acting else None,
        "request_id": request_id[:64],
        "details": details,
    }


# Sealing


def genesis(tenant_id: UUID) -> str:
    """Return the hash that the first row of a tenant's chain follows: a chain cannot pass for another's."""
    return hashlib.sha256(f"anlan audit 1 {tenant_id}".encode()).hexdigest()


def entry_hash(prev_hash: str, position: int, row: Mapping[str, Any]) -> str:
    """Return the hash of a row: SHA-256 over the previous hash and the row's canonical JSON.

    Level keys are left out: they say who reads a row, and a move rewrites them.

    Args:
        prev_hash: hash of the row before, hexadecimal.
        position: place in the chain, from 1.
        row: columns of ``audit_entry``.
    """
    content = {name: _text(row[name]) for name in _CONTENT}
    content |= {"position": position, "at": row["at"].astimezone(UTC).isoformat(timespec="microseconds")}
    details = row["details"]
    content["details"] = json.loads(details) if isinstance(details, str) else details
    canonical = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{prev_hash}\n{canonical}".encode()).hexdigest()


def _text(value: object) -> object:
    return str(value) if isinstance(value, UUID) else value


_WAITING = f"""
SELECT e.{", e.".join(_CONTENT)}, e.at, e.details::text AS details, e.owner_key, t.id AS tenant_id,
       coalesce(h.position, 0) AS head_position, h.hash AS head_hash
  FROM app.audit_entry e JOIN app.tenant t ON t.key = e.owner_key
  LEFT JOIN app.audit_head h ON h.owner_key = e.owner_key
 WHERE e.position IS NULL ORDER BY e.seq LIMIT $1
"""
_SEAL_ROWS = """
UPDATE app.audit_entry e SET position = s.position, prev_hash = s.prev_hash, hash = s.hash, sealed_at = now()
  FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[]) AS s(id, position, prev_hash, hash) WHERE e.id = s.id
"""
_HEADS = """
INSERT INTO app.audit_head AS h (id, owner_key, position, hash, updated_at)
SELECT * FROM unnest($1::uuid[], $2::int[], $3::bigint[], $4::text[]) AS s(id, owner_key, position, hash), now()
    ON CONFLICT (owner_key) DO UPDATE SET position = excluded.position, hash = excluded.hash, updated_at = now()
"""


async def seal(db: Database, batch: int = BATCH) -> int:
    """Seal committed rows in the order in which they arrived, until none waits.

    A row that commits late is sealed late: its place in the chain is given here, never before the
    commit. Two sealers take turns by an advisory lock, which no business transaction takes.

    Args:
        db: the database.
        batch: rows per transaction.

    Returns:
        How many rows were sealed.
    """
    sealed = 0
    async with db.connect(LOGIN) as connection:
        while True:
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
                rows = await connection.fetch(_WAITING, batch)
                if rows:
                    await _seal_rows(connection, rows)
            sealed += len(rows)
            if len(rows) < batch:
                return sealed


async def _seal_rows(connection: Any, rows: Sequence[Any]) -> None:
    heads: dict[int, tuple[int, str]] = {}
    links: list[tuple[UUID, int, str, str]] = []
    for row in rows:
        known = (row["head_position"], row["head_hash"] or genesis(row["tenant_id"]))
        position, prev_hash = heads.get(row["owner_key"], known)
        made = entry_hash(prev_hash, position + 1, row)
        links.append((row["id"], position + 1, prev_hash, made))
        heads[row["owner_key"]] = (position + 1, made)
    await connection.execute(_SEAL_ROWS, *map(list, zip(*links, strict=True)))
    values = [(uuid7(), key, position, made) for key, (position, made) in heads.items()]
    await connection.execute(_HEADS, *map(list, zip(*values, strict=True)))


@dataclass(frozen=True)
class Backlog:
    """Rows that wait for their seal."""

    rows: int
    oldest_s: float
    """Seconds since the oldest was written; 0 when none waits."""

    @property
    def alarm(self) -> bool:
        """Whether a row has waited too long."""
        return self.oldest_s > UNSEALED_ALARM_S


async def backlog(db: Database) -> Backlog:
    """Return how many rows wait for their seal, and how long; for metrics."""
    async with db.read(LOGIN, {}) as session:
        row = (
            await session.execute(
                text(
                    "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)"
                    " FROM app.audit_entry WHERE position IS NULL"
                )
            )
        ).one()
    return Backlog(int(row[0]), float(row[1]))


# Verification


class Flaw(StrEnum):
    """What is wrong with a chain."""

    ALTERED = "ALTERED"
    MISSING = "MISSING"
    INSERTED = "INSERTED"


@dataclass(frozen=True)
class Verdict:
    """Outcome of a verification.

    Args:
        checked: rows whose seal was recomputed and is right.
        waiting: rows of the tenant that are not sealed yet.
        flaw: what is wrong first; None when the chain holds.
        position: where.
        entry_id: the row; None when it is missing.
    """

    checked: int
    waiting: int
    flaw: Flaw | None = None
    position: int | None = None
    entry_id: UUID | None = None


async def verify_chain(session: AsyncSession, tenant_key: int) -> Verdict:
    """Recompute a tenant's chain and name the first row that was altered, removed or put in.

    Args:
        session: a session that reads the tenant and its log: the tenant's own, a higher level's, or of ``sys_audit``.
        tenant_key: internal key of the tenant.

    Raises:
        LookupError: the session does not see the tenant.
    """
    tenant_id = await session.scalar(select(Tenant.id).where(Tenant.key == tenant_key))
    if tenant_id is None:
        raise LookupError(f"no tenant with key {tenant_key} in sight")
    waiting = await session.scalar(
        text("SELECT count(*) FROM app.audit_entry WHERE owner_key = :key AND position IS NULL"), {"key": tenant_key}
    )
    checked, last_hash, last_id = 0, genesis(tenant_id), None
    # The head is read before the rows, which were sealed with it; more may be sealed while we read.
    end, end_hash = await _head(session, tenant_key)
    async for row in _chain(session, tenant_key):
        wrong = _judge(row, checked + 1, last_hash, last_id)
        if wrong is None and row["position"] == end and row["hash"] != end_hash:
            wrong = (Flaw.ALTERED, checked + 1, row["id"])
        if wrong is not None:
            return Verdict(checked, waiting or 0, *wrong)
        checked, last_hash, last_id = checked + 1, row["hash"], row["id"]
    if checked < end:
        return Verdict(checked, waiting or 0, Flaw.MISSING, checked + 1)
    if checked > end and checked > (await _head(session, tenant_key))[0]:
        return Verdict(checked, waiting or 0, Flaw.INSERTED, checked, last_id)
    return Verdict(checked, waiting or 0)


async def _head(session: AsyncSession, tenant_key: int) -> tuple[int, str]:
    found = (await session.execute(select(AuditHead.position, AuditHead.hash).filter_by(owner_key=tenant_key))).first()
    return (found.position, found.hash) if found else (0, "")


_Wrong = tuple[Flaw, int, UUID | None]
_SHIFT = 100
"""How far rows may have been renumbered to hide that some were taken out or put in."""


def _judge(row: Mapping[str, Any], expected: int, prev_hash: str, prev_id: UUID | None) -> _Wrong | None:
    """Judge the row that stands where position ``expected`` is due."""
    found = row["position"]
    if found != expected:
        return (Flaw.MISSING, expected, None) if found > expected else (Flaw.INSERTED, found, row["id"])
    if row["hash"] != entry_hash(row["prev_hash"], found, row):
        return _renumbered(row, prev_id) or (Flaw.ALTERED, found, row["id"])
    if row["prev_hash"] == prev_hash:
        return None
    # The row is as it was sealed, so what stands before it is not: somebody gave it a new hash.
    return (Flaw.ALTERED, found - 1, prev_id) if prev_id else (Flaw.ALTERED, found, row["id"])


def _renumbered(row: Mapping[str, Any], prev_id: UUID | None) -> _Wrong | None:
    """Say whether a row is right at another position: others were taken out or put in before it."""
    found = row["position"]
    for shift in range(1, _SHIFT + 1):
        if row["hash"] == entry_hash(row["prev_hash"], found + shift, row):
            return Flaw.MISSING, found, None
        if found > shift and row["hash"] == entry_hash(row["prev_hash"], found - shift, row):
            return Flaw.INSERTED, found - shift, prev_id if shift == 1 else None
    return None


async def _chain(session: AsyncSession, tenant_key: int) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the sealed rows of a chain in order, page by page."""
    statement = text(
        f"SELECT {', '.join(_CONTENT)}, at, details::text AS details, position, prev_hash, hash FROM app.audit_entry"
        " WHERE owner_key = :key AND (position, id) > (:position, :id) ORDER BY position, id LIMIT :page"
    )
    position, last_id = -(2**62), UUID(int=0)
    while True:
        values = {"key": tenant_key, "position": position, "id": last_id, "page": PAGE}
        rows = (await session.execute(statement, values)).mappings().all()
        for row in rows:
            yield dict(row)
        if len(rows) < PAGE:
            return
        position, last_id = rows[-1]["position"], rows[-1]["id"]
