"""The protocol of the embedded issuer on Authlib's framework-neutral core: one server per realm."""

import logging
import re
import secrets as random
import time
import uuid
from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Payload, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.grants import OpenIDCode
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from infra.identity import embedded_store as store
from infra.identity.embedded_clients import IssuerClient
from infra.identity.embedded_keys import RealmKeys
from infra.identity.issuers import AUDIENCE, LOGOUT_EVENT
from infra.identity.port import Realm

# Authlib's debug records hold tokens and codes in full.
logging.getLogger("authlib").setLevel(logging.INFO)

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]


class IssuerRequest(OAuth2Request):  # type: ignore[misc]
    """A request with the transaction that its handling runs in."""

    def __init__(
        self, method: str, uri: str, headers: Mapping[str, str], params: Mapping[str, str], session: Session
    ) -> None:
        """Take parameters that occur once each."""
        super().__init__(method, uri, headers=headers)
        self._params = params
        self.payload = _Payload(params)
        self.session = session

    @property
    def args(self) -> Mapping[str, str]:
        """Parameters of the query."""
        return self._params

    @property
    def form(self) -> Mapping[str, str]:
        """Parameters of the body."""
        return self._params


class _Payload(OAuth2Payload):  # type: ignore[misc]
    def __init__(self, params: Mapping[str, str]) -> None:
        self._params = dict(params)

    @property
    def data(self) -> Mapping[str, str]:
        return self._params

    @property
    def datalist(self) -> Mapping[str, list[str]]:
        return {name: [value] for name, value in self._params.items()}


class RealmServer(AuthorizationServer):  # type: ignore[misc]
    """Authorization server of one realm."""

    def __init__(self, realm: Realm, issuer: str, keys: RealmKeys, clients: Mapping[str, IssuerClient]) -> None:
        """Serve this realm."""
        super().__init__()
        self.realm = realm
        self.issuer = issuer
        self.keys = keys
        self.clients = clients
        self.register_grant(_CodeGrant, [_RequireS256(), _IdToken(self)])
        self.register_grant(_RefreshGrant)
        generator = BearerTokenGenerator(
            self._access_token,
            refresh_token_generator=lambda **_: random.token_urlsafe(32),
            expires_generator=store.ACCESS_SECONDS,
        )
        self.register_token_generator("default", generator)

    def query_client(self, client_id: str) -> IssuerClient | None:
        """Return a registered client."""
        return self.clients.get(client_id)

    def save_token(self, token: Mapping[str, Any], request: IssuerRequest) -> None:
        """Keep the refresh token; access tokens are not kept."""
        store.add_refresh(request.session, request.user, token["refresh_token"], token.get("scope", ""))

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: IssuerRequest) -> IssuerRequest:
        """Return the request, made by the endpoint already."""
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> Response:
        """Return the answer as Starlette's."""
        if isinstance(body, Mapping):
            return JSONResponse(body, status, dict(headers))
        return Response(body, status, dict(headers))

    def sign(self, claims: Mapping[str, Any], header_type: str) -> str:
        """Return a token signed by the realm's present key."""
        key: RSAKey = self.keys.signing_key()
        return jwt.encode({"alg": "RS256", "typ": header_type, "kid": str(key.kid)}, dict(claims), key)

    def logout_token(self, client: IssuerClient, subject: str, sid: str) -> str:
        """Return a logout token for a client (OpenID Connect Back-Channel Logout 1.0, 2.4)."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": client.client_id,
            "iat": now,
            "exp": now + store.LOGOUT_SECONDS,
            "jti": uuid.uuid4().hex,
            "typ": "Logout",
            "sub": subject,
            "sid": sid,
            "events": {LOGOUT_EVENT: {}},
        }
        return self.sign(claims, "logout+jwt")

    def _access_token(self, client: IssuerClient, grant_type: str, user: store.Login, scope: str) -> str:
        """Return an access token with exactly the claims of the identity study 1.3."""
        del grant_type  # the claims are the same for a code and for a refresh
        now = int(time.time())
        attributes = user.account.attributes
        tenant = {
            "id": attributes.tenant_id and str(attributes.tenant_id),
            "tier": attributes.tenant_tier,
            "path": attributes.tenant_path,
            "org": attributes.uscc,
        }
        claims = {
            "iss": self.issuer,
            "exp": now + store.ACCESS_SECONDS,
            "iat": now,
            "auth_time": int(user.auth_time.timestamp()),
            "jti": uuid.uuid4().hex,
            "aud": AUDIENCE,
            "sub": str(user.account.subject),
            "typ": "Bearer",
            "azp": client.client_id,
            "sid": str(user.sid),
            "acr": "1",
            "scope": scope,
            "tenant": {name: value for name, value in tenant.items() if value is not None},
            "roles": sorted(user.account.roles),
        }
        return self.sign(claims, "at+jwt")


class _CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = _AUTH_METHODS
    server: RealmServer
    request: IssuerRequest

    def save_authorization_code(self, code: str, request: IssuerRequest) -> None:
        data = request.payload.data
        store.add_code(
            request.session,
            request.user,
            code,
            redirect_uri=data["redirect_uri"],
            scope=request.scope,
            nonce=data.get("nonce"),
            challenge=data["code_challenge"],
        )

    def query_authorization_code(self, code: str, client: IssuerClient) -> store.CodeRow | None:
        return store.take_code(self.request.session, self.server.realm, code, client.client_id)

    def delete_authorization_code(self, authorization_code: store.CodeRow) -> None:
        store.use_code(self.request.session, authorization_code)

    def authenticate_user(self, authorization_code: store.CodeRow) -> store.Login:
        return authorization_code.login


class _RefreshGrant(RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = _AUTH_METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True
    server: RealmServer
    request: IssuerRequest

    def authenticate_refresh_token(self, refresh_token: str) -> store.RefreshRow | None:
        client: IssuerClient = self.request.client
        return store.take_refresh(self.request.session, self.server.realm, refresh_token, client.client_id)

    def authenticate_user(self, refresh_token: store.RefreshRow) -> store.Login:
        return refresh_token.login

    def revoke_old_credential(self, refresh_token: store.RefreshRow) -> None:
        store.use_refresh(self.request.session, refresh_token)


class _RequireS256(CodeChallenge):  # type: ignore[misc]
    """PKCE with S256, refused where it is missing: Authlib would notice only at the token endpoint."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: _CodeGrant, redirect_uri: str) -> None:
        data = grant.request.payload.data
        if data.get("code_challenge_method") != "S256" or not _CHALLENGE.match(data.get("code_challenge", "")):
            raise InvalidRequestError("PKCE is required: code_challenge with code_challenge_method=S256")
        super().validate_code_challenge(grant, redirect_uri)


class _IdToken(OpenIDCode):  # type: ignore[misc]
    def __init__(self, server: RealmServer) -> None:
        super().__init__()
        self._server = server

    def exists_nonce(self, _nonce: str, _request: IssuerRequest) -> bool:
        # The client compares it with its own session; a code works once anyway.
        return False

    def resolve_client_private_key(self, _client: IssuerClient) -> RSAKey:
        return self._server.keys.signing_key()

    def get_encode_header(self, _client: IssuerClient) -> dict[str, str]:
        return {"alg": "RS256", "typ": "JWT", "kid": str(self._server.keys.signing_key().kid)}

    def get_client_claims(self, client: IssuerClient) -> dict[str, Any]:
        now = int(time.time())
        lifetime = {"iat": now, "exp": now + store.ACCESS_SECONDS}
        return {"iss": self._server.issuer, "aud": client.client_id, "azp": client.client_id, "typ": "ID", **lifetime}

    def generate_user_info(self, user: store.Login, _scope: str) -> dict[str, str]:
        return {"sub": str(user.account.subject), "sid": str(user.sid)}
