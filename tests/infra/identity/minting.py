"""Makes tokens, good and forged, with keys of the test's own."""

import base64
import json
import time
import uuid
from typing import Any

from joserfc import jwk, jws

from infra.identity.issuers import IssuerConfig, embedded_issuers

NOW = int(time.time())
"""The moment of these tests: tokens are made when the modules are read and used much later."""
URL = "http://127.0.0.1:8017"
GOV, ENT = embedded_issuers(URL)
KEYS = {name: jwk.RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"}) for name in ("gov-1", "ent-1")}
STRANGER = jwk.RSAKey.generate_key(2048, {"kid": "gov-1"})
MISSING = object()
TENANT = "00000000-0000-4000-8000-000000000101"


def claims(issuer: IssuerConfig = GOV, **changes: Any) -> dict[str, Any]:
    """Return good claims with these changes; MISSING takes one away."""
    good: dict[str, Any] = {
        "iss": issuer.issuer,
        "exp": NOW + 300,
        "iat": NOW,
        "auth_time": NOW - 5,
        "jti": uuid.uuid4().hex,
        "aud": "anlan-api",
        "sub": "3a0f0c2e-9a1c-4f51-8f10-aaaaaaaaaaaa",
        "typ": "Bearer",
        "azp": "anlan-web",
        "sid": "5b1f0c2e-9a1c-4f51-8f10-bbbbbbbbbbbb",
        "acr": "1",
        "scope": "openid",
        "tenant": {"id": TENANT, "tier": "county" if issuer is GOV else "enterprise"},
        "roles": ["viewer"],
        **changes,
    }
    return {name: value for name, value in good.items() if value is not MISSING}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def header(**changes: Any) -> dict[str, Any]:
    good = {"alg": "RS256", "typ": "at+jwt", "kid": "gov-1", **changes}
    return {name: value for name, value in good.items() if value is not MISSING}


def sign_raw(head: bytes, body: bytes, key: Any = None, alg: str = "RS256") -> str:
    """Sign these very bytes, whatever they are."""
    signed = f"{b64(head)}.{b64(body)}".encode()
    model = jws.JWSRegistry.algorithms[alg]
    return f"{signed.decode()}.{b64(model.sign(signed, key or KEYS['gov-1']))}"


def mint(
    body: dict[str, Any] | None = None, head: dict[str, Any] | None = None, key: Any = None, alg: str = "RS256"
) -> str:
    """Return a token; good when nothing is given."""
    return sign_raw(
        json.dumps(header() if head is None else head).encode(),
        json.dumps(claims() if body is None else body).encode(),
        key,
        alg,
    )
