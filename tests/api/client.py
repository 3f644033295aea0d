"""A client of the toy's endpoint, and callers whose tokens need no issuer."""

import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from app.api.context import Authenticator
from app.api.endpoint import GraphQLEndpoint
from app.api.engine import Engine
from app.api.limits import load_limits
from app.api.middleware import RequestFrame
from app.api.mutations import MutationRunner
from app.api.schema import Api
from app.api.trusted import TrustedDocument, TrustedDocuments
from infra.clock import Clock
from infra.identity.port import TokenRefused, VerifiedToken
from tenants.context import Acting, Caller, Visitor
from tenants.kinds import Kind
from tenants.memberships import MembershipRefusedError

PERSON = uuid.UUID("00000000-0000-4000-8000-000000000001")
EXPIRES = 4_000_000_000


class ToyVerifier:
    """Accepts ``LOGIN-KEY-CLIENT``; refuses everything else."""

    def __init__(self) -> None:
        self.calls = 0

    async def verify(self, token: str) -> VerifiedToken:
        self.calls += 1
        parts = token.split("-")
        if len(parts) != 3:
            raise TokenRefused("signature")
        return VerifiedToken(
            issuer="https://issuer",
            issuer_name="gov",
            realm_tier_ceiling=frozenset({"county", "enterprise"}),
            subject=token,
            client=parts[2],
            sid=None,
            acr=None,
            auth_time=None,
            tenant_id=None,
            tenant_tier="county",
            roles=frozenset(),
            expires_at=EXPIRES,
            token_hash=token,
        )

    async def verify_logout(self, token: str) -> Any:
        raise TokenRefused(token)


async def resolve(_db: Any, _issuer: str, subject: str, **more: Any) -> Caller:
    """The caller that a toy token names."""
    if more["header_membership_id"] == "foreign":
        raise MembershipRefusedError(PERSON, "foreign")
    login, key, client = subject.split("-")
    if login == "nobody":
        return Visitor(person_id=PERSON)
    return Acting(
        membership_id=uuid.uuid4(),
        person_id=PERSON,
        tenant_id=uuid.uuid4(),
        tenant_key=int(key),
        tenant_name="toy",
        kind=Kind[login.upper()],
        roles=frozenset(),
        capabilities=frozenset(),
        actor_name="李",
        post="科员",
        client=client,
    )


@dataclass
class Statements:
    """Counts what a database port is asked for."""

    db: Any
    reads: list[str] = field(default_factory=list)
    sessions: int = 0
    fault: list[BaseException] = field(default_factory=list)

    def reader(self, login: str) -> Any:
        outer = self

        class Counted:
            async def fetchval(self, sql: str, *args: object) -> Any:
                outer.reads.append(sql)
                if outer.fault:
                    raise outer.fault.pop(0)
                return await outer.db.reader(login).fetchval(sql, *args)

        return Counted()

    def read(self, login: str, claims: Any) -> Any:
        self.sessions += 1
        return self.db.read(login, claims)

    def write(self, login: str, claims: Any) -> Any:
        self.sessions += 1
        return self.db.write(login, claims)


class ToyAudit:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    async def success(self, ctx: Any, operation: str, _object_type: str, _object_id: Any) -> None:
        assert ctx.session.in_transaction()
        self.told.append(("success", operation))

    async def denial(self, _ctx: Any, operation: str, code: str, _object_type: str, _given: Any) -> None:
        self.told.append((code, operation))

    async def refusal(self, _db: Any, reason: str, _request_id: str, _person_id: uuid.UUID | None) -> None:
        self.told.append((reason, "refusal"))


class ToyClient:
    """The whole stack of ``/graphql`` in process."""

    def __init__(self, api: Api, db: Any, *, free_text: bool = True, documents: tuple[str, ...] = ()) -> None:
        self.statements = Statements(db)
        self.audit = ToyAudit()
        self.verifier = ToyVerifier()
        self.denied: list[str] = []
        known = {name: TrustedDocument(name, name, text) for name, text in (one.split("|", 1) for one in documents)}
        trusted = TrustedDocuments(known, free_text=free_text, clients=frozenset({"registered"}))
        self.engine = Engine(api, load_limits(), trusted)
        clock = Clock()
        self.authenticator = Authenticator(self.verifier, db, clock, resolve)
        self.endpoint = GraphQLEndpoint(
            self.engine,
            self.statements,  # type: ignore[arg-type]
            clock,
            self.authenticator,
            MutationRunner(api.bindings, self.audit),
            force_fallback=True,
            denied=self._deny,
        )
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(RequestFrame(self.endpoint)),
            base_url="http://toy",
        )

    async def _deny(self, reason: str, _request_id: str, _person_id: uuid.UUID | None) -> None:
        self.denied.append(reason)

    async def post(
        self,
        query: str | None,
        variables: dict[str, Any] | None = None,
        *,
        token: str | None = "county-10-app",
        fallback: bool = False,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        sent = {"content-type": "application/json", "accept-language": "en", **(headers or {})}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        if fallback:
            sent["x-force-fallback"] = "1"
        body = {"variables": variables or {}, **more}
        if query is not None:
            body["query"] = query
        return await self.http.post("/graphql", content=orjson.dumps(body), headers=sent)

    async def ask(self, query: str, variables: dict[str, Any] | None = None, **more: Any) -> Any:
        """Answer's data; the answer must have no errors."""
        answer = (await self.post(query, variables, **more)).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]
