"""Signed message contexts: who may have asked for a job is decided by a key, never by access to the broker.

A context is `{v, kid, level, tid, actor, roles, req, purpose, iat, exp}`; its HMAC-SHA256 covers the context, the
actor's name, the message's id and the SHA-256 of the arguments. Times are real time in seconds, not the product's
movable clock.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from infra.queue.port import Json, RejectedError

VERSION = 1
LIFETIME_S = 24 * 3600
SKEW_S = 60


def _canonical(value: Any) -> bytes:
    """The one spelling of a JSON value; equal before sending and after parsing."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()


def key_id(key: bytes) -> str:
    """A public name for a key, from which the key cannot be had."""
    return hashlib.sha256(b"anlan queue kid\0" + key).hexdigest()[:12]


class Signer:
    """Signs and verifies message contexts.

    Args:
        key: the key new messages are signed with.
        retired: older keys, still accepted until their last message has expired.
        now: real time in seconds since the epoch; tests pass their own.
        lifetime_s: seconds from signing to expiry.
    """

    def __init__(
        self,
        key: str | bytes,
        *,
        retired: tuple[str | bytes, ...] = (),
        now: Callable[[], float] = time.time,
        lifetime_s: int = LIFETIME_S,
    ) -> None:
        keys = [k.encode() if isinstance(k, str) else k for k in (key, *retired)]
        if any(len(k) < 16 for k in keys):  # noqa: PLR2004 - 128 bits is the least an HMAC key may have
            msg = "the queue's signing key is shorter than 16 bytes"
            raise ValueError(msg)
        self._keys = {key_id(k): k for k in keys}
        self._kid = key_id(keys[0])
        self._now = now
        self._lifetime_s = lifetime_s

    def _mac(self, key: bytes, context: Json, actor: str, message_id: str, args: Json) -> str:
        digest = hashlib.sha256(_canonical(dict(args))).hexdigest()
        # A JSON list keeps the borders between the four parts, which plain concatenation would lose.
        return hmac.new(key, _canonical([dict(context), actor, message_id, digest]), hashlib.sha256).hexdigest()

    def sign(self, context: Json, actor: str, message_id: str, args: Json) -> dict[str, Any]:
        """The envelope of a message.

        Args:
            context: who asks and for what; `v`, `kid`, `iat` and `exp` are set here.
            actor: the name of the job.
            message_id: the message's id.
            args: the job's keyword arguments.

        Returns:
            `{"context": ..., "mac": ...}`, JSON.
        """
        now = int(self._now())
        full = {**context, "v": VERSION, "kid": self._kid, "iat": now, "exp": now + self._lifetime_s}
        return {"context": full, "mac": self._mac(self._keys[self._kid], full, actor, message_id, args)}

    def verify(self, envelope: Any, actor: str, message_id: str, args: Json) -> dict[str, Any]:
        """The context of a message that arrived.

        Args:
            envelope: what `sign` returned, or whatever a stranger put there.
            actor: the name the message was sent under.
            message_id: the message's id.
            args: the arguments as they arrived.

        Returns:
            The verified context.

        Raises:
            RejectedError: UNSIGNED, ALTERED or EXPIRED.
        """
        if not isinstance(envelope, Mapping):
            raise RejectedError("UNSIGNED", "the message carries no signed context")
        context, mac = envelope.get("context"), envelope.get("mac")
        if not isinstance(context, Mapping) or not isinstance(mac, str):
            raise RejectedError("UNSIGNED", "the message carries no signed context")
        key = self._keys.get(str(context.get("kid")))
        if key is None or context.get("v") != VERSION:
            raise RejectedError("UNSIGNED", "the context is signed with a key or version that is not known here")
        try:
            right = self._mac(key, context, actor, message_id, args)
        except (TypeError, ValueError) as exc:
            raise RejectedError("ALTERED", "the message holds values that are not JSON") from exc
        if not hmac.compare_digest(right.encode(), mac.encode("utf-8", "replace")):
            raise RejectedError("ALTERED", "context, actor, id or arguments are not those that were signed")
        now = self._now()
        issued, expires = context.get("iat"), context.get("exp")
        if not isinstance(issued, int) or not isinstance(expires, int) or issued > now + SKEW_S or expires <= now:
            raise RejectedError("EXPIRED", "the context is not valid at this time")
        return dict(context)
