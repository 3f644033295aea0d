"""The embedded issuer: a small OpenID provider for development and tests, never for production.

Code flow with PKCE, key set, discovery, refresh, logout, and a page to pick a demo account: no
passwords and no second factor of its own (decision 46). It runs inside the web server, yet the
product reaches it only by URL, as it would reach Keycloak, whose layout of addresses it has.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

import httpx
from authlib.oauth2 import OAuth2Error
from joserfc import jwt
from joserfc.errors import JoseError
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.db.port import Database
from infra.identity import embedded_pages as pages
from infra.identity import embedded_store as store
from infra.identity.embedded_clients import LOOPBACK, SCOPES, IssuerClient, registered_clients
from infra.identity.embedded_directory import EmbeddedDirectory
from infra.identity.embedded_keys import RealmKeys, RotationError
from infra.identity.embedded_schema import LOGIN
from infra.identity.embedded_server import IssuerRequest, RealmServer
from infra.identity.issuers import REALMS, embedded_issuer, issuer_url
from infra.identity.port import Realm, TokenRefused
from infra.identity.verifier import TokenVerifier
from infra.secrets import Secrets

__all__ = ["EmbeddedDirectory", "EmbeddedIssuerError", "RealmKeys", "RotationError", "http_logout_sender", "issuer_app"]

log = logging.getLogger(__name__)

MAX_FORM = 16 * 1024
_CARRIED = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
)
_FREE_TEXT = frozenset({"q", "account"})

LogoutSender = Callable[[str, str], Awaitable[None]]
"""Takes a client's back-channel address and a logout token."""


class EmbeddedIssuerError(RuntimeError):
    """The embedded issuer may not run here; the message says why and what to set instead."""


class _BadRequestError(Exception):
    """The parameters cannot be a request of the protocol."""


def issuer_app(
    *, env: str, public_url: str, secrets: Secrets, database: Database, send_logout: LogoutSender | None = None
) -> ASGIApp:
    """Return the issuer as a sub-application, to be mounted at ``/realms``.

    Args:
        env: the setting ``ANLAN_ENV``.
        public_url: address of the web server, without a trailing slash; it must be a loopback address.
        secrets: where keys and the web client's secret are kept.
        database: the database with the schema ``issuer``.
        send_logout: delivers logout tokens to clients (back-channel logout); None: nobody is told.

    Raises:
        EmbeddedIssuerError: in production, or when the address is not loopback.
    """
    if env == "production":
        raise EmbeddedIssuerError("the embedded issuer never runs in production: set ANLAN_ISSUERS to your Keycloak")
    if urlsplit(public_url).hostname not in LOOPBACK:
        raise EmbeddedIssuerError("the embedded issuer serves loopback only: set ANLAN_ISSUERS, or bind 127.0.0.1")
    mounts = [
        Mount(f"/{realm}", routes=_Endpoints(realm, public_url, secrets, database, send_logout).routes())
        for realm in REALMS
    ]
    return _LoopbackOnly(Starlette(routes=mounts))


def http_logout_sender(http: httpx.AsyncClient) -> LogoutSender:
    """Return a sender that posts logout tokens; a client that does not answer keeps nobody logged in."""

    async def send(url: str, token: str) -> None:
        try:
            answer = await http.post(url, data={"logout_token": token}, timeout=3.0)
            answer.raise_for_status()
        except httpx.HTTPError as fault:
            log.warning("logout not delivered to %s: %s", url, type(fault).__name__)

    return send


class _LoopbackOnly:
    """Answers this machine only, and only under a loopback name (a foreign page may rebind its own)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            client = scope.get("client")
            host = urlsplit(f"//{Request(scope).headers.get('host', '')}").hostname
            if client is None or client[0] not in LOOPBACK or host not in LOOPBACK:
                refusal = PlainTextResponse("the development issuer answers on loopback only\n", 403)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


class _Endpoints:
    """Endpoints of one realm."""

    def __init__(
        self, realm: Realm, public_url: str, secrets: Secrets, database: Database, send_logout: LogoutSender | None
    ) -> None:
        self._realm = realm
        self._issuer = issuer_url(public_url, realm)
        self._database = database
        self._send_logout = send_logout
        self._keys = RealmKeys(secrets, realm)
        self._clients = registered_clients(public_url, secrets, realm)
        self._server = RealmServer(realm, self._issuer, self._keys, self._clients)
        self._verifier = TokenVerifier({self._issuer: (embedded_issuer(public_url, realm), self._keys)})

    def routes(self) -> list[Route]:
        """Return the realm's addresses, those of Keycloak."""
        base = "/protocol/openid-connect"
        cors = [
            Middleware(
                CORSMiddleware,
                allow_origin_regex=r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?",
                allow_methods=["GET", "POST"],
                allow_headers=["authorization"],
            )
        ]
        return [
            Route("/.well-known/openid-configuration", self._discovery, middleware=cors),
            Route(f"{base}/certs", self._certs, middleware=cors),
            Route(f"{base}/token", self._token, methods=["POST"], middleware=cors),
            Route(f"{base}/userinfo", self._userinfo, methods=["GET", "POST"], middleware=cors),
            Route(f"{base}/auth", self._auth_page, methods=["GET"]),
            Route(f"{base}/auth", self._auth_choice, methods=["POST"]),
            Route(f"{base}/logout", self._logout, methods=["GET", "POST"]),
        ]

    async def _discovery(self, _request: Request) -> Response:
        base = f"{self._issuer}/protocol/openid-connect"
        return JSONResponse(
            {
                "issuer": self._issuer,
                "authorization_endpoint": f"{base}/auth",
                "token_endpoint": f"{base}/token",
                "userinfo_endpoint": f"{base}/userinfo",
                "jwks_uri": f"{base}/certs",
                "end_session_endpoint": f"{base}/logout",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": list(SCOPES),
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
                "code_challenge_methods_supported": ["S256"],
                "backchannel_logout_supported": self._send_logout is not None,
                "backchannel_logout_session_supported": self._send_logout is not None,
            }
        )

    async def _certs(self, _request: Request) -> Response:
        return JSONResponse(self._keys.public(), headers={"Cache-Control": "no-cache"})

    async def _auth_page(self, request: Request) -> Response:
        try:
            params = _single(request.query_params.multi_items())
        except _BadRequestError as fault:
            return _refused(fault)

        def handle(session: Session) -> Response:
            return self._consent(request, params, session) or self._picker(params, session, unknown=False)

        async with self._database.read(LOGIN, {}) as session:
            return await session.run_sync(handle)

    async def _auth_choice(self, request: Request) -> Response:
        own = f"{request.url.scheme}://{request.url.netloc}"
        if request.headers.get("origin", own) != own:
            return _refused(_BadRequestError("the form comes from another site"))
        try:
            params = await _form(request)
        except _BadRequestError as fault:
            return _refused(fault)

        def handle(session: Session) -> Response:
            if refusal := self._consent(request, params, session):
                return refusal
            login = store.begin(session, self._realm, params.get("account", ""), params["client_id"])
            if login is None:
                return self._picker(params, session, unknown=True)
            authlib_request = self._request(request, params, session)
            grant = self._server.get_consent_grant(authlib_request, login)
            answer: Response = self._server.create_authorization_response(authlib_request, login, grant)
            return answer

        async with self._database.write(LOGIN, {}) as session:
            return await session.run_sync(handle)

    def _request(self, request: Request, params: Mapping[str, str], session: Session) -> IssuerRequest:
        return IssuerRequest(request.method, str(request.url), request.headers, params, session)

    def _consent(self, request: Request, params: Mapping[str, str], session: Session) -> Response | None:
        """Return a refusal of the authorization request, or None when it is good.

        An unknown client or a foreign address is never redirected to.
        """
        client = self._clients.get(params.get("client_id", ""))
        if client is None or not client.check_redirect_uri(params.get("redirect_uri", "")):
            return _refused(_BadRequestError("client_id is not registered, or redirect_uri is not registered for it"))
        try:
            self._server.get_consent_grant(self._request(request, params, session))
        except OAuth2Error as fault:
            if fault.redirect_uri:
                return self._server.handle_error_response(None, fault)  # type: ignore[no-any-return]
            return _refused(_BadRequestError(fault.description or fault.error))
        return None

    def _picker(self, params: Mapping[str, str], session: Session, *, unknown: bool) -> Response:
        words = params.get("q", "")
        accounts: Sequence[Any] = store.search(session, self._realm, words)
        carried = {name: params[name] for name in _CARRIED if name in params}
        return pages.picker(
            self._realm,
            params["client_id"],
            carried,
            accounts,
            words=words,
            unknown=unknown,
            limit=store.PICKER_LIMIT,
        )

    async def _token(self, request: Request) -> Response:
        try:
            params = await _form(request)
        except _BadRequestError as fault:
            return JSONResponse({"error": "invalid_request", "error_description": str(fault)}, 400)

        def handle(session: Session) -> Response:
            answer: Response = self._server.create_token_response(self._request(request, params, session))
            return answer

        async with self._database.write(LOGIN, {}) as session:
            return await session.run_sync(handle)

    async def _userinfo(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        refusal = JSONResponse({"error": "invalid_token"}, 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        if scheme.lower() != "bearer":
            return refusal
        try:
            verified = await self._verifier.verify(token)
            sid = UUID(verified.sid or "")
        except (TokenRefused, ValueError):
            return refusal
        async with self._database.read(LOGIN, {}) as session:
            login = await session.run_sync(lambda inner: store.session_login(inner, self._realm, sid))
        if login is None:
            return refusal
        account = login.account
        return JSONResponse(
            {
                "sub": str(account.subject),
                "preferred_username": account.username,
                "name": account.display_name,
            },
            headers={"Cache-Control": "no-store"},
        )

    async def _logout(self, request: Request) -> Response:
        """End the session that an ID token names (RP-initiated logout)."""
        try:
            query = request.query_params.multi_items()
            params = await _form(request) if request.method == "POST" else _single(query)
            claims = self._id_token(params.get("id_token_hint", ""))
            client = self._clients[claims["azp"]]
            target = _logout_target(client, params)
        except _BadRequestError as fault:
            return _refused(fault)
        async with self._database.write(LOGIN, {}) as session:
            ended = await session.run_sync(lambda inner: store.end(inner, UUID(claims["sid"])))
        if ended and client.backchannel_logout_uri and self._send_logout:
            token = self._server.logout_token(client, claims["sub"], claims["sid"])
            await self._send_logout(client.backchannel_logout_uri, token)
        if target is None:
            return pages.notice("已退出 Logged out", "您已退出登录。", "You are logged out.", 200)
        return RedirectResponse(target, 303)

    def _id_token(self, token: str) -> dict[str, Any]:
        """Return the claims of an ID token of ours; an expired one still names its session."""
        try:
            claims = jwt.decode(token, self._keys.key_set(), algorithms=["RS256"]).claims
        except (JoseError, ValueError) as fault:
            raise _BadRequestError("id_token_hint is missing or not of this issuer") from fault
        if claims.get("typ") != "ID" or claims.get("iss") != self._issuer:
            raise _BadRequestError("id_token_hint is not an ID token of this issuer")
        return claims


def _logout_target(client: IssuerClient, params: Mapping[str, str]) -> str | None:
    """Return where to go after logout: a registered address, with the caller's state, or nowhere."""
    target = params.get("post_logout_redirect_uri")
    if target is None:
        return None
    if target not in client.post_logout_uris:
        raise _BadRequestError("post_logout_redirect_uri is not registered for the client")
    return f"{target}?{urlencode({'state': params['state']})}" if "state" in params else target


def _single(items: Sequence[tuple[str, object]]) -> dict[str, str]:
    """Return parameters that occur once and hold what the protocol allows (RFC 6749, appendix A)."""
    params: dict[str, str] = {}
    for name, value in items:
        if name in params:
            raise _BadRequestError("a parameter occurs twice")
        if not isinstance(value, str):
            raise _BadRequestError("a file is not a parameter")
        plain = value.isprintable() if name in _FREE_TEXT else value.isascii() and value.isprintable()
        if not plain or (name not in _FREE_TEXT | {"state"} and ('"' in value or "\\" in value)):
            raise _BadRequestError("a parameter holds characters that the protocol does not allow")
        params[name] = value
    return params


async def _form(request: Request) -> dict[str, str]:
    """Return the parameters of a body of at most 16 KB."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise _BadRequestError("the body must be application/x-www-form-urlencoded")
    size = 0
    body = bytearray()
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_FORM:
            raise _BadRequestError("the body is larger than 16 KB")
        body += chunk
    try:
        return _single(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=50, errors="strict"))
    except ValueError as fault:
        raise _BadRequestError("the body cannot be read") from fault


def _refused(fault: _BadRequestError) -> Response:
    return pages.notice("请求无效 Invalid request", "登录请求不符合协议，请从应用重新登录。", f"{fault}.", 400)
