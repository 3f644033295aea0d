"""The client's side of the code flow, step by step, so that tests can do each step wrongly."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from infra.identity.embedded_clients import CLI_REDIRECT
from infra.identity.issuers import embedded_issuers
from infra.identity.verifier import TokenVerifier, create_verifier
from tests.infra.identity.conftest import URL, Issuer

REDIRECTS = {
    "anlan-web": f"{URL}/auth/callback",
    "anlan-public": "http://127.0.0.1:5173/callback",
    "anlan-cli": CLI_REDIRECT,
}


@dataclass
class Flow:
    """One login by one client."""

    http: httpx.AsyncClient
    realm: str
    client: str = "anlan-cli"
    secret: str | None = None
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def base(self) -> str:
        return f"/realms/{self.realm}/protocol/openid-connect"

    def request(self, **changes: str | None) -> dict[str, str]:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        params: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client,
            "redirect_uri": REDIRECTS[self.client],
            "scope": "openid",
            "state": "s-1",
            "nonce": "n-1",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in params.items() if value is not None}

    async def choose(self, account: str, **changes: str | None) -> httpx.Response:
        return await self.http.post(f"{self.base}/auth", data={**self.request(**changes), "account": account})

    async def code(self, account: str, **changes: str | None) -> str:
        answer = await self.choose(account, **changes)
        assert answer.status_code == 302, answer.text
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        assert query["state"] == ["s-1"]
        return query["code"][0]

    async def exchange(self, code: str, /, **changes: str | None) -> httpx.Response:
        params: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECTS[self.client],
            "code_verifier": self.verifier,
            **changes,
        }
        return await self._token(params)

    async def refresh(self, token: str, /, **changes: str | None) -> httpx.Response:
        return await self._token({"grant_type": "refresh_token", "refresh_token": token, **changes})

    async def _token(self, params: dict[str, str | None]) -> httpx.Response:
        params = {"client_id": self.client, **params}
        if self.secret is not None:
            params.setdefault("client_secret", self.secret)
        return await self.http.post(f"{self.base}/token", data={k: v for k, v in params.items() if v is not None})

    async def tokens(self, account: str) -> dict[str, Any]:
        answer = await self.exchange(await self.code(account))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def claims_of(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def verifier_of(issuer: Issuer, state: Path, **options: Any) -> TokenVerifier:
    return create_verifier(embedded_issuers(URL), issuer.http, state, **options)
