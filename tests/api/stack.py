"""The product's whole stack in process over the fixture world: only the check of a token's signature is replaced."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import orjson
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import event

from app.api.context import Authenticator
from app.api.endpoint import GraphQLEndpoint
from app.api.engine import Engine
from app.api.limits import load_limits
from app.api.middleware import RequestFrame
from app.api.mutations import MutationRunner
from app.api.schema import Api
from app.api.trusted import TrustedDocuments
from app.asgi import refusals
from app.registry import slice_parts
from infra.clock import Clock
from infra.db.port import Database
from infra.identity.port import TokenRefused, VerifiedToken, Verifier
from tenants.roles import ROLES
from tests.world import Actor

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
"""09:00 of the world's legal day."""
CEILINGS = {
    "gov": frozenset({"national", "province", "city", "county", "township", "park", "rescue_team", "agency"}),
    "ent": frozenset({"enterprise", "citizen"}),
}
EVERY_ROLE = frozenset(role for roles in ROLES.values() for role in roles)
TOKEN = re.compile(r"(gov|ent):([a-z0-9_]+)(?::tenant=([0-9a-f-]{36}))?\Z")
NEVER = 4_000_000_000


def token_of(actor: Actor) -> str | None:
    """Return the token with which an actor of the world signs in."""
    if not actor.signed_in:
        return None
    return f"{'ent' if (actor.tenant or 'E')[0] == 'E' else 'gov'}:{actor.name}"


class WorldVerifier:
    """Accepts ``ISSUER:SUBJECT`` and ``ISSUER:SUBJECT:tenant=ID``; the memberships come from the database."""

    async def verify(self, token: str) -> VerifiedToken:
        found = TOKEN.match(token)
        if found is None:
            raise TokenRefused("signature")
        issuer, subject, tenant = found.groups()
        return VerifiedToken(
            issuer=f"https://{issuer}",
            issuer_name=issuer,
            realm_tier_ceiling=CEILINGS[issuer],
            subject=subject,
            client="anlan-test",
            sid=None,
            acr=None,
            auth_time=None,
            tenant_id=UUID(tenant) if tenant else None,
            tenant_tier="",
            roles=EVERY_ROLE,
            expires_at=NEVER,
            token_hash=token,
        )

    async def verify_logout(self, token: str) -> Any:
        raise TokenRefused(token)


class CountedDatabase:
    """Counts the statements of compiled reads; those of sessions are counted by :func:`counting`."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.reads = 0

    def reader(self, login: str) -> Any:
        outer, pool = self, self.db.reader(login)

        class Counted:
            async def fetchval(self, sql: str, *args: object) -> Any:
                outer.reads += 1
                return await pool.fetchval(sql, *args)

        return Counted()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.db, name)


class Stack:
    """The endpoint ``/graphql`` over a database."""

    def __init__(self, api: Api, db: Database, verifier: Verifier | None = None) -> None:
        self.counted = CountedDatabase(db)
        self.clock = Clock(source=lambda: NOW)
        auditor = next(found for part in slice_parts("module") if (found := getattr(part, "AUDITOR", None)))
        self.authenticator = Authenticator(verifier or WorldVerifier(), db, self.clock)
        self.endpoint = GraphQLEndpoint(
            Engine(api, load_limits(), TrustedDocuments({}, free_text=True, clients=frozenset())),
            self.counted,
            self.clock,
            self.authenticator,
            MutationRunner(api.bindings, auditor),
            force_fallback=True,
            denied=refusals(auditor, db),
        )
        self.app = RequestFrame(self.endpoint)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://world")

    async def post(
        self,
        actor: Actor | str | None,
        query: str,
        variables: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a document as an actor, or with a token."""
        token = token_of(actor) if isinstance(actor, Actor) else actor
        sent = {"content-type": "application/json", "accept-language": "en", **(headers or {})}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        return await self.http.post(
            "/graphql", content=orjson.dumps({"query": query, "variables": variables or {}}), headers=sent
        )

    async def ask(self, actor: Actor, query: str, variables: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the body and its data; errors fail the test."""
        answer = await self.post(actor, query, variables)
        content = orjson.loads(answer.content)
        assert "errors" not in content, (actor.name, query[:300], content["errors"])
        return answer.text, content["data"]

    async def close(self) -> None:
        """Close the client."""
        await self.http.aclose()


@contextmanager
def counting(stack: Stack) -> Iterator[list[int]]:
    """Count the SQL statements of a block; the list's one number is right when the block has ended."""
    counted = [0]

    def one(*_: Any) -> None:
        counted[0] += 1

    before = stack.counted.reads
    event.listen(SqlEngine, "before_cursor_execute", one)
    try:
        yield counted
    finally:
        event.remove(SqlEngine, "before_cursor_execute", one)
        counted[0] += stack.counted.reads - before
