"""The web server's application: the API, health, metrics, the embedded issuer, the start page.

``create_app()`` reads the settings and opens infra in its lifespan; nothing connects before that.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.resources import files
from typing import Any
from uuid import UUID

import httpx
from jinja2 import Environment, select_autoescape
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.context import Authenticator
from app.api.endpoint import Denied, GraphQLEndpoint
from app.api.engine import Answer, Engine
from app.api.limits import load_limits
from app.api.middleware import RequestFrame
from app.api.mutations import Auditor, MutationRunner
from app.api.schema import Api, build
from app.api.sheet_files import SheetFiles
from app.api.trusted import TrustedDocuments, load_documents
from app.kit.legal_clock import LegalClock
from app.kit.sheets import files as sheets
from app.registry import load_ledgers, load_models, slice_parts
from infra.db.port import Database
from infra.identity.issuers import trusted_issuers
from infra.settings import Settings, load
from infra.wiring import open_database, open_issuer, open_verifier
from tenants.revocations import RevokedSessions
from tenants.roles import KNOWN_ROLES

EVICT_CHANNEL = "membership"
"""Notified when a membership changes or a session is revoked: every process forgets whom it knows."""
_EVICT_RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


def load_api() -> Api:
    """Build the schema of all registered slices."""
    load_models()
    load_ledgers()
    modules = [part.MODULE for part in slice_parts("module")]
    return build(
        [module.query for module in modules if module.query is not None],
        [module.mutation for module in modules if module.mutation is not None],
        [kind for module in modules for kind in module.types],
        [module.subscription for module in modules if module.subscription is not None],
    )


class Metrics:
    """Counters of one process, in a registry of their own."""

    def __init__(self) -> None:
        """Declare them."""
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "anlan_graphql_requests", "GraphQL requests by path of execution.", ["path"], registry=self.registry
        )
        self._errors = Counter("anlan_graphql_errors", "Top-level errors by code.", ["code"], registry=self.registry)
        self._seconds = Histogram(
            "anlan_graphql_seconds", "Seconds per GraphQL request.", ["path"], registry=self.registry
        )

    def observe(self, answer: Answer, seconds: float) -> None:
        """Count one answer."""
        self._requests.labels(answer.path).inc()
        self._seconds.labels(answer.path).observe(seconds)
        for code in answer.codes:
            self._errors.labels(code).inc()


class Site:
    """The application behind the middleware: ``/graphql`` straight, everything else by a router."""

    def __init__(self, settings: Settings, auditor: Auditor | None = None) -> None:
        """Prepare; the lifespan opens what it serves."""
        self.settings, self.auditor = settings, auditor
        self.metrics = Metrics()
        self.graphql: ASGIApp | None = None
        self.db: Database | None = None
        routes: list[Route | Mount] = [
            Route("/", self.start_page),
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/metrics", self.metrics_page),
        ]
        self.router = Router(routes, lifespan=self.lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route one request."""
        if scope["type"] == "http" and scope["path"] == "/graphql" and self.graphql is not None:
            await self.graphql(scope, receive, send)
        else:
            await self.router(scope, receive, send)

    @asynccontextmanager
    async def lifespan(self, _app: Any) -> AsyncIterator[None]:
        """Open infra and the API; close them in the reverse order."""
        settings = self.settings
        settings.require_production_parts()
        api = load_api()
        async with AsyncExitStack() as stack:
            db = open_database(settings)
            stack.push_async_callback(db.close)
            http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=5.0))
            if settings.issuers is None and settings.embedded:
                self.router.routes.append(Mount("/realms", open_issuer(settings, db)))
            self.router.routes.append(Mount("/sheets", SheetFiles(db, sheets.use(settings)).router))
            clock = LegalClock(settings)
            revocations = RevokedSessions(db, {one.issuer: one.name for one in trusted_issuers(settings)})
            verifier = open_verifier(settings, http, revocations=revocations, known_roles=KNOWN_ROLES)
            authenticator = Authenticator(verifier, db, clock)
            free_text = settings.env != "production"
            clients = frozenset[str]()
            if settings.issuers is not None:
                clients = frozenset(
                    client for entry in settings.issuers for client in _texts(entry.get("free_text_clients"))
                )
            trusted = TrustedDocuments(load_documents(), free_text=free_text, clients=clients)
            self.graphql = GraphQLEndpoint(
                Engine(api, load_limits(), trusted),
                db,
                clock,
                authenticator,
                MutationRunner(api.bindings, self.auditor),
                force_fallback=free_text,
                observe=self.metrics.observe,
                denied=refusals(self.auditor, db),
                before=lambda: clock.refresh(db),
            )
            self.db = db
            evicting = asyncio.create_task(_evict(db, revocations, authenticator))
            try:
                yield
            finally:
                evicting.cancel()
                self.graphql = self.db = None

    async def healthz(self, _request: Request) -> Response:
        """Say that the process lives."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """Say whether the process can serve: the database answers. The issuer is not asked."""
        parts = {"database": "ok"}
        try:
            async with asyncio.timeout(2):
                await self.db.reader("public").fetchval("SELECT 1") if self.db else None
        except Exception as fault:  # noqa: BLE001 - any fault means not ready
            parts["database"] = type(fault).__name__
        ready = self.db is not None and all(state == "ok" for state in parts.values())
        return JSONResponse({"status": "ready" if ready else "not ready", "parts": parts}, 200 if ready else 503)

    async def metrics_page(self, _request: Request) -> Response:
        """Show the counters in Prometheus' text format."""
        return Response(generate_latest(self.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def start_page(self, _request: Request) -> Response:
        """Show what runs, where the API is, who the demo accounts are, how to get a token."""
        template = Environment(autoescape=select_autoescape(default=True)).from_string(
            (files("app") / "pages" / "start.html").read_text(encoding="utf-8")
        )
        page = template.render(
            url=self.settings.public_url,
            env=self.settings.env,
            accounts=_accounts(self.settings) if self.settings.embedded else [],
        )
        policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
        return HTMLResponse(page, headers={"content-security-policy": policy, "x-content-type-options": "nosniff"})


def create_app(settings: Settings | None = None, auditor: Auditor | None = None) -> ASGIApp:
    """Return the ASGI application.

    Args:
        settings: of this process; read from the environment when omitted.
        auditor: writes the audit log; the audit slice's own when omitted.
    """
    made = settings or load()
    return RequestFrame(Site(made, auditor or _audit_slice()))


def refusals(auditor: Auditor | None, db: Database) -> Denied | None:
    """Return what the endpoint tells of refused tokens and memberships (decision 30)."""
    if auditor is None:
        return None

    async def denied(reason: str, request_id: str, person_id: UUID | None) -> None:
        await auditor.refusal(db, reason, request_id, person_id)

    return denied


def _audit_slice() -> Auditor | None:
    """Return the auditor that a slice offers as ``AUDITOR`` in its ``module.py``."""
    for part in slice_parts("module"):
        found: Auditor | None = getattr(part, "AUDITOR", None)
        if found is not None:
            return found
    return None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()


def _accounts(settings: Settings) -> list[dict[str, Any]]:
    """Read the demo accounts that ``up`` wrote; none yet while it seeds."""
    path = settings.state / "accounts.json"
    try:
        found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return found


async def _evict(db: Database, *caches: RevokedSessions | Authenticator) -> None:
    """Forget known callers whenever a membership or session changes, and whenever the connection was lost."""

    def forget() -> None:
        for cache in caches:
            cache.evict()

    while True:
        try:
            async with db.listen("sys_identity", EVICT_CHANNEL) as changes:
                forget()
                async for _ in changes:
                    forget()
        except Exception as fault:  # noqa: BLE001 - whatever it was, known callers may be stale
            log.warning("listening for changed memberships failed", extra={"code": type(fault).__name__})
        forget()
        await asyncio.sleep(_EVICT_RETRY_SECONDS)
