"""Sessions: reading and writing are different types, so that a reader cannot be handed a writer."""

from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

_SET = text("SELECT set_config(n, v, true) FROM unnest(cast(:n as text[]), cast(:v as text[])) AS c(n, v)")


class _Claimed(Session):
    """A session whose every transaction begins by setting its claims."""


class ReadSession(AsyncSession):
    """A session whose transaction is READ ONLY."""

    sync_session_class = _Claimed


class WriteSession(AsyncSession):
    """A session that may write; only the context that opened it commits."""

    sync_session_class = _Claimed


@event.listens_for(_Claimed, "after_begin")
def _set_claims(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    """Set the claims with bound parameters, local to the transaction."""
    claims: dict[str, Any] | None = session.info.get("claims")
    if claims is None:
        raise RuntimeError("a session without claims: open it through the Database port")
    if claims:
        connection.execute(_SET, {"n": list(claims), "v": list(claims.values())})
