"""Use cases of drafts: save and discard. A draft is its person's alone; no capability is asked."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from app.kit.errors import ConflictFault, NotFoundFault, require
from app.kit.ids import parse_global_id, uuid7
from app.kit.uow import WriteContext
from app.modules.drafts import errors
from app.modules.drafts.models import ACTIVE, DISCARDED, ID_LENGTH, Draft
from infra.db.session import WriteSession

KEPT = timedelta(days=30)
"""How long a draft is kept after it was last saved."""
MAX_BYTES = 64 * 1024
MAX_DEPTH = 50
"""Objects and lists inside each other."""
MAX_DRAFTS = 200
"""Of one membership at a time."""
FORM = re.compile(r"[a-z][A-Za-z0-9.-]{0,63}\Z")
_TABLE = cast("Table", Draft.__table__)


async def save(ctx: WriteContext, form: str, about: str | None, content: Any, expected_version: int) -> UUID:
    """Save what a form holds: the first time, or over what was saved before.

    Args:
        ctx: whoever fills it in.
        form: name of the form, ``hazardReport``.
        about: global id of what the form changes; None: something new.
        content: a JSON object of at most 64 KB, given back exactly.
        expected_version: the version that the person saw; 0: there was none.

    Returns:
        The draft's id.

    Raises:
        ConflictFault: it was saved or discarded elsewhere since.
        Fault: ``DRAFT_FORM``, ``DRAFT_OBJECT``, ``DRAFT_CONTENT``, ``DRAFT_TOO_LARGE``, ``DRAFT_TOO_MANY``.
    """
    _check(form, about, content)
    row = await _find(ctx, form, about)
    expires = datetime.now(UTC) + KEPT
    if row is None:
        if expected_version != 0:
            raise ConflictFault(0)
        return await _first(ctx, form, about, content, expires)
    if row.version != expected_version:
        raise ConflictFault(row.version, row.id)
    row.content, row.expires_at, row.version = content, expires, row.version + 1
    row.updated_at = func.now()
    return row.id


async def discard(ctx: WriteContext, draft_id: UUID, expected_version: int) -> None:
    """Throw a draft away: its content goes at once, its row with the next cleaning.

    Raises:
        NotFoundFault: no such draft of the caller under this membership.
        ConflictFault: it was saved elsewhere since.
    """
    query = select(Draft).where(Draft.id == draft_id, *_mine(ctx)).with_for_update()
    row = (await ctx.session.scalars(query)).one_or_none()
    if row is None:
        raise NotFoundFault("id")
    if row.version != expected_version:
        raise ConflictFault(row.version, row.id)
    row.content, row.state, row.version = {}, DISCARDED, row.version + 1
    row.expires_at = row.updated_at = func.now()


async def forget(session: WriteSession) -> int:
    """Remove drafts that have expired or were discarded; of the duty of retention.

    Returns:
        How many went.
    """
    gone = await session.execute(delete(Draft).where(Draft.expires_at <= func.now()).returning(Draft.id))
    return len(gone.all())


def _check(form: str, about: str | None, content: Any) -> None:
    require(FORM.match(form), errors.FORM, ("form",))
    require(about is None or (len(about) <= ID_LENGTH and parse_global_id(about)), errors.OBJECT, ("object",))
    require(isinstance(content, Mapping) and _shallow(content), errors.CONTENT, ("content",), limit=MAX_DEPTH)
    size = len(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
    require(size <= MAX_BYTES, errors.TOO_LARGE, ("content",), limit=MAX_BYTES // 1024, size=-(-size // 1024))


def _shallow(content: Any) -> bool:
    """Whether a JSON value is not nested too deeply to be written."""
    level = [content]
    for _ in range(MAX_DEPTH):
        inner = [one for one in level if isinstance(one, dict | list)]
        level = [each for one in inner for each in (one.values() if isinstance(one, dict) else one)]
    return not any(isinstance(one, dict | list) for one in level)


def _mine(ctx: WriteContext) -> tuple[Any, ...]:
    """Return the conditions of the caller's drafts under this membership; the policy shows the person's own."""
    return (Draft.membership_id == ctx.acting.membership_id, Draft.state == ACTIVE, Draft.expires_at > func.now())


async def _find(ctx: WriteContext, form: str, about: str | None) -> Draft | None:
    query = select(Draft).where(Draft.form == form, Draft.object.is_not_distinct_from(about), *_mine(ctx))
    found: Draft | None = (await ctx.session.scalars(query.with_for_update())).one_or_none()
    return found


async def _first(ctx: WriteContext, form: str, about: str | None, content: Any, expires: datetime) -> UUID:
    """Insert a new draft; of two that do so at once, one wins and the other sees its draft."""
    acting = ctx.acting
    mine = select(func.count()).select_from(Draft).where(*_mine(ctx))
    require((await ctx.session.scalar(mine) or 0) < MAX_DRAFTS, errors.TOO_MANY, (), limit=MAX_DRAFTS)
    await ctx.session.execute(  # an expired one that the duty has not removed yet makes room
        _TABLE.update()
        .where(
            _TABLE.c.membership_id == acting.membership_id,
            _TABLE.c.form == form,
            _TABLE.c.object.is_not_distinct_from(about),
            _TABLE.c.state == ACTIVE,
            _TABLE.c.expires_at <= func.now(),
        )
        .values(state=DISCARDED, content={})
    )
    made = insert(_TABLE).values(
        id=uuid7(),
        person_id=acting.person_id,
        membership_id=acting.membership_id,
        owner_key=acting.tenant_key,
        form=form,
        object=about,
        content=content,
        expires_at=expires,
        version=1,
    )
    row_id: UUID | None = await ctx.session.scalar(made.on_conflict_do_nothing().returning(_TABLE.c.id))
    if row_id is None:
        other = await _find(ctx, form, about)
        raise ConflictFault(other.version if other else 0, other.id if other else None)
    return row_id
