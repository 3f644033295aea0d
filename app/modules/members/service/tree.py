"""Changes of the tree: recorded by the tier above, applied by a job on their day (:mod:`tenants.moves`)."""

import contextlib
from dataclasses import dataclass
from datetime import date, datetime, time
from uuid import UUID

from app.kit.errors import Fault, require
from app.kit.ids import uuid7
from app.kit.jobs import JobCancelledError, JobRun, start_job
from app.kit.sortkey import sort_key
from app.kit.uow import WriteContext
from app.modules.members import errors, policies
from app.modules.members.service.rows import TEXT_LIMIT, change, clean, load, note, tenant_by_id
from infra.clock import LEGAL_ZONE
from tenants import moves
from tenants.changes import Author, Change, ChangeKind, ChangeRefusedError, record
from tenants.models import Tenant

APPLY_JOB = "members.apply_change"
NAME_LIMIT = 100
_FIELDS = {"tenantId": "id", "parentId": "parent", "homeParkId": "homePark", "otherId": "other"}
"""Words of :mod:`tenants.changes` to those of the API."""


@dataclass(frozen=True)
class NewChange:
    """A change of a tenant to be recorded.

    Args:
        tenant_id: the tenant.
        expected_version: its version as the caller saw it.
        kind: what happens.
        valid_from: first legal day on which it holds; a past day holds at once.
        document: number of the decision.
        name: of a rename.
        parent_id: new parent of a move; unchanged when None.
        home_park_id: park of a moved enterprise whose premises lie in it; in no park when None.
        other_id: who takes over, in a merger or succession.
    """

    tenant_id: UUID | None
    expected_version: int
    kind: ChangeKind
    valid_from: date
    document: str | None = None
    name: str | None = None
    parent_id: UUID | None = None
    home_park_id: UUID | None = None
    other_id: UUID | None = None


@dataclass(frozen=True)
class Recorded:
    """A recorded change and the job that applies it."""

    change_id: UUID
    job_id: UUID


async def change_tenant(ctx: WriteContext, new: NewChange) -> Recorded:
    """Record a change of a tenant below the caller's, and queue the job that applies it on its day.

    Both ends of a change lie in the caller's sight: who moves a township between two counties is the
    city above both.

    Raises:
        NotPermittedFault: the caller changes no tenants.
        Fault: ``NOT_FOUND``, ``CONFLICT``, ``TENANT_NOT_ABOVE``, ``TENANT_NAME_SAME``, ``GRANT_OUTSIDE``, and the
            codes ``CHANGE_…`` of :mod:`tenants.changes`.
    """
    acting = ctx.require(policies.TENANT_RENAME if new.kind is ChangeKind.RENAME else policies.TENANT_CHANGE)
    tenant = await load(ctx, Tenant, new.tenant_id, new.expected_version)
    policies.require_above(acting, tenant)
    for other_id, field in ((new.parent_id, "parent"), (new.home_park_id, "homePark"), (new.other_id, "other")):
        if other_id is not None:
            policies.require_within(acting, await tenant_by_id(ctx, other_id, field))
    name = clean(new.name or "", "name", limit=NAME_LIMIT) if new.kind is ChangeKind.RENAME else None
    require(name is None or name != tenant.name, errors.TENANT_NAME_SAME, ("name",))
    wanted = Change(
        id=uuid7(),
        tenant_id=tenant.id,
        kind=new.kind,
        valid_from=new.valid_from,
        document=clean(new.document, "document", limit=TEXT_LIMIT) if new.document else None,
        name=name,
        name_sort=sort_key(name) if name else None,
        parent_id=new.parent_id,
        home_park_id=new.home_park_id,
        other_id=new.other_id,
    )
    await change(ctx, tenant)
    try:
        await record(ctx.session, wanted, Author(acting.actor_name, acting.post, acting.tenant_name))
    except ChangeRefusedError as refusal:
        raise Fault(refusal.code, (_FIELDS.get(refusal.field, refusal.field),)) from refusal
    job_id = await start_job(
        ctx.session,
        APPLY_JOB,
        {"change_id": str(wanted.id)},
        acting,
        request_id=ctx.request_id,
        due_at=datetime.combine(new.valid_from, time(), LEGAL_ZONE) if new.valid_from > ctx.today else None,
    )
    await note(ctx, "tenant", new.kind.lower(), tenant.id, tenant.key, change=str(wanted.id))
    return Recorded(wanted.id, job_id)


async def apply_change(run: JobRun, change_id: UUID) -> dict[str, int]:
    """Apply a recorded change and rewrite what follows from it; safe to repeat after a crash.

    Args:
        run: the attempt, under ``sys_move``.
        change_id: row of ``tenant_change``.

    Returns:
        ``rows`` rewritten and ``passes`` over the tables.
    """

    async def progress(_table: str, rows: int) -> None:
        # A move that stopped half-way would leave rows at their old place: it does not stop.
        with contextlib.suppress(JobCancelledError):
            await run.progress(rows)

    moved = await moves.apply(run.db, change_id, progress=progress)
    return {"rows": moved.rows, "passes": moved.passes}
