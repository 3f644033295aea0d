"""The queue over Redis or Valkey with Dramatiq's own broker: one code for the embedded server and for production."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Coroutine, Sequence
from typing import Any

import dramatiq
import redis
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import DecodeError, Retry
from dramatiq.middleware import CurrentMessage, Middleware, Retries, TimeLimit

from infra.queue.lifetime import EndsWithMaster, EventLoop
from infra.queue.port import (
    ActorSpec,
    DeadLetter,
    Delivery,
    Handler,
    Outgoing,
    QueueUnavailableError,
    RejectedError,
    RetryLaterError,
)
from infra.queue.signing import Signer

log = logging.getLogger("anlan.queue")
# Below that, Dramatiq's threads write a message's arguments into the log; what matters of it we log ourselves.
logging.getLogger("dramatiq.worker").setLevel(logging.CRITICAL)

ENVELOPE = "anlan"
MAINTENANCE_CHANCE = 100_000  # of a million commands: a dead worker's messages come back within seconds
HEARTBEAT_TIMEOUT_MS = 15_000
DEAD_MESSAGE_TTL_MS = 7 * 24 * 3600 * 1000


class DeadLetters(Middleware):
    """Hands every rejected message to the handler before the broker moves it to its own dead-letter set.

    Args:
        handler: keeps the letter; its `close` is called when the worker has stopped.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def before_nack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:  # noqa: ARG002
        error = message._exception  # noqa: SLF001 - Dramatiq offers no other way to the exception
        letter = _letter(message._message, error)  # noqa: SLF001
        refused = letter.code in {"UNSIGNED", "ALTERED", "EXPIRED"}
        log.log(
            logging.CRITICAL if refused else logging.ERROR,
            "queue.alarm" if refused else "queue.dead",
            extra={"message_id": letter.message_id, "job": letter.actor, "code": letter.code},
        )
        _on_loop(self._handler.dead(letter))

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:  # noqa: ARG002
        _on_loop(self._handler.close())


def _on_loop(coro: Coroutine[Any, Any, None]) -> None:
    thread = get_event_loop_thread()
    if thread is None:
        coro.close()
        raise RuntimeError("the worker's event loop is not running")
    thread.run_coroutine(coro)


def _letter(message: dramatiq.Message[Any], error: BaseException | None) -> DeadLetter:
    code = error.code if isinstance(error, RejectedError) else type(error).__name__ if error else "UNREPORTED"
    text = "".join(traceback.format_exception(error)) if error else str(message.options.get("traceback", ""))
    envelope = message.options.get(ENVELOPE)
    context = envelope.get("context") if isinstance(envelope, dict) else None
    return DeadLetter(
        message_id=str(message.message_id),
        actor=str(message.actor_name),
        args=message.kwargs if isinstance(message.kwargs, dict) else {},
        context=context if isinstance(context, dict) else {},
        code=code,
        traceback=text,
    )


class RedisQueue:
    """A queue on a Redis or Valkey server.

    Args:
        url: `redis://`, `rediss://` or `unix://PATH`; an empty one is refused.
        signer: signs what is sent and verifies what arrives.
        heartbeat_timeout_ms: a worker process silent for so long is dead, its messages return to the queue.
        min_backoff_ms: first delay after an exception that the handler did not turn into an answer of its own.
        namespace: prefix of the broker's keys, so that installations may share a server.

    Raises:
        ValueError: the URL is empty or of another scheme.
    """

    def __init__(
        self,
        url: str,
        signer: Signer,
        *,
        heartbeat_timeout_ms: int = HEARTBEAT_TIMEOUT_MS,
        min_backoff_ms: int = 1_000,
        namespace: str = "anlan",
    ) -> None:
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("a queue's URL starts with redis://, rediss:// or unix://; set ANLAN_QUEUE_URL to one")
        self._signer = signer
        self._queues: dict[str, str] = {}
        self.client = redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=30, health_check_interval=30)
        self.broker = RedisBroker(  # type: ignore[no-untyped-call]
            client=self.client,
            middleware=[
                TimeLimit(),
                # The handler counts attempts in the database and rejects; so the broker itself never gives up.
                Retries(min_backoff=min_backoff_ms, max_backoff=300_000, retry_when=_not_rejected),
                CurrentMessage(),
                EventLoop(),
                EndsWithMaster(),
            ],
            maintenance_chance=MAINTENANCE_CHANCE,
            heartbeat_timeout=heartbeat_timeout_ms,
            dead_message_ttl=DEAD_MESSAGE_TTL_MS,
            namespace=namespace,
        )

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Sign and send; see `infra.queue.port.Queue.send`."""
        for out in messages:
            message: dramatiq.Message[Any] = dramatiq.Message(
                queue_name=self._queues.get(out.actor, "default"),
                actor_name=out.actor,
                args=(),
                kwargs=dict(out.args),
                options={ENVELOPE: self._signer.sign(out.context, out.actor, out.message_id, out.args)},
                message_id=out.message_id,
            )
            try:
                self.broker.enqueue(message, delay=out.delay_ms or None)
            except (redis.RedisError, OSError) as exc:
                raise QueueUnavailableError(f"the queue does not answer: {type(exc).__name__}") from exc

    def serve(self, actors: Sequence[ActorSpec], handler: Handler) -> None:
        """Declare the actors; see `infra.queue.port.Queue.serve`."""
        self.broker.add_middleware(DeadLetters(handler))
        for spec in actors:
            self._queues[spec.name] = spec.queue
            declare = dramatiq.actor(
                broker=self.broker,
                actor_name=spec.name,
                queue_name=spec.queue,
                time_limit=spec.time_limit_ms,
                **spec.options,
            )
            declare(self._entry(handler))

    def _entry(self, handler: Handler) -> Any:
        def entry(*positional: Any, **kwargs: Any) -> None:
            # Verified here and not in a middleware hook: Dramatiq logs a hook's unexpected exception and goes on.
            message = CurrentMessage.get_current_message()
            if message is None or positional:
                raise RejectedError("ALTERED", "positional arguments are never signed")
            context = self._signer.verify(message.options.get(ENVELOPE), message.actor_name, message.message_id, kwargs)
            delivery = Delivery(str(message.message_id), message.actor_name, kwargs, context)
            try:
                _on_loop(handler.run(delivery))
            except RetryLaterError as later:
                raise Retry(str(later), delay=later.delay_ms) from later
            except RejectedError:
                raise
            except Exception:
                log.exception("queue.failed", extra={"message_id": message.message_id, "job": message.actor_name})
                raise

        return entry

    def dead_letters(self) -> Sequence[DeadLetter]:
        """The dead letters the broker still holds; see `infra.queue.port.Queue.dead_letters`."""
        letters = []
        try:
            for key in self.client.scan_iter(f"{self.broker.namespace}:*.XQ.msgs"):
                for _, data in self.client.hscan_iter(key):
                    try:
                        letters.append(_letter(dramatiq.Message.decode(data), None))
                    except DecodeError:
                        log.exception("queue.unreadable")
        except (redis.RedisError, OSError) as exc:
            raise QueueUnavailableError(f"the queue does not answer: {type(exc).__name__}") from exc
        return letters

    def depth(self) -> int:
        """Messages waiting, running or delayed; see `infra.queue.port.Queue.depth`."""
        try:
            keys = self.client.scan_iter(f"{self.broker.namespace}:*.msgs")
            return sum(int(self.client.hlen(key)) for key in keys if not key.endswith(b".XQ.msgs"))
        except (redis.RedisError, OSError) as exc:
            raise QueueUnavailableError(f"the queue does not answer: {type(exc).__name__}") from exc

    def ping(self) -> None:
        """Ask for a sign of life; see `infra.queue.port.Queue.ping`."""
        try:
            self.client.ping()
        except (redis.RedisError, OSError) as exc:
            raise QueueUnavailableError(f"the queue does not answer: {type(exc).__name__}") from exc

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def _not_rejected(retries: int, exception: BaseException) -> bool:  # noqa: ARG001 - Dramatiq's signature
    return not isinstance(exception, RejectedError)
