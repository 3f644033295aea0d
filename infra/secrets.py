"""Secrets of an installation: generated on first use, kept in the state folder, mode 0600.

They never enter the repository, a log or a process's arguments (decision 25).
"""

import os
import secrets
from pathlib import Path


class Secrets:
    """Reads and creates the secrets of one state folder."""

    def __init__(self, state: Path) -> None:
        """Keep secrets below ``state``/keys."""
        self.folder = state / "keys"

    def get(self, name: str, *, nbytes: int = 32) -> str:
        """Return the secret ``name``, made on first use.

        Two processes that ask at once get the same value: the first link wins.

        Args:
            name: file name below ``keys/``; letters, digits, ``_`` and ``-``.
            nbytes: entropy of a new secret in bytes.
        """
        path = self.folder / name
        try:
            return path.read_text(encoding="ascii")
        except FileNotFoundError:
            self.write(name, secrets.token_urlsafe(nbytes))
            return path.read_text(encoding="ascii")

    def read(self, name: str) -> str | None:
        """Return a secret that exists, else None."""
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def write(self, name: str, value: str, *, replace: bool = False) -> None:
        """Store a secret durably; an existing one stays unless ``replace``."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / name
        draft = self.folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
        try:
            if replace:
                draft.replace(path)
            else:
                os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink(missing_ok=True)
