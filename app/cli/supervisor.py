"""Keeps the parts of an instance running: starts them in order, restarts what ends, stops in reverse.

Every child is started by the main thread, since the signal that a child gets when its launcher dies
belongs to the thread that started it. The loop waits on a pipe that signals write to: nothing polls.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from infra import process
from infra.settings import Settings, child_environment

QUICK_SECONDS = 10.0
"""A server that ends twice within this time does not get a third try."""
BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS = 30.0
"""A process that lived this long starts its back-off anew."""
STOP_SECONDS = 25.0


class SupervisorError(RuntimeError):
    """A part cannot be kept running; the message says which and why."""


class Server(Protocol):
    """What a launcher returns."""

    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """Stop it."""


@dataclass
class Part:
    """One process of ours."""

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    due: float | None = None
    """When to start it again; None while it runs."""


@dataclass
class ServerPart:
    """Somebody else's server: started and stopped by its launcher."""

    name: str
    start: Callable[[], Server]
    server: Server | None = None
    ends: list[float] = field(default_factory=list)


class Supervisor:
    """The parts of one instance."""

    def __init__(self, settings: Settings) -> None:
        """Prepare; nothing is started yet."""
        self._settings = settings
        self._environment = child_environment(settings)
        self.servers: list[ServerPart] = []
        self.parts: list[Part] = []
        self._stopping = False
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        self._pipe = reader
        self._selector = selectors.DefaultSelector()
        self._selector.register(reader, selectors.EVENT_READ)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_stop)

    @property
    def stopping(self) -> bool:
        """Whether somebody asked to stop."""
        return self._stopping

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        found = {"launcher": os.getpid()}
        found |= {part.name: part.server.process.pid for part in self.servers if part.server}
        return found | {part.name: part.process.pid for part in self.parts if part.process}

    def start_server(self, name: str, start: Callable[[], Server]) -> None:
        """Start somebody else's server; its launcher waits until it answers."""
        part = ServerPart(name, start)
        part.server = start()
        self.servers.append(part)

    def start_part(self, name: str, *arguments: str) -> Part:
        """Start a process verb of ours."""
        command = [sys.executable, "-m", "app", *arguments]
        part = Part(name, command, self._settings.state / "log" / f"{name}.log")
        self.parts.append(part)
        self._launch(part)
        return part

    def run_once(self, *arguments: str) -> int:
        """Run a verb to its end, its output on ours; a request to stop ends it."""
        command = [sys.executable, "-m", "app", *arguments]
        child = subprocess.Popen(  # noqa: S603 - our own verbs
            command,
            env=self._environment,
            start_new_session=True,
            preexec_fn=process.die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - two system calls
        )
        while child.poll() is None:
            self._wait(None)
            if self._stopping and child.poll() is None:
                child.terminate()
                child.wait()
        return child.returncode

    def watch(self, until: Callable[[], bool] | None = None, timeout: float | None = None) -> bool:
        """Keep everything running until a stop is asked for, ``until`` holds, or the time is over.

        Args:
            until: asked again after every event and at least every 50 ms; None: only a stop ends it.
            timeout: seconds; None: no limit.

        Returns:
            Whether ``until`` holds.

        Raises:
            SupervisorError: a server ends again and again.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self._stopping:
            if until is not None and until():
                return True
            if end is not None and time.monotonic() > end:
                return False
            self._revive()
            due = [part.due for part in self.parts if part.due is not None]
            pause = None if not due else max(0.0, min(due) - time.monotonic())
            self._wait(pause if until is None else min(0.05, pause or 0.05))
        return False

    def stop(self) -> None:
        """Stop ours first, all at once, then the servers in reverse order."""
        self._stopping = True
        alive = [part.process for part in reversed(self.parts) if part.process and part.process.poll() is None]
        for child in alive:
            child.terminate()
        end = time.monotonic() + STOP_SECONDS
        for child in alive:
            try:
                child.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for part in reversed(self.servers):
            if part.server is not None:
                part.server.stop()

    def _on_stop(self, *_: object) -> None:
        self._stopping = True

    def _wait(self, seconds: float | None) -> None:
        if self._selector.select(seconds):
            while True:
                try:
                    if not os.read(self._pipe, 512):
                        return
                except BlockingIOError:
                    return

    def _launch(self, part: Part) -> None:
        part.process = process.spawn(part.command, log=part.log, env=self._environment)
        part.started, part.due = time.monotonic(), None

    def _revive(self) -> None:
        now = time.monotonic()
        for part in self.servers:
            if part.server is not None and part.server.process.poll() is not None:
                self._revive_server(part, now)
        for ours in self.parts:
            if ours.due is not None:
                if ours.due <= now:
                    self._launch(ours)
            elif ours.process is not None and ours.process.poll() is not None:
                ours.failures = 0 if now - ours.started > STEADY_SECONDS else ours.failures + 1
                ours.due = now + BACKOFF_SECONDS[min(ours.failures, len(BACKOFF_SECONDS) - 1)]
                print(f"  {ours.name} ended (code {ours.process.returncode}); starting it again", flush=True)

    def _revive_server(self, part: ServerPart, now: float) -> None:
        assert part.server is not None  # noqa: S101 - the caller has looked
        part.ends = [at for at in part.ends if now - at < QUICK_SECONDS] + [now]
        if len(part.ends) > 1:
            raise SupervisorError(
                f"{part.name} ends again and again; the end of {part.server.log.name}:\n{process.tail(part.server.log)}"
            )
        print(f"  {part.name} ended; starting it again", flush=True)
        part.server = part.start()
