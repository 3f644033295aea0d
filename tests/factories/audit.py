"""Callers and contexts over the fixture world, and audit rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from app.kit.uow import WriteContext
from tenants.context import Acting, Caller, Visitor
from tenants.kinds import Kind
from tenants.roles import capabilities
from tests.world import TODAY, Actor, World, canary, tenant_id

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
"""09:00 of the world's legal day."""


def acting_as(world: World, name: str, *roles: str, person: Any = None) -> Acting:
    """Return an actor's membership as it acts.

    Args:
        world: who is who.
        name: of the actor.
        roles: other roles than the world gives him.
        person: another person in the same tenant.
    """
    actor: Actor = world.actors[name]
    assert actor.tenant is not None
    assert actor.person is not None
    kind = Kind(world.kind(actor))
    held = frozenset(roles or actor.roles)
    return Acting(
        membership_id=actor.membership,
        person_id=person or actor.person,
        tenant_id=tenant_id(actor.tenant),
        tenant_key=world.keys[actor.tenant],
        tenant_name=canary(actor.tenant),
        kind=kind,
        roles=held,
        capabilities=capabilities(kind, held),
        actor_name=f"{name} of {actor.tenant}",
        post="post",
    )


@asynccontextmanager
async def work(db: Any, caller: Caller, request_id: str = "request-1") -> AsyncIterator[WriteContext]:
    """Open the unit of work of a mutation; it commits at the end of the block."""
    async with db.write(caller.login, caller.claims(TODAY)) as session:
        yield WriteContext(session, caller, NOW, TODAY, request_id)


def visitor(world: World, name: str = "citizen") -> Visitor:
    """Return somebody without a membership."""
    return Visitor(person_id=world.actors[name].person)
