"""Signed addresses: a browser may fetch or send one object, for some minutes, and nothing else."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterable, Mapping

from infra.objects.port import AddressRefusedError

PUBLIC = "public"
"""The only bucket that is read without a signature."""
SIGNATURE = "sig"
EXPIRY = "exp"
LONGEST_S = 7 * 24 * 3600


class AddressSigner:
    """Signs and verifies addresses; real time, not the product's movable clock.

    Args:
        key: the installation's key for addresses, from `infra.secrets`.
        now: seconds since the epoch; tests pass their own.
    """

    def __init__(self, key: str, *, now: Callable[[], float] = time.time) -> None:
        if len(key) < 16:  # noqa: PLR2004 - 128 bits is the least an HMAC key may have
            raise ValueError("the key for signed addresses is shorter than 16 characters")
        self._key = key.encode()
        self._now = now

    def _mac(self, method: str, name: str, params: Mapping[str, str]) -> str:
        # A JSON list keeps the borders between method, key and parameters, which plain concatenation would lose.
        text = json.dumps([method.upper(), name, sorted(params.items())], ensure_ascii=True, separators=(",", ":"))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def sign(self, method: str, name: str, params: Mapping[str, str], lifetime_s: int) -> dict[str, str]:
        """The query parameters of an address.

        Args:
            method: GET or PUT.
            name: what it is for: `BUCKET/VERSION` to read, `BUCKET/KEY` to write.
            params: what is fixed with it: file name, media type, greatest length, tenant.
            lifetime_s: seconds it is valid, at most seven days.

        Raises:
            ValueError: the lifetime is not between 1 second and seven days, or a parameter has a reserved name.
        """
        if not 0 < lifetime_s <= LONGEST_S:
            raise ValueError("a signed address lives between one second and seven days")
        if {SIGNATURE, EXPIRY} & set(params):
            raise ValueError(f"{SIGNATURE} and {EXPIRY} are set here")
        full = {**params, EXPIRY: str(int(self._now()) + lifetime_s)}
        return {**full, SIGNATURE: self._mac(method, name, full)}

    def verify(self, method: str, name: str, query: Iterable[tuple[str, str]]) -> dict[str, str]:
        """The parameters of an address that arrived.

        Args:
            method: the request's method.
            name: what the request's path asks for.
            query: the request's parameters in their order, repeated ones included.

        Returns:
            The signed parameters without signature and expiry.

        Raises:
            AddressRefusedError: altered, repeated, expired, for another method or object; always the same text.
        """
        pairs = list(query)
        params = dict(pairs)
        given = params.pop(SIGNATURE, "")
        right = self._mac(method, name, params)
        # The signature first: who cannot sign learns nothing from the expiry.
        if not hmac.compare_digest(right.encode(), given.encode("utf-8", "replace")) or len(pairs) != len(dict(pairs)):
            raise AddressRefusedError("the address is not valid")
        expires = params.pop(EXPIRY, "")
        if not (expires.isascii() and expires.isdigit()) or int(expires) <= self._now():
            raise AddressRefusedError("the address is not valid")
        return params

    def authorize_read(self, bucket: str, name: str, query: Iterable[tuple[str, str]]) -> dict[str, str]:
        """As `verify` for GET, except that the bucket `public` needs no signature.

        Raises:
            AddressRefusedError: see `verify`.
        """
        if bucket == PUBLIC:
            return {}
        return self.verify("GET", f"{bucket}/{name}", query)
