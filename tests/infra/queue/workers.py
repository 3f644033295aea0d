"""What the worker processes of the contract suite run: each delivery leaves lines in a file."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import dramatiq

from infra.queue.port import ActorSpec, DeadLetter, Delivery, RejectedError, RetryLaterError
from infra.queue.redis import RedisQueue
from infra.queue.signing import Signer

KEY = "a signing key of the contract suite"
HEARTBEAT_MS = 6_000
SPECS = [ActorSpec(name) for name in ("echo", "hold", "flaky", "broken")]


class Recorder:
    """A handler that writes what happens, one JSON line each, in one write per line."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, kind: str, **values: Any) -> None:
        line = json.dumps({"kind": kind, "at": time.time(), "pid": os.getpid(), **values}, ensure_ascii=False)
        os.write(self._file, line.encode() + b"\n")

    async def run(self, delivery: Delivery) -> None:
        self.note("start", id=delivery.message_id, args=dict(delivery.args), context=dict(delivery.context))
        if delivery.actor == "hold":
            while not (self._folder / "release").exists():
                await asyncio.sleep(0.05)
        if delivery.actor == "broken":
            raise ZeroDivisionError("the handler itself has an error")
        if delivery.actor == "flaky":
            tries = sum(
                1 for entry in read(self._folder) if entry["kind"] == "start" and entry["id"] == delivery.message_id
            )
            try:
                raise ValueError(f"attempt {tries} found nothing 没有找到")  # noqa: TRY301 - the cause to be shown
            except ValueError as error:
                if tries < 3:
                    raise RetryLaterError(200, str(error)) from error
                raise RejectedError("EXHAUSTED", f"{tries} attempts") from error
        self.note("done", id=delivery.message_id)

    async def dead(self, letter: DeadLetter) -> None:
        self.note("dead", id=letter.message_id, code=letter.code, traceback=letter.traceback, actor=letter.actor)

    async def close(self) -> None:
        self.note("closed")


def read(folder: Path) -> list[dict[str, Any]]:
    """What the workers noted so far; a line that is being written does not count yet."""
    log = folder / "log"
    whole = log.read_bytes().rpartition(b"\n")[0] if log.exists() else b""
    return [json.loads(line) for line in whole.split(b"\n") if line]


def boot() -> None:
    """Set the broker of a worker process."""
    folder = Path(os.environ["CONTRACT_FOLDER"])
    url = os.environ["CONTRACT_URL"]
    recorder = Recorder(folder)
    queue = RedisQueue(url, Signer(KEY), heartbeat_timeout_ms=HEARTBEAT_MS, namespace=folder.name)
    queue.serve(SPECS, recorder)
    dramatiq.set_broker(queue.broker)
    recorder.note("boot")
