"""The database port: what the rest of the product may ask of PostgreSQL.

A *login* is named by its short name (``county``, ``sys_relay``); the role in the server is
``<prefix>_<login>``. What a login sees is decided by policies in the database; a session only
carries its claims (opaque settings such as ``app.key``) for the length of one transaction.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from infra.db.session import ReadSession, WriteSession

Claims = Mapping[str, str]
"""Names and values for ``set_config(name, value, true)``."""


class DatabaseUnavailableError(Exception):
    """The server cannot be reached, or the connection was lost; what ran in the transaction may be tried again.

    When it was lost while committing, nobody knows whether the commit took place: an idempotent
    repeat finds out.
    """


@dataclass(frozen=True)
class DbAddress:
    """Where a PostgreSQL database is; ``host`` may be a folder with its socket."""

    host: str
    port: int
    database: str
    tls: bool = False


class ReadPool(Protocol):
    """Connections of one login for compiled reads: one statement, nothing left behind."""

    async def fetchval(self, sql: str, *args: object) -> Any:
        """Run one statement and return its single value.

        Raises:
            DatabaseUnavailableError: the server cannot be reached, or went away.
        """


class Database(Protocol):
    """The database as the product uses it; every part of it raises :class:`DatabaseUnavailableError`."""

    def reader(self, login: str) -> ReadPool:
        """Return the pool of read-only connections of a login."""

    def read(self, login: str, claims: Claims) -> AbstractAsyncContextManager[ReadSession]:
        """Open a READ ONLY transaction with these claims."""

    def write(self, login: str, claims: Claims) -> AbstractAsyncContextManager[WriteSession]:
        """Open a transaction with these claims; it commits when the block ends without an exception."""

    def connect(self, login: str) -> AbstractAsyncContextManager[Any]:
        """Open a plain connection, for COPY and advisory locks."""

    def listen(self, login: str, channel: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Open a connection that yields the payloads notified on ``channel``."""

    async def close(self) -> None:
        """Close every pool."""
