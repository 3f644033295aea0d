"""Our own verification of access tokens: every step of the identity study 1.7, in its order.

Nothing of a token is used before it is checked, except ``iss`` and ``kid``, which only choose a
configured issuer and one of its keys. Token times use real time, never the legal clock.
"""

import base64
import binascii
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from joserfc.jws import JWSRegistry

from infra.identity.issuers import AUDIENCE, LOGOUT_EVENT, IssuerConfig
from infra.identity.jwks import JwksCache, KeyMissingError, KeySource
from infra.identity.port import EndedSession, Revocations, TokenRefused, VerifiedToken

MAX_BYTES = 8 * 1024
LEEWAY = 10
"""Seconds by which clocks may differ."""
MAX_LIFETIME = 3600
_HEADER_TYPES = frozenset({"JWT", "at+jwt"})
_LOGOUT_HEADER_TYPES = frozenset({"JWT", "logout+jwt"})
_LAST_SECOND = 2**40
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+\Z")
_WORD = re.compile(r"[!-~]{1,255}\Z")
_ROLE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}\Z")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_RS256 = JWSRegistry(algorithms=["RS256"]).get_alg("RS256")


class TokenVerifier:
    """Verifier of access tokens; one per process."""

    def __init__(
        self,
        issuers: Mapping[str, tuple[IssuerConfig, KeySource]],
        *,
        revocations: Revocations | None = None,
        known_roles: frozenset[str] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Trust these issuers and nobody else.

        Args:
            issuers: configuration and keys by the exact value of ``iss``.
            revocations: sessions that were ended early; None when nothing keeps them.
            known_roles: the roles that exist; a token with another one is refused. None: any well-formed name.
            now: real time in seconds since 1970.
        """
        self._issuers = issuers
        self._revocations = revocations
        self._known_roles = known_roles
        self._now = now

    async def verify(self, token: str) -> VerifiedToken:
        """Check a token completely.

        Raises:
            TokenRefused: for whatever is wrong with it.
        """
        issuer, claims = await self._authentic(token, _HEADER_TYPES)
        expires_at = self._check_times(claims)
        verified = self._facts(issuer, claims, expires_at, token)
        if (
            self._revocations is not None
            and verified.sid is not None
            and await self._revocations.revoked(issuer.issuer, verified.sid)
        ):
            raise TokenRefused("session")
        return verified

    async def verify_logout(self, token: str) -> EndedSession:
        """Check a logout token that an issuer posted.

        Raises:
            TokenRefused: for whatever is wrong with it.
        """
        issuer, claims = await self._authentic(token, _LOGOUT_HEADER_TYPES)
        self._check_times(claims)
        if claims.get("typ") != "Logout" or "nonce" in claims:
            raise TokenRefused("type")
        audience = claims.get("aud")
        names = audience if isinstance(audience, list) else [audience]
        if not any(isinstance(name, str) and name in issuer.clients for name in names):
            raise TokenRefused("audience")
        events = claims.get("events")
        if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
            raise TokenRefused("event")
        return EndedSession(issuer.issuer, _word(claims, "sid"))

    async def _authentic(self, token: str, types: frozenset[str]) -> tuple[IssuerConfig, dict[str, Any]]:
        """Return issuer and claims of a token that this issuer signed; times and content are not checked yet."""
        header, claims, signed, signature = _split(token)
        kid = _check_header(header, types)
        chosen = self._issuers.get(_word(claims, "iss"))
        if chosen is None:
            raise TokenRefused("issuer")
        issuer, keys = chosen
        if header.get("alg") != issuer.algorithm:
            raise TokenRefused("algorithm")
        try:
            key = await keys.key(kid)
        except KeyMissingError:
            raise TokenRefused("key") from None
        if not _RS256.verify(signed, signature, key):
            raise TokenRefused("signature")
        return issuer, claims

    def _check_times(self, claims: Mapping[str, Any]) -> int:
        now = self._now()
        expires_at, issued_at = _second(claims, "exp"), _second(claims, "iat")
        not_before = _second(claims, "nbf") if "nbf" in claims else issued_at
        if expires_at + LEEWAY <= now:
            raise TokenRefused("expired")
        if issued_at - LEEWAY > now or not_before - LEEWAY > now:
            raise TokenRefused("not yet valid")
        if not 0 < expires_at - issued_at <= MAX_LIFETIME:
            raise TokenRefused("lifetime")
        return expires_at

    def _facts(self, issuer: IssuerConfig, claims: Mapping[str, Any], expires_at: int, token: str) -> VerifiedToken:
        if claims.get("typ") != "Bearer":
            raise TokenRefused("type")
        audience = claims.get("aud")
        if audience != AUDIENCE and not (isinstance(audience, list) and AUDIENCE in audience):
            raise TokenRefused("audience")
        client = _word(claims, "azp")
        if client not in issuer.clients:
            raise TokenRefused("client")
        tenant = claims.get("tenant")
        if not isinstance(tenant, dict):
            raise TokenRefused("tenant")
        tier = _word(tenant, "tier")
        if tier not in issuer.tiers:
            raise TokenRefused("tier")
        return VerifiedToken(
            issuer=issuer.issuer,
            issuer_name=issuer.name,
            realm_tier_ceiling=issuer.tiers,
            subject=_word(claims, "sub"),
            client=client,
            sid=_word(claims, "sid") if "sid" in claims else None,
            acr=_word(claims, "acr") if "acr" in claims else None,
            auth_time=_second(claims, "auth_time") if "auth_time" in claims else None,
            tenant_id=_tenant_id(tenant, tier),
            tenant_tier=tier,
            roles=self._roles(claims),
            expires_at=expires_at,
            token_hash=hashlib.sha256(token.encode("ascii")).hexdigest(),
        )

    def _roles(self, claims: Mapping[str, Any]) -> frozenset[str]:
        roles = claims.get("roles", [])
        if not isinstance(roles, list) or not all(isinstance(role, str) and _ROLE.match(role) for role in roles):
            raise TokenRefused("roles")
        names = frozenset(roles)
        if self._known_roles is not None and not names <= self._known_roles:
            raise TokenRefused("roles")
        return names


def create_verifier(
    issuers: Sequence[IssuerConfig],
    http: httpx.AsyncClient,
    state: Path,
    *,
    revocations: Revocations | None = None,
    known_roles: frozenset[str] | None = None,
    now: Callable[[], float] = time.time,
) -> TokenVerifier:
    """Return a verifier with a key cache per issuer.

    Args:
        issuers: the trusted issuers (:func:`infra.identity.issuers.trusted_issuers`).
        http: client for the issuers' keys; make it with ``trust_env=False`` for issuers on loopback.
        state: state folder; the last good keys are kept below ``identity/``.
        revocations: sessions that were ended early.
        known_roles: the roles that exist.
        now: real time in seconds since 1970.
    """
    folder = state / "identity"
    sources = {config.issuer: (config, JwksCache(config, http, folder, now)) for config in issuers}
    return TokenVerifier(sources, revocations=revocations, known_roles=known_roles, now=now)


def _split(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Return header, claims, signed bytes and signature of a token, all of it still untrusted."""
    if len(token) > MAX_BYTES or not token.isascii():
        raise TokenRefused("size")
    segments = token.split(".")
    if len(segments) != 3 or not all(_SEGMENT.match(segment) for segment in segments):  # noqa: PLR2004 - a JWS has three
        raise TokenRefused("form")
    head, body, signature = segments
    return _object(_decode(head)), _object(_decode(body)), f"{head}.{body}".encode("ascii"), _decode(signature)


def _decode(segment: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except (binascii.Error, ValueError):
        raise TokenRefused("form") from None
    # One content, one spelling: else one token has several hashes.
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != segment.encode("ascii"):
        raise TokenRefused("form")
    return raw


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise TokenRefused("json") from None
    if not isinstance(value, dict):
        raise TokenRefused("json")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name twice")
    return value


def _no_constant(_name: str) -> float:
    raise ValueError("not a JSON number")


def _check_header(header: Mapping[str, Any], types: frozenset[str]) -> str:
    """Check the header's form and return the key id; ``jku``, ``jwk``, ``x5u``, ``x5c`` are not even read."""
    if _word(header, "typ") not in types:
        raise TokenRefused("type")
    if "crit" in header:
        raise TokenRefused("critical")
    return _word(header, "kid")


def _word(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not _WORD.match(value):
        raise TokenRefused(name)
    return value


def _second(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < _LAST_SECOND:
        raise TokenRefused(name)
    return value


def _tenant_id(tenant: Mapping[str, Any], tier: str) -> UUID | None:
    value = tenant.get("id")
    if value is None and tier == "citizen":
        return None
    if not isinstance(value, str) or not _UUID.match(value):
        raise TokenRefused("tenant")
    return UUID(value)
