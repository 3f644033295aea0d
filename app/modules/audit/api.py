"""GraphQL of the audit log: reading it, and having a chain verified."""

import enum
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.kit import gql
from app.kit.errors import NOT_PERMITTED, NotPermittedFault
from app.kit.ids import global_id, parse_global_id
from app.modules.audit import models
from app.modules.audit.policies import AUDITORS_ONLY, READ, require_reader
from app.modules.audit.public import Flaw, record_denial, verify_chain
from tenants.models import Tenant as TenantRow

if TYPE_CHECKING:
    from app.modules.members.api.types import Tenant

strawberry.enum(Flaw, name="AuditFlaw", description="What is wrong with a chain of audit entries.")


@strawberry.enum(description="Whether something was done or refused.")
class AuditOutcome(enum.Enum):
    """See :class:`app.modules.audit.models.AuditEntry`."""

    ALLOWED = "ALLOWED"
    DENIED = "DENIED"


@gql.bound(
    models.AuditEntry,
    prefix="audit_entry",
    where=AUDITORS_ONLY,
    description="What somebody did, or was refused (审计日志). "
    "Only auditors see entries: those of their tenant and below.",
)
class AuditEntry(gql.Node):
    """An entry."""

    tenant: Annotated["Tenant", strawberry.lazy("app.modules.members.api.types")] | None = gql.one(
        models.AuditEntry.owner_key, "Whose log it stands in: the acting tenant's, or that of the object's owner."
    )
    action: str = gql.column("What, `object.verb` or the mutation's name.", filterable=True)
    object_type: str = gql.column("Type of the object: prefix of its global id.", filterable=True)
    object_id: UUID | None = gql.column("The object: the part of its global id after the prefix.", filterable=True)
    outcome: AuditOutcome = gql.column("Done or refused.", filterable=True, groupable=True)
    reason: str | None = gql.column("Code of the error, when it was refused.", filterable=True)
    actor_name: str | None = gql.column("Who, as named then; null where an enterprise reads what an agency did.")
    actor_post: str | None = gql.column("That person's post then.")
    actor_agency: str | None = gql.column("For which tenant, as named then; `system:` and a duty for system work.")
    request_id: str = gql.column("The request, as in its answer and in the process logs.", filterable=True)
    details: JSON = gql.column("An object of ids, codes and counts that belong to the action.")
    at: datetime = gql.column("When, by real time.", filterable=True)
    position: gql.BigInt | None = gql.column("Place in the tenant's chain, from 1; null until sealed.")
    hash: str | None = gql.column("SHA-256 of the hash before and this entry; null until sealed.")
    sealed_at: datetime | None = gql.column("When it was sealed.")


@strawberry.type(description="Outcome of recomputing the hash chain of a tenant's audit entries.")
class AuditVerdict:
    """See :class:`app.modules.audit.public.Verdict`."""

    is_intact: bool = strawberry.field(description="Whether every sealed entry is as it was, and none is missing.")
    checked: int = strawberry.field(description="How many entries were found right before anything wrong.")
    waiting: int = strawberry.field(description="How many entries wait for their seal; normally for seconds.")
    flaw: Flaw | None = strawberry.field(description="What is wrong first.")
    position: gql.BigInt | None = strawberry.field(description="Where: place in the chain.")
    entry: strawberry.ID | None = strawberry.field(description="The entry that is wrong; null when it is missing.")


async def _verify(
    info: strawberry.Info[Any, None],
    tenant: Annotated[
        strawberry.ID | None, strawberry.argument(description="Whose log; your own tenant's when omitted.")
    ] = None,
) -> AuditVerdict | None:
    context = info.context
    try:
        acting = require_reader(context.caller)
    except NotPermittedFault:
        await record_denial(context.db, context.caller, READ, NOT_PERMITTED, request_id=context.request_id)
        return None
    async with context.read_session() as session:
        key = acting.tenant_key
        if tenant is not None:
            found = parse_global_id(str(tenant), "tenant")
            row = await session.get(TenantRow, found[1]) if found else None
            if row is None:
                return None
            key = row.key
        verdict = await verify_chain(session, key)
    return AuditVerdict(
        is_intact=verdict.flaw is None,
        checked=verdict.checked,
        waiting=verdict.waiting,
        flaw=verdict.flaw,
        position=None if verdict.position is None else gql.BigInt(verdict.position),
        entry=None if verdict.entry_id is None else strawberry.ID(global_id("audit_entry", verdict.entry_id)),
    )


@strawberry.type
class AuditQuery:
    """Root fields of the slice."""

    audit_entries: gql.Connection[AuditEntry] = gql.listing(
        "Audit entries of your tenant and those below it, newest first; empty unless you are an auditor."
    )
    audit_entry: AuditEntry | None = gql.by_id("An audit entry; null unless you are an auditor.")
    audit_verify: AuditVerdict | None = strawberry.field(
        resolver=_verify,
        description="Recomputes the hash chain of a tenant's log and names the first entry that was altered, removed "
        "or put in. Null for an unknown tenant, and unless you are an auditor.",
    )
