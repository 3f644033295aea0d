"""Dated changes of a tenant: rename, move, merger, succession, closing (decision of the issue; handbook 0.4).

People *record* a change under their own login; the duty ``sys_move`` *applies* it on its day
(:mod:`tenants.moves`). Each is one row of ``tenant_change``, append-only, so that what a tenant was
called and where it belonged on a past day can always be said.
"""

import json
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import Row, text

from infra.db.port import Database
from infra.db.session import WriteSession
from tenants.kinds import Kind

TENANT_CLOSED = "CHANGE_TENANT_CLOSED"
TARGET_INVALID = "CHANGE_TARGET_INVALID"
DATE_INVALID = "CHANGE_DATE_INVALID"
_DISTRICTS = frozenset({Kind.PROVINCE, Kind.CITY, Kind.COUNTY, Kind.TOWNSHIP})
PARENTS = MappingProxyType(
    {
        Kind.CITY: frozenset({Kind.PROVINCE}),
        Kind.COUNTY: frozenset({Kind.PROVINCE, Kind.CITY}),
        Kind.TOWNSHIP: frozenset({Kind.COUNTY}),
        Kind.PARK: frozenset({Kind.PROVINCE, Kind.CITY, Kind.COUNTY}),
        Kind.ENTERPRISE: frozenset({Kind.COUNTY, Kind.TOWNSHIP}),
        Kind.RESCUE_TEAM: _DISTRICTS,
        Kind.AGENCY: _DISTRICTS,
    }
)
"""Kind of a tenant to the kinds below which it may stand; absent: it stands below nothing and never moves."""


class ChangeKind(StrEnum):
    """What happens to the tenant."""

    RENAME = "RENAME"
    """``after``: name, name_sort."""
    MOVE = "MOVE"
    """``after``: parent_id, home_park_id."""
    MERGE = "MERGE"
    """It is closed; its children, and the sight of its rows, go to ``other_id`` of the same kind."""
    SUCCEED = "SUCCEED"
    """Like a merger, of two enterprises, teams or agencies: new licence, same business."""
    CLOSE = "CLOSE"


class ChangeRefusedError(Exception):
    """The change cannot be recorded; ``code`` is one of the message catalogue."""

    def __init__(self, code: str, field: str) -> None:
        """Name the code and the field of the input."""
        super().__init__(code)
        self.code = code
        self.field = field


@dataclass(frozen=True)
class Author:
    """Snapshot of whoever decides the change (decision 19)."""

    name: str
    post: str
    agency: str


@dataclass(frozen=True)
class Change:
    """A change to record.

    Args:
        id: UUIDv7 of the row.
        tenant_id: the tenant that changes.
        kind: what happens.
        valid_from: first legal day on which it holds.
        document: number of the decision.
        name: of a rename.
        name_sort: its sort key.
        parent_id: new parent of a move; None: unchanged.
        home_park_id: new park of a moved enterprise whose premises lie in it; None: in no park.
        other_id: who takes over in a merger or succession.
    """

    id: UUID
    tenant_id: UUID
    kind: ChangeKind
    valid_from: date
    document: str | None = None
    name: str | None = None
    name_sort: str | None = None
    parent_id: UUID | None = None
    home_park_id: UUID | None = None
    other_id: UUID | None = None


_TENANT = text(
    "SELECT id, key, kind, name, name_sort, parent_id, home_park_id, status,"
    " (SELECT max(c.valid_from) FROM app.tenant_change c WHERE c.owner_key = t.key) AS changed"
    " FROM app.tenant t WHERE t.id = :id"
)
_AGENCY = text("SELECT kind, status FROM app.agency WHERE id = :id")
_RECORD = text(
    "INSERT INTO app.tenant_change (id, owner_key, kind, before, after, valid_from, document, other_id, actor_name,"
    " actor_post, actor_agency) VALUES (:id, :owner_key, :kind, cast(:before AS jsonb), cast(:after AS jsonb),"
    " :valid_from, :document, :other_id, :name, :post, :agency)"
)
_DUE = (
    "SELECT coalesce(json_agg(id ORDER BY valid_from, seq), '[]') FROM app.tenant_change "
    "WHERE applied_at IS NULL AND valid_from <= $1"
)


async def record(session: WriteSession, change: Change, by: Author) -> UUID:
    """Write a change under the caller's own policy; it is applied by :func:`tenants.moves.apply` on its day.

    Args:
        session: transaction of a login that sees the tenant.
        change: what happens.
        by: who decides it.

    Returns:
        The change's id.

    Raises:
        ChangeRefusedError: the tenant is unknown or closed, the other unit does not fit, or the day lies before
            the last change's.
    """
    tenant = (await session.execute(_TENANT, {"id": change.tenant_id})).one_or_none()
    if tenant is None or tenant.status == "CLOSED":
        raise ChangeRefusedError(TENANT_CLOSED, "tenantId")
    if tenant.changed is not None and change.valid_from < tenant.changed:
        raise ChangeRefusedError(DATE_INVALID, "validFrom")
    before, after = await _contents(session, change, tenant)
    await session.execute(
        _RECORD,
        {
            "id": change.id,
            "owner_key": tenant.key,
            "kind": change.kind,
            "before": json.dumps(before, default=str, ensure_ascii=False),
            "after": json.dumps(after, default=str, ensure_ascii=False),
            "valid_from": change.valid_from,
            "document": change.document,
            "other_id": change.other_id or change.parent_id,
            "name": by.name,
            "post": by.post,
            "agency": by.agency,
        },
    )
    return change.id


async def due(db: Database, today: date) -> list[UUID]:
    """Return the changes that hold by this legal day and are not applied yet, oldest first."""
    found = await db.reader("sys_move").fetchval(_DUE, today)
    return [UUID(one) for one in json.loads(found)]


async def _contents(
    session: WriteSession, change: Change, tenant: Row[tuple[object, ...]]
) -> tuple[dict[str, object], dict[str, object]]:
    kind = Kind(tenant.kind)
    if change.kind is ChangeKind.RENAME:
        return {"name": tenant.name, "name_sort": tenant.name_sort}, {
            "name": change.name,
            "name_sort": change.name_sort,
        }
    if change.kind is ChangeKind.CLOSE:
        return {"status": tenant.status}, {"status": "CLOSED"}
    if change.kind is ChangeKind.MOVE:
        parent = change.parent_id or tenant.parent_id
        await _fits(session, parent, PARENTS.get(kind, frozenset()), "parentId")
        if change.home_park_id is not None:
            await _fits(session, change.home_park_id, frozenset({Kind.PARK}), "homeParkId")
        return (
            {"parent_id": tenant.parent_id, "home_park_id": tenant.home_park_id},
            {"parent_id": parent, "home_park_id": change.home_park_id},
        )
    if change.other_id is None or change.other_id == tenant.id:
        raise ChangeRefusedError(TARGET_INVALID, "otherId")
    if change.kind is ChangeKind.MERGE:
        await _fits(session, change.other_id, frozenset({kind}), "otherId")
    else:
        other = (await session.execute(_TENANT, {"id": change.other_id})).one_or_none()
        if other is None or other.kind != tenant.kind or other.status == "CLOSED":
            raise ChangeRefusedError(TARGET_INVALID, "otherId")
    return {"status": tenant.status}, {"status": "CLOSED", "successor_id": change.other_id}


async def _fits(session: WriteSession, other: UUID | None, kinds: frozenset[Kind], field: str) -> None:
    """An authority elsewhere is known by the table that all may read, not by its tenant row."""
    found = (await session.execute(_AGENCY, {"id": other})).one_or_none()
    if found is None or found.status == "CLOSED" or found.kind not in kinds:
        raise ChangeRefusedError(TARGET_INVALID, field)
