"""A membership that ends: the token at hand, not expired yet, opens nothing any more."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from app.asgi import _evict
from app.modules.members import jobs, service
from infra.identity.embedded import issuer_app
from infra.identity.issuers import embedded_issuers
from infra.identity.port import Attributes, NewAccount
from infra.identity.verifier import create_verifier
from infra.secrets import Secrets
from infra.wiring import open_directory
from tenants.revocations import RevokedSessions
from tenants.roles import KNOWN_ROLES
from tests.api.stack import Stack
from tests.conftest import Clone
from tests.factories.audit import acting_as, api
from tests.factories.members import Call, create_membership, do, job_run
from tests.infra.identity.conftest import URL
from tests.infra.identity.flows import Flow
from tests.world import World, tenant_id

WHO = "{ viewer { tenant { name } roles } tenants(first: 1) { edges { node { id } } } }"
SECONDS = 20
"""Far more than the caches hold an answer."""


@dataclass
class Running:
    """A web server's parts with the embedded issuer, over one database."""

    clone: Clone
    world: World
    stack: Stack
    http: httpx.AsyncClient

    async def account(self, actor: str, *roles: str) -> UUID:
        """Give an actor of the world an account at the issuer."""
        who = self.world.actors[actor]
        assert who.tenant is not None
        made = await open_directory(self.clone.db).create_user(
            NewAccount(
                "gov", actor.replace("_", "."), actor, Attributes(tenant_id(who.tenant), "county"), frozenset(roles)
            )
        )
        await self.clone.admin.execute(
            "UPDATE app.person SET subject = $2 WHERE person_id = $1", who.person, str(made.subject)
        )
        return made.subject

    async def token(self, actor: str) -> str:
        """Log in."""
        return str((await Flow(self.http, "gov").tokens(actor.replace("_", ".")))["access_token"])

    async def status(self, token: str) -> int:
        """Return the status of a request with a token."""
        return (await self.stack.post(token, WHO)).status_code

    async def run_jobs(self) -> None:
        """Do what the worker does with the queued jobs of accounts."""
        rows = await self.clone.admin.fetch(
            "UPDATE app.outbox SET sent_at = now() WHERE actor = $1 AND sent_at IS NULL RETURNING id, args::text",
            service.SYNC_JOB,
        )
        for row in rows:
            await jobs.sync_account(job_run(self.clone.db, service.SYNC_JOB, row["id"]), **json.loads(row["args"]))

    async def decide(self, call: Call) -> None:
        """Let the city's administrator decide, and the worker follow."""
        await do(self.clone, acting_as(self.world, "city_1"), call)
        await self.run_jobs()


@asynccontextmanager
async def running(clone: Clone, world: World, state: Path, *, listen: bool = True) -> AsyncIterator[Running]:
    sub = issuer_app(env="test", public_url=URL, secrets=Secrets(state), database=clone.db)
    app = Starlette(routes=[Mount("/realms", sub)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL) as http:
        sessions = RevokedSessions(clone.db, {one.issuer: one.name for one in embedded_issuers(URL)})
        verifier = create_verifier(embedded_issuers(URL), http, state, revocations=sessions, known_roles=KNOWN_ROLES)
        stack = Stack(api(), clone.db, verifier)
        evicting = asyncio.create_task(_evict(clone.db, sessions, stack.authenticator)) if listen else None
        try:
            yield Running(clone, world, stack, http)
        finally:
            if evicting is not None:
                evicting.cancel()
                with suppress(asyncio.CancelledError):
                    await evicting
            await stack.close()


async def eventually(condition: Callable[[], Any], wanted: object) -> None:
    """Ask again until the answer is right; other requests go on meanwhile."""
    end = time.monotonic() + SECONDS
    while await condition() != wanted:
        assert time.monotonic() < end, "the token still opens what it did"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("step", ["suspend", "end"])
async def test_a_token_of_an_ended_membership_is_refused(
    fresh_world: Clone, world: World, tmp_path: Path, step: str
) -> None:
    async with running(fresh_world, world, tmp_path) as site:
        await site.account("county_1", "OFFICER", "ACCEPTOR")
        await site.account("county_2", "ADMIN")
        token, other = await site.token("county_1"), await site.token("county_2")
        assert (await site.status(token), await site.status(other)) == (200, 200)
        member = world.actors["county_1"].membership
        use_case = service.suspend if step == "suspend" else service.end
        await site.decide(lambda ctx: use_case(ctx, member, 1, "离岗"))
        await eventually(lambda: site.status(token), 401)
        answer = await site.stack.post(token, WHO)
        assert "data" not in answer.json()
        assert await site.status(other) == 200, "nobody else's"


async def test_a_resumed_member_signs_in_anew_and_the_old_token_stays_refused(
    fresh_world: Clone, world: World, tmp_path: Path
) -> None:
    async with running(fresh_world, world, tmp_path) as site:
        await site.account("county_1", "OFFICER")
        old = await site.token("county_1")
        assert await site.status(old) == 200
        member = world.actors["county_1"].membership
        await site.decide(lambda ctx: service.suspend(ctx, member, 1, "离岗"))
        await site.decide(lambda ctx: service.resume(ctx, member, 2))
        await eventually(lambda: site.status(old), 401)
        assert await site.status(await site.token("county_1")) == 200


async def test_one_of_two_memberships_that_ends_ends_the_session_and_leaves_the_account(
    fresh_world: Clone, world: World, tmp_path: Path
) -> None:
    async with running(fresh_world, world, tmp_path) as site:
        await site.account("county_1", "OFFICER")
        person = world.actors["county_1"].person
        await create_membership(fresh_world.admin, world, "D112", person_id=person, roles=("LEADER",))
        old = await site.token("county_1")
        member = world.actors["county_1"].membership
        assert await site.status(old) == 200
        await site.decide(lambda ctx: service.change_roles(ctx, member, 1, ["LEADER"]))
        assert await site.status(old) == 200, "other roles end no session"
        await site.decide(lambda ctx: service.end(ctx, member, 2, "调离"))
        await eventually(lambda: site.status(old), 401)
        account = await open_directory(fresh_world.db).find("gov", username="county.1")
        assert account is not None
        assert (account.enabled, account.roles) == (True, frozenset({"LEADER"}))


async def test_a_job_that_died_before_it_kept_the_sessions_keeps_them_the_second_time(
    fresh_world: Clone, world: World, tmp_path: Path
) -> None:
    async with running(fresh_world, world, tmp_path) as site:
        subject = await site.account("county_1", "OFFICER")
        token = await site.token("county_1")
        assert await site.status(token) == 200
        member = world.actors["county_1"].membership
        await do(fresh_world, acting_as(world, "city_1"), lambda ctx: service.end(ctx, member, 1, "调离"))
        assert await open_directory(fresh_world.db).disable("gov", subject), "the issuer's half of the job, done"
        await site.run_jobs()
        await eventually(lambda: site.status(token), 401)


async def test_a_revoked_session_is_refused_by_a_process_that_never_saw_its_token(
    fresh_world: Clone, world: World, tmp_path: Path
) -> None:
    async with running(fresh_world, world, tmp_path, listen=False) as site:
        await site.account("county_1", "OFFICER")
        token = await site.token("county_1")
        member = world.actors["county_1"].membership
        await site.decide(lambda ctx: service.end(ctx, member, 1, "调离"))
        assert await site.status(token) == 401


async def test_a_token_with_a_role_that_nobody_knows_is_refused(
    fresh_world: Clone, world: World, tmp_path: Path
) -> None:
    async with running(fresh_world, world, tmp_path, listen=False) as site:
        await site.account("county_1", "OFFICER", "EMPEROR")
        assert await site.status(await site.token("county_1")) == 401
