"""Who calls, with which claims: from the request's header to the context that resolvers see."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from app.api.compiled.compile import Plan
from app.kit.ids import parse_global_id
from infra.clock import Clock
from infra.db.port import Database
from infra.db.session import ReadSession
from infra.identity.port import TokenRefused, VerifiedToken, Verifier
from tenants.context import Acting, Caller, Visitor
from tenants.memberships import HomeTenantRefusedError, MembershipRefusedError, resolve_acting

CACHE_SECONDS = 30.0
CACHE_SIZE = 20_000
MAX_TOKEN = 8192
LOCALES = ("zh-CN", "en")


class UnauthenticatedError(Exception):
    """The token or the membership is refused: 401; ``reason`` and ``person_id`` are for the log and the audit."""

    def __init__(self, reason: str, person_id: UUID | None = None) -> None:
        """Keep the reason, and who it was when the token is good and known."""
        super().__init__(reason)
        self.reason = reason
        self.person_id = person_id


@dataclass(frozen=True)
class Identity:
    """A verified token and who acts."""

    caller: Caller
    token: VerifiedToken | None = None

    @property
    def client(self) -> str | None:
        """The registered client that asked for the token; None for anonymous callers."""
        return self.token.client if self.token else None


Resolver = Callable[..., Awaitable[Caller]]


class Authenticator:
    """Turns the header ``Authorization`` into an identity; remembers it for at most 30 seconds."""

    def __init__(
        self,
        verifier: Verifier,
        db: Database,
        clock: Clock,
        resolve: Resolver = resolve_acting,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Verify with ``verifier``, look memberships up in ``db``.

        Args:
            verifier: checks tokens.
            db: where memberships are.
            clock: the legal clock; validity of a membership is by legal day.
            resolve: as ``tenants.memberships.resolve_acting``.
            monotonic: real time, for the cache.
        """
        self._verifier, self._db, self._clock, self._resolve, self._monotonic = verifier, db, clock, resolve, monotonic
        self._known: OrderedDict[tuple[str, str | None, date], tuple[Identity, float, float]] = OrderedDict()
        self._round = 0

    async def identify(self, authorization: str | None, membership: str | None) -> Identity:
        """Return who calls.

        Args:
            authorization: value of the header; None: anonymous.
            membership: value of the header ``Anlan-Membership``.

        Raises:
            UnauthenticatedError: the token or the membership is refused.
        """
        if authorization is None:
            return Identity(Visitor())
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
            raise UnauthenticatedError("scheme")
        now = self._monotonic()
        today = self._clock.today()
        key = (hashlib.sha256(token.encode()).hexdigest(), membership, today)
        known = self._known.get(key)
        if known is not None and known[1] > now and known[2] > time.time():
            self._known.move_to_end(key)
            return known[0]
        asked_in = self._round
        identity = await self._fresh(token, membership, today)
        if asked_in != self._round:  # read before the change that everybody was forgotten for, perhaps
            return identity
        expires = float(identity.token.expires_at) if identity.token else 0.0
        self._known[key] = (identity, now + CACHE_SECONDS, expires)
        while len(self._known) > CACHE_SIZE:
            self._known.popitem(last=False)
        return identity

    def evict(self) -> None:
        """Forget everybody: some membership has changed."""
        self._round += 1
        self._known.clear()

    async def _fresh(self, token: str, membership: str | None, today: date) -> Identity:
        try:
            verified = await self._verifier.verify(token)
        except TokenRefused as refusal:
            raise UnauthenticatedError(refusal.reason) from None
        try:
            caller = await self._resolve(
                self._db,
                verified.issuer_name,
                verified.subject,
                token_tenant_id=verified.tenant_id,
                token_roles=verified.roles,
                tier_ceiling=verified.realm_tier_ceiling,
                header_membership_id=_membership_id(membership),
                today=today,
                client=verified.client,
                token_expires=verified.expires_at,
            )
        except MembershipRefusedError as refusal:
            raise UnauthenticatedError(refusal.code, refusal.person_id) from refusal
        except HomeTenantRefusedError as refusal:
            raise UnauthenticatedError(refusal.code) from refusal
        return Identity(caller, verified)


def _membership_id(given: str | None) -> str | None:
    """Return the UUID of the header's global id, as `viewer.memberships` shows it; what is none stays as it is."""
    found = parse_global_id(given, "membership") if given else None
    return str(found[1]) if found else given


class Runs(Protocol):
    """What runs a mutation; see ``app.api.mutations``."""

    async def run(self, ctx: "RequestContext", mark: Any, name: str, info: Any, given: Any) -> Any:
        """Run one mutation field."""


@dataclass
class RequestContext:
    """The context of one request: what Python resolvers read from ``info.context``."""

    db: Database
    clock: Clock
    identity: Identity
    request_id: str
    runner: Runs
    locale: str = "zh-CN"
    variables: Mapping[str, Any] = field(default_factory=dict)

    @property
    def caller(self) -> Caller:
        """Who calls."""
        return self.identity.caller

    @property
    def acting(self) -> Acting | None:
        """The acting membership; None for visitors."""
        return self.caller if isinstance(self.caller, Acting) else None

    @property
    def token(self) -> VerifiedToken | None:
        """The verified token; None for anonymous callers."""
        return self.identity.token

    @property
    def now(self) -> datetime:
        """Legal time, UTC."""
        return self.clock.now()

    @property
    def today(self) -> date:
        """Legal day, Asia/Shanghai."""
        return self.clock.today()

    @property
    def claims(self) -> dict[str, str]:
        """Claims of a transaction of this request."""
        return self.caller.claims(self.today)

    def read_session(self) -> AbstractAsyncContextManager[ReadSession]:
        """Open a READ ONLY transaction under the caller's login and claims; one per resolver."""
        return self.db.read(self.caller.login, self.claims)

    async def run_plan(self, plan: Plan, variables: Mapping[str, Any]) -> str | None:
        """Run one compiled statement under the caller's login and claims."""
        arguments = plan.arguments(self.claims, variables)
        found: str | None = await self.db.reader(self.caller.login).fetchval(plan.sql, *arguments)
        return found

    async def mutate(self, mark: Any, name: str, info: Any, given: Any) -> Any:
        """Run one mutation field."""
        return await self.runner.run(self, mark, name, info, given)


def locale_of(accept_language: str | None, caller: Caller) -> str:
    """Return the language of messages: what the request asks for first, else the person's own."""
    if accept_language:
        for part in accept_language.split(",")[:8]:
            tag = part.split(";")[0].strip().lower()
            if tag.startswith("zh"):
                return LOCALES[0]
            if tag.startswith("en"):
                return LOCALES[1]
    return caller.locale
