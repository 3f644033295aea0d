"""Signing keys of the embedded issuer: one file per realm in the state folder, kept over restarts.

A fresh key at each start would end every session and hide faults of the key cache. Rotation has
three steps so that no valid token is ever refused: *add* publishes the next key, which signs
nothing yet; after the caches' 300 s, *promote* lets it sign and keeps the old one published; when
its last token has expired, *retire* drops the old one.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from joserfc.jwk import KeySet, RSAKey

from infra.identity.jwks import KeyMissingError
from infra.identity.port import Realm
from infra.secrets import Secrets

KEY_BITS = 2048
State = Literal["active", "next", "old"]


class RotationError(RuntimeError):
    """The step does not fit the state of the keys; the message says which one does."""


@dataclass(frozen=True)
class _Entry:
    state: State
    key: RSAKey


class RealmKeys:
    """Keys of one realm; every process that opens the same state folder sees a rotation at once."""

    def __init__(self, secrets: Secrets, realm: Realm) -> None:
        """Open the keys, or make the first one (two processes that do it at once get the same)."""
        self._secrets = secrets
        self._name = f"issuer-{realm}"
        if secrets.read(self._name) is None:
            secrets.write(self._name, _dump([_Entry("active", _new_key())]))
        self._seen: tuple[int, int] | None = None
        self._entries: list[_Entry] = []

    def signing_key(self) -> RSAKey:
        """Return the key that signs now; its ``kid`` is set."""
        return next(entry.key for entry in self._load() if entry.state == "active")

    def key_set(self) -> KeySet:
        """Return all published keys."""
        return KeySet([entry.key for entry in self._load()])

    def public(self) -> dict[str, Any]:
        """Return the JWKS document: public numbers only."""
        return {"keys": [_public(entry.key) for entry in self._load()]}

    async def key(self, kid: str) -> RSAKey:
        """Return a published key, as a source for a verifier inside the issuer.

        Raises:
            KeyMissingError: none of that id.
        """
        for entry in self._load():
            if entry.key.kid == kid:
                return entry.key
        raise KeyMissingError

    def add(self) -> str:
        """Publish the next key; returns its id.

        Raises:
            RotationError: a next key waits already.
        """
        entries = self._load()
        if any(entry.state == "next" for entry in entries):
            raise RotationError("a next key waits already: promote it first")
        fresh = _Entry("next", _new_key())
        self._store([*entries, fresh])
        return str(fresh.key.kid)

    def promote(self) -> str:
        """Let the next key sign; the present one stays published. Returns the id of the key that signs.

        Raises:
            RotationError: no next key.
        """
        entries = self._load()
        if not any(entry.state == "next" for entry in entries):
            raise RotationError("no next key: add one and wait 300 s, until all caches have it")
        after: dict[State, State] = {"next": "active", "active": "old", "old": "old"}
        self._store([_Entry(after[entry.state], entry.key) for entry in entries])
        return str(self.signing_key().kid)

    def retire(self) -> int:
        """Drop the old keys; returns how many. Wait 300 s after *promote*: the life of the last token."""
        entries = self._load()
        kept = [entry for entry in entries if entry.state != "old"]
        self._store(kept)
        return len(entries) - len(kept)

    def _load(self) -> Sequence[_Entry]:
        stat = (self._secrets.folder / self._name).stat()
        seen = (stat.st_ino, stat.st_mtime_ns)
        if seen != self._seen:
            document = json.loads(self._secrets.read(self._name) or "null")
            self._entries = [_Entry(entry["state"], RSAKey.import_key(entry["jwk"])) for entry in document["keys"]]
            self._seen = seen
        return self._entries

    def _store(self, entries: Sequence[_Entry]) -> None:
        self._secrets.write(self._name, _dump(entries), replace=True)
        self._seen = None


def _new_key() -> RSAKey:
    return RSAKey.generate_key(KEY_BITS, {"kid": uuid.uuid4().hex, "use": "sig", "alg": "RS256"})


def _public(key: RSAKey) -> dict[str, Any]:
    return {**key.as_dict(private=False), "use": "sig", "alg": "RS256"}


def _dump(entries: Sequence[_Entry]) -> str:
    return json.dumps({"keys": [{"state": entry.state, "jwk": entry.key.as_dict(private=True)} for entry in entries]})
