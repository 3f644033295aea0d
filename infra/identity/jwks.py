"""Public keys of an issuer: fetched once for all who wait, cached, and kept for the time it is away.

Ages use real time, never the legal clock (decision 38). Numbers: identity study 1.7.
"""

import asyncio
import base64
import hashlib
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from infra.identity.issuers import IssuerConfig

TTL = 300.0
"""Seconds for which a set is used without asking."""
COOL_DOWN = 30.0
"""Seconds between two requests, whatever tokens arrive."""
COLD_COOL_DOWN = 1.0
"""The same while no set was ever had: at start the issuer may come up a moment later."""
LAST_GOOD = 86_400.0
"""Seconds for which the last good set serves while the issuer is away."""
TIMEOUT = 3.0
MAX_BYTES = 256 * 1024
MIN_BITS = 2048

log = logging.getLogger(__name__)


class KeyMissingError(Exception):
    """There is no usable key of that id."""


class KeySource(Protocol):
    """Where a verifier gets an issuer's keys."""

    async def key(self, kid: str) -> RSAKey:
        """Return the key.

        Raises:
            KeyMissingError: none of that id, or no set that is young enough.
        """


def parse_key_set(document: Any) -> dict[str, RSAKey]:
    """Return the usable signing keys of a JWKS document by key id.

    Only the public numbers of RSA keys of 2048 bits and more are taken; a certificate chain, an address
    or a private number in the document is never looked at.

    Raises:
        ValueError: a key id twice, a key that cannot be read, or no usable key at all.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    found: dict[str, RSAKey] = {}
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or entry.get("kty") != "RSA":
            continue
        kid = entry.get("kid")
        if not isinstance(kid, str) or entry.get("use", "sig") != "sig" or entry.get("alg", "RS256") != "RS256":
            continue
        if kid in found:
            raise ValueError("a key id twice")
        try:
            modulus, exponent = str(entry["n"]), str(entry["e"])
            if _bits(modulus) >= MIN_BITS:
                found[kid] = RSAKey.import_key({"kty": "RSA", "n": modulus, "e": exponent, "kid": kid})
        except (JoseError, KeyError, ValueError) as fault:
            raise ValueError("a key that cannot be read") from fault
    if not found:
        raise ValueError("no usable key")
    return found


def _bits(number: str) -> int:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", number):
        raise ValueError("not base64url")
    raw = base64.urlsafe_b64decode(number + "=" * (-len(number) % 4))
    return int.from_bytes(raw, "big").bit_length()


@dataclass(frozen=True)
class _KeySet:
    keys: Mapping[str, RSAKey]
    fetched_at: float


class JwksCache:
    """Keys of one issuer for one process; the last good set is shared through a file."""

    def __init__(
        self, issuer: IssuerConfig, http: httpx.AsyncClient, folder: Path, now: Callable[[], float] = time.time
    ) -> None:
        """Start with the set that an earlier process left behind.

        Args:
            issuer: whose keys.
            http: client for the request.
            folder: where the last good set is kept (below the state folder).
            now: real time in seconds since 1970.
        """
        self._issuer = issuer
        self._http = http
        self._now = now
        self._file = folder / f"jwks-{hashlib.sha256(issuer.issuer.encode()).hexdigest()[:16]}.json"
        self._set = self._load()
        self._attempted_at = float("-inf")
        self._flight: asyncio.Task[None] | None = None

    async def key(self, kid: str) -> RSAKey:
        """Return a key; ask the issuer when the set is old or lacks it, at most once per cool-down.

        Raises:
            KeyMissingError: none of that id, or no set younger than 24 h.
        """
        if not (kid in self._set.keys and self._age(self._set.fetched_at) < TTL):
            await self._refresh()
        if kid not in self._set.keys or self._age(self._set.fetched_at) > LAST_GOOD:
            raise KeyMissingError
        return self._set.keys[kid]

    def _age(self, since: float) -> float:
        """Seconds since; a moment in the future (the machine's clock was set back) counts as long ago."""
        age = self._now() - since
        return age if age >= 0 else float("inf")

    async def _refresh(self) -> None:
        if self._flight is None or self._flight.done():
            pause = COOL_DOWN if self._set.keys else COLD_COOL_DOWN
            if self._age(self._attempted_at) < pause:
                return
            self._attempted_at = self._now()
            self._flight = asyncio.create_task(self._fetch())
        # A caller that goes away must not take the request away from the others who wait for it.
        await asyncio.shield(self._flight)

    async def _fetch(self) -> None:
        try:
            document = json.loads(await self._download())
            keys = parse_key_set(document)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError, RuntimeError) as fault:
            log.warning("keys of issuer %s not fetched: %s", self._issuer.issuer, type(fault).__name__)
            return
        self._set = _KeySet(keys, self._now())
        try:
            await asyncio.to_thread(self._save, keys, self._set.fetched_at)
        except OSError as fault:
            log.warning("keys of issuer %s not kept: %s", self._issuer.issuer, fault.strerror)

    async def _download(self) -> bytes:
        body = bytearray()
        request = self._http.stream("GET", self._issuer.jwks_url, follow_redirects=False, timeout=TIMEOUT)
        async with asyncio.timeout(2 * TIMEOUT), request as response:
            response.raise_for_status()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ValueError("key set too large")
        return bytes(body)

    def _save(self, keys: Mapping[str, RSAKey], fetched_at: float) -> None:
        document = {
            "issuer": self._issuer.issuer,
            "fetched_at": fetched_at,
            "keys": [key.as_dict(private=False) | {"kid": kid} for kid, key in keys.items()],
        }
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._file.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
        try:
            draft.write_text(json.dumps(document), encoding="ascii")
            draft.chmod(0o600)
            draft.replace(self._file)
        finally:
            draft.unlink(missing_ok=True)

    def _load(self) -> _KeySet:
        nothing = _KeySet({}, float("-inf"))
        try:
            document = json.loads(self._file.read_text(encoding="ascii"))
            fetched_at = document["fetched_at"]
            if document["issuer"] != self._issuer.issuer or not isinstance(fetched_at, int | float):
                return nothing
            return _KeySet(parse_key_set(document), fetched_at)
        except (OSError, ValueError, KeyError, TypeError):
            return nothing
