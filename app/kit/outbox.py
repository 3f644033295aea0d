"""The transactional outbox: a message exists if and only if its business transaction commits."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.kit.ids import uuid7
from infra.db.session import WriteSession
from infra.queue.port import Json
from tenants.context import Acting

_PUT = text("SELECT app.outbox_put(:id, :actor, cast(:args AS jsonb), cast(:context AS jsonb), :due_at)")


async def enqueue(
    session: WriteSession,
    actor_name: str,
    args: Json,
    by: Acting | str,
    *,
    message_id: UUID | None = None,
    request_id: str = "",
    purpose: str = "",
    due_at: datetime | None = None,
) -> UUID:
    """Queue a job as part of the caller's transaction; nothing is sent when that rolls back.

    Args:
        session: the business transaction.
        actor_name: name given to `app.kit.jobs.job`.
        args: its keyword arguments, JSON; ids rather than contents.
        by: the acting membership, or `system:NAME` for a consequence without a person. Login, tenant and person are
            taken by the database from the session, whatever stands here; whose rights the job has is declared at
            the job, never in the message.
        message_id: the message's id; a new one when omitted.
        request_id: the request that caused it, for logs.
        purpose: why, for the audit log.
        due_at: legal time before which it is not sent; at once when omitted.

    Returns:
        The message's id.
    """
    message_id = message_id or uuid7()
    context: dict[str, Any] = {"req": request_id, "purpose": purpose or actor_name}
    if isinstance(by, Acting):
        context |= {
            "actor": str(by.person_id),
            "membership": str(by.membership_id),
            "roles": sorted(by.roles),
            "locale": by.locale,
        }
    else:
        context |= {"actor": by, "roles": []}
    await session.execute(
        _PUT,
        {
            "id": message_id,
            "actor": actor_name,
            "args": json.dumps(dict(args), ensure_ascii=False),
            "context": json.dumps(context, ensure_ascii=False),
            "due_at": due_at,
        },
    )
    return message_id
