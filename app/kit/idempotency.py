"""Repeats of a mutation do nothing again: one row per person, operation and ``clientMutationId``, for 7 days.

The row is written first, in the mutation's own transaction, so that a repeat that arrives meanwhile
waits for it; a failed attempt takes its row along (decision 29). Age is real time (decision 38).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID, uuid5

import orjson
from sqlalchemy import TIMESTAMP, Text, UniqueConstraint, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, mapped_column

from app.kit.errors import IDEMPOTENCY_CONFLICT, Fault
from app.kit.ids import uuid7
from infra.db.base import Base
from infra.db.session import WriteSession
from tenants.access import Access, TableClass
from tenants.kinds import PEOPLE_LOGINS

KEPT = timedelta(days=7)
MAX_KEY = 64
CLIENT_MUTATION_ID = "CLIENT_MUTATION_ID"
_ANONYMOUS = UUID("6d3c4f0e-2f3b-5b0e-9a54-0d2f3f0c7a11")
"""Namespace of the stand-in for a person where nobody is signed in."""
_WRITERS = (*PEOPLE_LOGINS, "public")
_COLUMNS = ("id", "person_id", "operation", "client_mutation_id", "input_hash", "object_id", "outcome", "created_at")


class Attempt(Base):
    """A mutation that succeeded under a ``clientMutationId``."""

    __tablename__ = "idempotency"
    __table_args__ = (
        UniqueConstraint("person_id", "operation", "client_mutation_id"),
        {
            "info": {
                "access": Access(
                    TableClass.PERSON,
                    select=_WRITERS,
                    insert=dict.fromkeys(_WRITERS, _COLUMNS),
                    update=dict.fromkeys(_WRITERS, ("input_hash", "object_id", "outcome", "created_at")),
                    system={"sys_retention": "true"},
                    system_write={"sys_retention": ("DELETE",)},
                )
            }
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID]
    operation: Mapped[str] = mapped_column(Text)
    client_mutation_id: Mapped[str] = mapped_column(Text)
    input_hash: Mapped[str] = mapped_column(Text)
    object_id: Mapped[UUID | None]
    outcome: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=text("now()"))


@dataclass(frozen=True)
class Key:
    """What makes two attempts the same."""

    person_id: UUID
    operation: str
    client_mutation_id: str
    input_hash: str
    anonymous: bool


@dataclass(frozen=True)
class Replay:
    """What the first attempt did."""

    object_id: UUID | None
    outcome: Mapping[str, Any]


def key_of(person_id: UUID | None, operation: str, given: Any) -> Key | None:
    """Return the key of an attempt; None when the input carries no ``clientMutationId``.

    Raises:
        Fault: the id is not of its form.
    """
    written = getattr(given, "client_mutation_id", None)
    if not isinstance(written, str):
        return None
    if not 1 <= len(written) <= MAX_KEY or "\x00" in written:
        raise Fault(CLIENT_MUTATION_ID, ("clientMutationId",))
    if person_id is None:
        try:
            person_id = uuid5(_ANONYMOUS, str(UUID(written)))
        except ValueError:
            raise Fault(CLIENT_MUTATION_ID, ("clientMutationId",)) from None
        return Key(person_id, operation, written, hash_input(given), anonymous=True)
    return Key(person_id, operation, written, hash_input(given), anonymous=False)


def hash_input(given: Any) -> str:
    """Return the SHA-256 of an input in one canonical form, its ``clientMutationId`` left out."""
    plain = _plain(given)
    plain.pop("client_mutation_id", None)
    return hashlib.sha256(orjson.dumps(plain, default=str, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        made = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {name: item for name, item in made.items() if not _unset(item)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.name if isinstance(value, Enum) else value


def _unset(value: Any) -> bool:
    return type(value).__name__ == "UnsetType"


async def begin(session: WriteSession, key: Key) -> Replay | None:
    """Take the key for this transaction, or return what the first attempt did.

    Raises:
        Fault: the key was used for another input.
    """
    await _as(session, key)
    values = {name: getattr(key, name) for name in ("person_id", "operation", "client_mutation_id", "input_hash")}
    taken = insert(Attempt).values(id=uuid7(), **values)
    claim = taken.on_conflict_do_update(
        index_elements=["person_id", "operation", "client_mutation_id"],
        set_={"input_hash": key.input_hash, "object_id": None, "outcome": {}, "created_at": func.now()},
        where=Attempt.created_at < func.now() - KEPT,
    ).returning(Attempt.id)
    mine = await session.scalar(claim)
    found = None
    if mine is None:
        found = (await session.execute(select(Attempt).where(*_same(key)))).scalar_one()
    await _back(session, key)
    if found is None:
        return None
    if found.input_hash != key.input_hash:
        raise Fault(IDEMPOTENCY_CONFLICT, ("clientMutationId",))
    return Replay(found.object_id, found.outcome)


async def finish(session: WriteSession, key: Key, object_id: UUID | None, outcome: Mapping[str, Any]) -> None:
    """Store what was done, in the same transaction."""
    await _as(session, key)
    await session.execute(update(Attempt).where(*_same(key)).values(object_id=object_id, outcome=dict(outcome)))
    await _back(session, key)


def _same(key: Key) -> tuple[Any, ...]:
    return (
        Attempt.person_id == key.person_id,
        Attempt.operation == key.operation,
        Attempt.client_mutation_id == key.client_mutation_id,
    )


_PERSON = text("SELECT set_config('app.person', :person, true)")


async def _as(session: WriteSession, key: Key) -> None:
    """Let the own-rows policy see an anonymous key's stand-in; it is derived, so nobody can name a real person."""
    if key.anonymous:
        await session.execute(_PERSON, {"person": str(key.person_id)})


async def _back(session: WriteSession, key: Key) -> None:
    if key.anonymous:
        await session.execute(_PERSON, {"person": ""})
