"""GraphQL over HTTP as a pure ASGI application: POST JSON, GET for queries, media types by negotiation.

Draft of the GraphQL over HTTP specification; its 61 audits run in ``tests/api/http``.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import orjson
from starlette.types import Receive, Scope, Send

from app.api import errors as top
from app.api.context import Authenticator, Identity, RequestContext, UnauthenticatedError, locale_of
from app.api.engine import Answer, Engine, GraphQLRequest, MutationByGetError, refusal
from app.kit.errors import translate
from infra.clock import Clock
from infra.db.port import Database
from tenants.context import Visitor

RESPONSE_JSON = "application/graphql-response+json"
JSON = "application/json"
SESSION_COOKIE = "anlan_session"
_TYPES = (JSON, RESPONSE_JSON)
_WILDCARDS = ("*/*", "application/*")
_NO_BODY = b""

Observe = Callable[[Answer, float], None]
Denied = Callable[[str, str, UUID | None], Awaitable[None]]


class HttpFaultError(Exception):
    """The request is none of ours: answered before GraphQL begins."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Say with which status and why."""
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


class GraphQLEndpoint:
    """The route ``/graphql``."""

    def __init__(
        self,
        engine: Engine,
        db: Database,
        clock: Clock,
        authenticator: Authenticator,
        runner: Any,
        *,
        force_fallback: bool = False,
        observe: Observe | None = None,
        denied: Denied | None = None,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Serve an engine.

        Args:
            engine: executes requests.
            db: database of the requests.
            clock: the legal clock.
            authenticator: turns headers into identities.
            runner: runs mutations.
            force_fallback: whether the header ``x-force-fallback`` is obeyed (tests and development).
            observe: told of every answer and its seconds.
            denied: told of refused tokens and memberships: reason, request id, the person where known.
            before: run before each request; refreshes the legal clock.
        """
        self._engine, self._db, self._clock, self._authenticator = engine, db, clock, authenticator
        self._runner, self._force, self._observe, self._denied = runner, force_fallback, observe, denied
        self._before = before

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        headers = _headers(scope)
        request_id = scope.get("state", {}).get("request_id") or secrets.token_hex(8)
        try:
            media = negotiate(headers.get("accept"))
            answer = await self._answer(scope, receive, headers, request_id)
        except HttpFaultError as fault:
            shown = {"message": str(fault), "extensions": {"code": top.INVALID_REQUEST, "requestId": request_id}}
            body = orjson.dumps({"errors": [shown]})
            await _send(send, fault.status, JSON if fault.status == 406 else _media(headers), body, fault.headers)  # noqa: PLR2004
            return
        status = _status(answer, media)
        extra: dict[str, str] = {}
        if status == top.STATUS[top.UNAUTHENTICATED]:
            extra["www-authenticate"] = 'Bearer realm="anlan"'
        if answer.cost is not None and answer.budget is not None:
            extra |= {
                "x-query-cost": str(answer.cost),
                "ratelimit-limit": str(answer.budget),
                "ratelimit-remaining": str(max(0, answer.budget - answer.cost)),
                "ratelimit-reset": "0",
            }
        scope.setdefault("state", {})["graphql"] = answer
        await _send(send, status, media, answer.body, extra)
        if self._observe is not None:
            self._observe(answer, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, headers: Mapping[str, str], request_id: str) -> Answer:
        method = scope["method"]
        if method == "GET":
            request = _from_query(scope)
        elif method == "POST":
            request = _from_body(headers, await _body(receive, headers, self._engine.limits.body))
        else:
            raise HttpFaultError(405, "GraphQL takes POST, and GET for queries", {"allow": "GET, POST"})
        if self._before is not None:
            await self._before()
        try:
            identity = await self._identify(scope, headers)
        except UnauthenticatedError as fault:
            if self._denied is not None:
                await self._denied(fault.reason, request_id, fault.person_id)
            locale = locale_of(headers.get("accept-language"), Visitor())
            found = [top.ApiError(top.UNAUTHENTICATED, translate(top.UNAUTHENTICATED, locale))]
            return refusal(found, request_id, locale, self._engine.limits.seconds)
        ctx = RequestContext(
            db=self._db,
            clock=self._clock,
            identity=identity,
            request_id=request_id,
            runner=self._runner,
            locale=locale_of(headers.get("accept-language"), identity.caller),
        )
        forced = self._force and headers.get("x-force-fallback") is not None
        try:
            return await self._engine.run(request, ctx, queries_only=method == "GET", compiled=not forced)
        except MutationByGetError:
            raise HttpFaultError(405, "mutations go by POST", {"allow": "POST"}) from None
        except Exception as fault:  # noqa: BLE001 - masked and logged, whatever it is
            return refusal([top.bug(fault)], request_id, ctx.locale, self._engine.limits.seconds)

    async def _identify(self, scope: Scope, headers: Mapping[str, str]) -> Identity:
        authorizations = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(authorizations) > 1 or b"access_token=" in scope.get("query_string", b""):
            raise UnauthenticatedError("ambiguous")
        authorization = headers.get("authorization")
        if authorization is not None and f"{SESSION_COOKIE}=" in headers.get("cookie", ""):
            raise HttpFaultError(400, "a request carries the session cookie or a bearer token, never both")
        return await self._authenticator.identify(authorization, headers.get("anlan-membership"))


def negotiate(accept: str | None) -> str:
    """Return the media type of the answer.

    Raises:
        HttpFaultError: the client takes neither of ours.
    """
    if accept is None or not accept.strip():
        return JSON
    best, best_quality = None, 0.0
    for part in accept.split(",")[:32]:
        media, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        charset = next((p[8:].strip('"') for p in parameters if p.startswith("charset=")), "utf-8")
        if quality > best_quality and charset in ("utf-8", "utf8") and (media in _TYPES or media in _WILDCARDS):
            best, best_quality = (JSON if media in _WILDCARDS else media), quality
    if best is None:
        raise HttpFaultError(406, f"we answer {RESPONSE_JSON} or {JSON}, in utf-8")
    return best


def _media(headers: Mapping[str, str]) -> str:
    try:
        return negotiate(headers.get("accept"))
    except HttpFaultError:
        return JSON


def _status(answer: Answer, media: str) -> int:
    """Return the HTTP status: truthful about authentication, limits and faults on both media types."""
    if answer.has_data or not answer.codes:
        return 200
    plain = all(code == top.INVALID_REQUEST for code in answer.codes)
    return 200 if plain and media == JSON else answer.status


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _from_query(scope: Scope) -> GraphQLRequest:
    pairs = dict(parse_qsl(scope.get("query_string", b"").decode("utf-8", "replace"), keep_blank_values=True))
    made: dict[str, Any] = {key: pairs[key] for key in ("query", "operationName", "documentId") if key in pairs}
    for key in ("variables", "extensions"):
        if pairs.get(key):
            try:
                made[key] = orjson.loads(pairs[key])
            except orjson.JSONDecodeError:
                raise HttpFaultError(400, f"{key} is not JSON") from None
    if made.get("operationName") == "":
        del made["operationName"]
    return _request(made)


def _from_body(headers: Mapping[str, str], body: bytes) -> GraphQLRequest:
    kind, *parameters = (part.strip().lower() for part in headers.get("content-type", "").split(";"))
    if kind != JSON:
        raise HttpFaultError(415, f"send content-type: {JSON}")
    for parameter in parameters:
        if parameter.startswith("charset=") and parameter[8:].strip('"') not in ("utf-8", "utf8"):
            raise HttpFaultError(415, "send utf-8")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise HttpFaultError(415, "send the body as it is, without content-encoding")
    try:
        made = orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError):
        raise HttpFaultError(400, "the body is not JSON") from None
    if not isinstance(made, dict):
        raise HttpFaultError(400, "the body must be a JSON object; batches are not taken")
    return _request(made)


def _request(made: Mapping[str, Any]) -> GraphQLRequest:
    query, operation = made.get("query"), made.get("operationName")
    variables, extensions = made.get("variables"), made.get("extensions")
    document_id = made.get("documentId")
    for name, value, kind in (
        ("query", query, str),
        ("operationName", operation, str),
        ("documentId", document_id, str),
        ("variables", variables, dict),
        ("extensions", extensions, dict),
    ):
        if value is not None and not isinstance(value, kind):
            raise HttpFaultError(400, f"{name} must be {'an object' if kind is dict else 'a string'}")
    persisted = (extensions or {}).get("persistedQuery")
    if document_id is None and isinstance(persisted, dict) and isinstance(persisted.get("sha256Hash"), str):
        document_id = persisted["sha256Hash"]
    if query is None and document_id is None:
        raise HttpFaultError(400, "send query, or documentId")
    place = _nul_in(variables, "variables")
    if place is not None:
        raise HttpFaultError(400, f"{place} holds the character U+0000, which no text has; leave it out")
    return GraphQLRequest(query, document_id, operation, variables or {})


def _nul_in(value: object, place: str) -> str | None:
    """Return where a value holds U+0000, which PostgreSQL cannot store; None: nowhere."""
    waiting: list[tuple[object, str]] = [(value, place)]
    while waiting:
        value, place = waiting.pop()
        if isinstance(value, str):
            if "\0" in value:
                return place
        elif isinstance(value, dict):
            waiting += [(inner, f"{place}.{key}".replace("\0", "?")) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(inner, f"{place}.{number}") for number, inner in enumerate(value)]
    return None


async def _body(receive: Receive, headers: Mapping[str, str], most: int) -> bytes:
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise HttpFaultError(413, f"a body has at most {most} bytes")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HttpFaultError(400, "the client went away")
        parts.append(message.get("body", _NO_BODY))
        size += len(parts[-1])
        if size > most:
            raise HttpFaultError(413, f"a body has at most {most} bytes")
        if not message.get("more_body", False):
            return b"".join(parts)


async def _send(send: Send, status: int, media: str, body: bytes, headers: Mapping[str, str]) -> None:
    listed = [
        (b"content-type", f"{media}; charset=utf-8".encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"vary", b"accept, accept-language, authorization, anlan-membership"),
    ]
    listed += [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": body})
