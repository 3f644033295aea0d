"""Callers of the fixture world, their units of work, and their requests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

from graphql import graphql

from app.api.context import Identity, RequestContext
from app.api.mutations import MutationRunner
from app.api.schema import Api
from app.asgi import load_api
from app.kit.uow import WriteContext
from app.modules.audit.public import ApiAuditor
from infra.clock import Clock
from infra.identity.port import VerifiedToken
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


@cache
def api() -> Api:
    """Return the schema of all slices, built once."""
    return load_api()


def token_of(world: World, name: str, client: str = "anlan-web") -> VerifiedToken:
    """Return what the verified token of an actor says."""
    actor = world.actors[name]
    return VerifiedToken(
        issuer="https://issuer.test/realms/gov",
        issuer_name="ent" if (actor.tenant or "E")[0] == "E" else "gov",
        realm_tier_ceiling=frozenset(),
        subject=name,
        client=client,
        sid=None,
        acr="1",
        auth_time=None,
        tenant_id=tenant_id(actor.tenant) if actor.tenant else None,
        tenant_tier="",
        roles=frozenset(actor.roles),
        expires_at=4_000_000_000,
        token_hash=name,
    )


async def ask(clone: Any, caller: Caller, document: str, token: VerifiedToken | None = None, **variables: Any) -> Any:
    """Run a document as the web server does for this caller and return its data; top-level errors fail."""
    context = RequestContext(
        clone.db,
        Clock(source=lambda: NOW),
        Identity(caller, token),
        "request-api",
        MutationRunner(api().bindings, ApiAuditor()),
        locale="en",
    )
    answer = await graphql(api().schema, document, context_value=context, variable_values=variables)
    assert answer.errors is None, answer.errors
    return answer.data
