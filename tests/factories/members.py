"""Memberships and slips over the fixture world, and runs of jobs outside a worker."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from app.kit.errors import Fault
from app.kit.ids import uuid7
from app.kit.jobs import JobRun
from app.kit.uow import WriteContext
from app.modules.members.service import Slip, new_slip
from app.modules.members.service.activation import hash_code
from infra.clock import Clock, real_now
from tenants.context import Caller
from tests.conftest import Clone
from tests.factories.audit import work
from tests.world import World

Call = Callable[[WriteContext], Awaitable[Any]]


def calling(function: Callable[..., Awaitable[Any]], *arguments: Any) -> Call:
    """Return a use case with its arguments, for :func:`do` and :func:`refused` in a loop."""
    return lambda ctx: function(ctx, *arguments)


async def do(clone: Clone, caller: Caller, call: Call) -> Any:
    """Run a use case in its transaction."""
    async with work(clone.db, caller) as ctx:
        return await call(ctx)


async def refused(clone: Clone, caller: Caller, call: Call) -> str:
    """Run a use case that must fail, and say how."""
    with pytest.raises(Fault) as refusal:
        await do(clone, caller, call)
    return refusal.value.code


async def create_membership(
    admin: Any, world: World, tenant: str, *, state: str = "ACTIVE", roles: tuple[str, ...] = ("OFFICER",), **more: Any
) -> UUID:
    """Insert a membership as superuser and return its id.

    Args:
        admin: superuser's connection.
        world: who is who.
        tenant: name of the tenant in the world.
        state: state.
        roles: roles.
        more: further columns.
    """
    member_id = uuid7()
    values = {
        "id": member_id,
        "owner_key": world.keys[tenant],
        "name": f"member of {tenant}",
        "roles": list(roles),
        "state": state,
        "valid_from": real_now().date() - timedelta(days=400),
        **more,
    }
    names, marks = ", ".join(values), ", ".join(f"${number}" for number in range(1, len(values) + 1))
    await admin.execute(f"INSERT INTO app.membership ({names}) VALUES ({marks})", *values.values())
    return member_id


async def create_slip(admin: Any, member_id: UUID, *, age: timedelta = timedelta()) -> Slip:
    """Give a membership an activation slip that is so old."""
    slip = new_slip(member_id)
    await admin.execute(
        "UPDATE app.membership SET slip_hash = $2, slip_expires_at = $3 WHERE id = $1",
        member_id,
        hash_code(slip.code),
        slip.expires_at - age,
    )
    return slip


async def row_of(admin: Any, member_id: UUID) -> dict[str, Any]:
    """Return a membership as it is."""
    return dict(await admin.fetchrow("SELECT * FROM app.membership WHERE id = $1", member_id))


def job_run(db: Any, actor: str, message_id: UUID | None = None) -> JobRun:
    """Return an attempt of a system job under ``sys_jobs``."""
    return JobRun(db, message_id or uuid7(), actor, 1, {"actor": f"system:{actor}"}, "sys_jobs", None, Clock())
