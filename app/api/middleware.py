"""Pure-ASGI middleware of every route: request id, body limit, masked faults, access log without personal data."""

import logging
import re
import secrets
import time
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import errors as top
from app.api.context import locale_of
from tenants.context import Visitor

_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}\Z")
MAX_BODY = 1024 * 1024
"""Bytes of a body of any route; ``/graphql`` takes less (``limits.toml``)."""

log = logging.getLogger("anlan.access")


class RequestFrame:
    """Gives a request its id, refuses oversized bodies, masks faults, and logs one line when it has been answered."""

    def __init__(self, app: ASGIApp, most: int = MAX_BODY) -> None:
        """Wrap an application."""
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _REQUEST_ID.match(given) else secrets.token_hex(8)
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        status = 0

        async def framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            length = headers.get(b"content-length", b"")
            if length.isdigit() and int(length) > self._most:
                await _too_large(framed, self._most)
            else:
                await self._app(scope, self._counted(receive), framed)
        except Exception as fault:
            if status:
                raise  # the answer has begun: the server closes the connection
            await _failed(framed, fault, headers, request_id)
        finally:
            graphql = state.get("graphql")
            log.info(
                "request",
                extra={
                    "request_id": request_id,
                    "method": scope["method"],
                    "path": _shown(scope["path"]),
                    "status": status,
                    "ms": round((time.perf_counter() - started) * 1000, 2),
                    "cost": getattr(graphql, "cost", None),
                    "code": ",".join(getattr(graphql, "codes", ())) or None,
                },
            )

    def _counted(self, receive: Receive) -> Receive:
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            return {"type": "http.disconnect"} if size > self._most else message

        return counted


def _shown(path: str) -> str:
    """Return a path fit for the log: a path that we do not know may hold anything."""
    head = path.split("/", 2)[1] if path.startswith("/") else ""
    return f"/{head}" if head in ("", "graphql", "healthz", "readyz", "metrics", "realms") else "other"


async def _too_large(send: Send, most: int) -> None:
    body = f"a body has at most {most} bytes\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _failed(send: Send, fault: Exception, headers: dict[bytes, bytes], request_id: str) -> None:
    """Answer a fault that nobody below has told, in the shape of the API's errors on every route."""
    locale = locale_of(headers.get(b"accept-language", b"").decode("latin-1"), Visitor())
    shown = top.present([top.bug(fault)], request_id, locale, 0)
    body = orjson.dumps({"errors": shown})
    status = top.status_of(shown)
    more = [(b"retry-after", b"2")] if status == top.STATUS[top.UNAVAILABLE] else []
    sent = [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})
