"""The queue 队列 as the product sees it: signed messages out, deliveries in, dead letters kept.

Brokers differ in what else they can do; the port promises none of it. A job's state, its attempts and its result are
rows of the database, and a message may arrive more than once, so whoever handles one is idempotent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Json = Mapping[str, Any]


class QueueError(Exception):
    """Base of what a queue may raise."""


class QueueUnavailableError(QueueError):
    """The broker cannot be reached; nothing was sent, the caller tries again later."""


class RetryLaterError(QueueError):
    """Raised by a handler: deliver this message again after a delay.

    Args:
        delay_ms: the delay in milliseconds; brokers may be late by about a second.
        reason: a short text for the log.
    """

    def __init__(self, delay_ms: int, reason: str) -> None:
        super().__init__(reason)
        self.delay_ms = delay_ms


class RejectedError(QueueError):
    """Raised by a handler: never deliver this message again; it becomes a dead letter.

    Args:
        code: what went wrong, in capitals (`UNSIGNED`, `EXPIRED`, `ALTERED`, `EXHAUSTED`, ...).
        detail: a text for operators, without personal data.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send.

    Args:
        message_id: a UUID as text; sending the same id twice is allowed and is absorbed by the handler.
        actor: the name of the job.
        args: keyword arguments as JSON.
        context: who asks and for what; signed by the queue on its way out.
        delay_ms: deliver not before so many milliseconds; only for back-off, never for deadlines.
    """

    message_id: str
    actor: str
    args: Json
    context: Json
    delay_ms: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that arrived and whose signature was found right.

    Args:
        message_id: the id it was sent with, equal in every delivery.
        actor: the name of the job.
        args: its keyword arguments.
        context: the verified context.
    """

    message_id: str
    actor: str
    args: Json
    context: Json


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that will not be delivered again.

    Args:
        message_id: the id it was sent with.
        actor: the name of the job it asked for.
        args: its arguments as they arrived.
        context: its context as it arrived; NOT verified when `code` says that the signature was not right.
        code: why it died.
        traceback: the text of the exception with its causes.
    """

    message_id: str
    actor: str
    args: Json
    context: Json
    code: str
    traceback: str


@dataclass(frozen=True, slots=True)
class ActorSpec:
    """What a worker must know of a job before it can receive messages for it.

    Args:
        name: the actor's name.
        time_limit_ms: after so many milliseconds the running delivery is cancelled and counts as failed.
        queue: the name of the broker's queue.
        options: further options of the broker.
    """

    name: str
    time_limit_ms: int = 600_000
    queue: str = "default"
    options: Json = field(default_factory=dict)


class Handler(Protocol):
    """What a worker does with messages. All methods run on one event loop per process."""

    async def run(self, delivery: Delivery) -> None:
        """Handle a delivery; return when it is done for good.

        Raises:
            RetryLaterError: deliver again later.
            RejectedError: make it a dead letter.
            Exception: anything else is delivered again with the broker's own back-off.
        """

    async def dead(self, letter: DeadLetter) -> None:
        """Keep a dead letter where people see it; called before the broker forgets the message."""

    async def close(self) -> None:
        """Release what the handler holds; the last call of a process."""


class Queue(Protocol):
    """The sending side and the state of the broker."""

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Sign and send; blocks on the network, so call it in a thread.

        Raises:
            QueueUnavailableError: the broker cannot be reached; any prefix of `messages` may have been sent.
        """

    def serve(self, actors: Sequence[ActorSpec], handler: Handler) -> None:
        """Declare the actors so that a worker process of this queue receives their messages."""

    def dead_letters(self) -> Sequence[DeadLetter]:
        """The dead letters that the broker still holds, so that none is missing in our table."""

    def depth(self) -> int:
        """How many messages wait, run or are delayed.

        Raises:
            QueueUnavailableError: the broker cannot be reached.
        """

    def ping(self) -> None:
        """Ask the broker for a sign of life.

        Raises:
            QueueUnavailableError: the broker cannot be reached.
        """

    def close(self) -> None:
        """Close the connections."""
