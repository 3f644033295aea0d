"""Reading what a step is about, and writing it if nobody else did meanwhile."""

from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import func, select, update

from app.kit import texts
from app.kit.errors import ConflictFault, NotFoundFault, require
from app.kit.events import emit
from app.kit.uow import WriteContext
from app.modules.audit.public import record
from app.modules.members import errors
from tenants.models import Hosting, IncidentCall, Membership, ScopeGrant, Tenant

Row = TypeVar("Row", bound=Tenant | Membership | ScopeGrant | IncidentCall | Hosting)
NAME_LIMIT = 64
TEXT_LIMIT = 500


async def load(ctx: WriteContext, model: type[Row], row_id: UUID | None, expected_version: int) -> Row:
    """Return a row as the caller saw it.

    Raises:
        NotFoundFault: unknown, or not the caller's to see.
        ConflictFault: somebody changed it since.
    """
    row = None if row_id is None else await ctx.session.get(model, row_id)
    if row is None:
        raise NotFoundFault("id")
    if row.version != expected_version:
        raise ConflictFault(row.version)
    return row


async def change(ctx: WriteContext, row: Row, **values: Any) -> None:
    """Update a row and count its version up.

    Raises:
        ConflictFault: another transaction was faster.
    """
    model = type(row)
    statement = (
        update(model)
        .where(model.id == row.id, model.version == row.version)
        .values(version=row.version + 1, updated_at=func.now(), **values)
        .execution_options(synchronize_session=False)
        .returning(model.id)
    )
    changed = (await ctx.session.execute(statement)).first()
    if changed is None:
        raise ConflictFault(await ctx.session.scalar(select(model.version).where(model.id == row.id)) or row.version)


async def tenant_by_id(ctx: WriteContext, tenant_id: UUID | None, *field: str) -> Tenant:
    """Return a tenant that the caller sees.

    Raises:
        NotFoundFault: unknown, or not the caller's to see.
    """
    row = None if tenant_id is None else await ctx.session.get(Tenant, tenant_id)
    if row is None:
        raise NotFoundFault(*field)
    return row


async def tenant_of(ctx: WriteContext, row: Membership | ScopeGrant | IncidentCall | Hosting) -> Tenant:
    """Return the tenant that owns a row.

    Raises:
        NotFoundFault: it is out of sight.
    """
    found = await ctx.session.scalar(select(Tenant).where(Tenant.key == row.owner_key))
    if found is None:
        raise NotFoundFault("id")
    return found


async def note(
    ctx: WriteContext, kind: str, action: str, row_id: UUID, owner_key: int, **details: str | int | list[str] | None
) -> None:
    """Write the audit rows and the event of a step."""
    await record(ctx, f"{kind}.{action}", kind, row_id, owner_key=owner_key, details=details)
    await emit(ctx.session, f"{kind}.{action}", row_id, owner_key=owner_key)


def clean(value: str, field: str, *, limit: int = NAME_LIMIT) -> str:
    """Return a text of one line, as :func:`app.kit.texts.clean` does."""
    return texts.clean(value, (field,), limit=limit, one_line=True)


def reason_of(value: str) -> str:
    """Return the reason of a step.

    Raises:
        Fault: ``MEMBER_REASON_REQUIRED`` or ``TOO_LONG``.
    """
    require(value.strip(), errors.REASON_REQUIRED, ("reason",))
    return clean(value, "reason", limit=TEXT_LIMIT)
