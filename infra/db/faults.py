"""What the driver and SQLAlchemy raise when the server is gone, told by one exception of the port."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError

from infra.db.port import DatabaseUnavailableError

_GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
)
_CLOSED = "is closed"
"""In the texts of the driver's faults about a connection that it knows to be closed; they have no class."""


def is_gone(fault: BaseException) -> bool:
    """Whether the server was not there, rather than the statement wrong."""
    if isinstance(fault, DBAPIError):
        cause = getattr(fault.orig, "__cause__", None)
        return fault.connection_invalidated or (cause is not None and is_gone(cause))
    return isinstance(fault, _GONE) or (isinstance(fault, asyncpg.InterfaceError) and _CLOSED in str(fault))


@contextmanager
def saying_unavailable(*also: type[Exception]) -> Iterator[None]:
    """Raise :class:`DatabaseUnavailableError` for what says that the server is gone.

    Args:
        also: classes that say so here, too: of the system, while a connection is opened.
    """
    try:
        yield
    except Exception as fault:
        if isinstance(fault, also) or is_gone(fault):
            raise DatabaseUnavailableError(type(fault).__name__) from fault
        raise
