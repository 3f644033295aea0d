"""What other slices and the API runner call of the audit log."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from app.kit.ids import parse_global_id
from app.kit.uow import WriteContext
from app.modules.audit import service
from app.modules.audit.service import Backlog, Deed, Flaw, Verdict, backlog, seal, verify_chain
from infra.clock import Clock
from infra.db.port import Database
from infra.db.session import WriteSession
from tenants.context import Acting, Caller, Visitor

__all__ = [
    "ApiAuditor",
    "Backlog",
    "Deed",
    "Flaw",
    "Verdict",
    "backlog",
    "record",
    "record_all",
    "record_denial",
    "record_duty",
    "seal",
    "verify_chain",
]

_RECORDED = "audit.recorded"
ACT = "membership.act"
"""Acting with a membership."""


async def record(
    ctx: WriteContext,
    action: str,
    object_type: str,
    object_id: UUID | None,
    *,
    owner_key: int | None = None,
    site_id: UUID | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write that something was done, in the use case's own transaction.

    Nothing is written for a caller without a membership: what the public sends is recorded by the
    duty that handles it.

    Args:
        ctx: the use case's context.
        action: ``object.verb``.
        object_type: prefix of the object's global id.
        object_id: the object.
        owner_key: tenant whose record the object is, when it is not the acting tenant's.
        site_id: the site that places the object, when a site does.
        details: ids, codes and counts, and the reason that was given; never personal data.

    Raises:
        ValueError: details hold more than that.
    """
    ctx.session.info[_RECORDED] = True
    if isinstance(ctx.caller, Acting):
        deed = Deed(action, object_type, object_id, owner_key, site_id, details)
        await service.record(ctx.session, ctx.caller, deed, ctx.request_id)


async def record_all(
    ctx: WriteContext,
    action: str,
    object_type: str,
    objects: Sequence[tuple[UUID, int]],
    *,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write that the same was done to many objects, as an import does: one statement for all.

    Args:
        ctx: the use case's context; its caller acts for a tenant.
        action: ``object.verb``.
        object_type: prefix of the objects' global ids.
        objects: the object and the tenant whose record it is.
        details: the same for all; ids, codes and counts.

    Raises:
        ValueError: details hold more than that.
    """
    ctx.session.info[_RECORDED] = True
    deeds = [Deed(action, object_type, one, owner, None, details) for one, owner in objects]
    await service.record_all(ctx.session, ctx.acting, deeds, ctx.request_id)


async def record_duty(session: WriteSession, duty: str, deed: Deed, request_id: str = "") -> None:
    """Write what a job without a person did, in the job's own transaction (login ``sys_jobs``).

    Args:
        session: the job's transaction.
        duty: the job's name.
        deed: what was done; ``owner_key`` is required.
        request_id: the request that caused it, when known.

    Raises:
        ValueError: no owner, or details with more than ids, codes and counts.
    """
    await service.record(session, duty, deed, request_id)


async def record_denial(
    db: Database,
    caller: Caller,
    action: str,
    reason: str,
    *,
    object_type: str = "",
    object_id: UUID | None = None,
    request_id: str = "",
    clock: Clock | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write that something was refused, in a transaction of its own; call it after the rollback.

    Args:
        db: the database.
        caller: who was refused.
        action: what was tried: ``object.verb``, or the mutation's name.
        reason: code of the error that was answered.
        object_type: prefix of the object's global id, when one was named.
        object_id: the object that was named; it may not exist.
        request_id: of the request.
        clock: the legal clock, for the claims; real time when omitted.
        details: ids, codes and counts.
    """
    claims = caller.claims((clock or Clock()).today())
    deed = Deed(action, object_type, object_id, details=details)
    await service.record_denial(db, caller, claims, deed, reason=reason, request_id=request_id)


class Request(Protocol):
    """What a request's context tells the auditor; ``app.api.context.RequestContext`` has it."""

    @property
    def db(self) -> Database:
        """The database."""

    @property
    def caller(self) -> Caller:
        """Who calls."""

    @property
    def claims(self) -> dict[str, str]:
        """Claims of the caller's transactions."""

    @property
    def request_id(self) -> str:
        """Id of the request."""


class ApiAuditor:
    """What the mutation runner calls: no mutation without its row, whether or not its slice wrote one."""

    async def success(self, ctx: WriteContext, operation: str, object_type: str, object_id: UUID | None) -> None:
        """Write a success in the mutation's own transaction, unless the use case has written it with more detail."""
        if not ctx.session.info.get(_RECORDED):
            await record(ctx, operation, object_type, object_id)

    async def refusal(self, db: Database, reason: str, request_id: str, person_id: UUID | None) -> None:
        """Write that a known person asked to act with a membership that is not theirs, or that has ended.

        A token of nobody known goes to the process log alone.
        """
        who = Visitor(person_id=person_id)
        await record_denial(db, who, ACT, reason, object_type="membership", request_id=request_id)

    async def denial(self, ctx: Request, operation: str, code: str, object_type: str, given: Any) -> None:
        """Write a denial in a transaction of its own, after the rollback."""
        named = parse_global_id(str(getattr(given, "id", "")), object_type or None)
        deed = Deed(operation, object_type, named[1] if named else None)
        await service.record_denial(ctx.db, ctx.caller, ctx.claims, deed, reason=code, request_id=ctx.request_id)
