"""Events 事件: what happened, for subscriptions, roll-up, indexing and audit (decision 33)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from sqlalchemy import Table, insert

from app.kit.ids import uuid7
from app.kit.jobs_models import Event
from infra.db.session import WriteSession
from infra.queue.port import Json

_TABLE = cast("Table", Event.__table__)
"""Inserted without the mapper, which would read the row back."""


async def emit(
    session: WriteSession,
    type_: str,
    object_id: UUID,
    *,
    owner_key: int,
    site_id: UUID | None = None,
    draft: bool = False,
    agencies_only: bool = False,
    payload: Json | None = None,
) -> UUID:
    """Write an event in the caller's transaction; the relay numbers it after the commit.

    Args:
        session: the business transaction.
        type_: what happened, `enterprise.approved`.
        object_id: the object it happened to.
        owner_key: the tenant that owns the object; the database derives the level keys from it.
        site_id: the site that places the object, when a site does.
        draft: the object is a draft: only the author's own level sees the event.
        agencies_only: the enterprise concerned does not see it.
        payload: JSON; ids and states, never personal data: every reader of the object may see it.

    Returns:
        The event's id.
    """
    event_id = uuid7()
    await session.execute(
        insert(_TABLE).values(
            id=event_id,
            type=type_,
            object_id=object_id,
            owner_key=owner_key,
            site_id=site_id,
            state="DRAFT" if draft else "SHARED",
            agencies_only=agencies_only,
            payload=dict(payload or {}),
        )
    )
    return event_id


async def emit_all(
    session: WriteSession, type_: str, objects: Sequence[tuple[UUID, int]], *, payload: Json | None = None
) -> None:
    """Write one event for each of many objects, as an import does: one statement for all.

    Args:
        session: the business transaction.
        type_: what happened to each.
        objects: the object and the tenant that owns it.
        payload: the same for all; ids and states, never personal data.
    """
    if objects:
        same = {"type": type_, "payload": dict(payload or {})}
        rows = [{"id": uuid7(), "object_id": one, "owner_key": owner, **same} for one, owner in objects]
        await session.execute(insert(_TABLE), rows)
