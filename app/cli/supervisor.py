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
from typing import Protocol, TypeVar

from infra import process
from infra.settings import Settings, child_environment

QUICK_SECONDS = 10.0
"""How long a server that was killed may take to start again."""
MOST_ENDS, WINDOW_SECONDS = 4, 60.0
"""A server that ends more often than this within the window does not stay up; the instance ends and says why."""
BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_SECONDS = 30.0
"""A process that lived this long starts its back-off anew."""
RETRY_SECONDS = 0.5
STOP_SECONDS = 35.0
"""Longer than a worker takes to finish what it does (30 s)."""


class SupervisorError(RuntimeError):
    """A part cannot be kept running; the message says which and why."""


class StoppedError(Exception):
    """Somebody asked to stop before everything had started."""


class Server(Protocol):
    """What a launcher returns."""

    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        """Stop it."""


S = TypeVar("S", bound=Server)


@dataclass
class Part:
    """One process of ours."""

    name: str
    command: list[str]
    log: Path
    inherit: tuple[int, ...] = ()
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

    def __init__(
        self, settings: Settings, *, hold: tuple[int, ...] = (), changed: Callable[[], None] | None = None
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            settings: handed to every process of ours.
            hold: open files that every child keeps: the lock of the state folder, which is free when all have ended.
            changed: called when a process was started again and has another id.
        """
        self._settings = settings
        self._environment = child_environment(settings)
        self.hold = hold
        self._changed = changed or (lambda: None)
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
        for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT is ignored in what a script starts with `&`
            signal.signal(number, self._on_stop)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
            signal.signal(signal.SIGHUP, self._on_stop)

    @property
    def stopping(self) -> bool:
        """Whether somebody asked to stop."""
        return self._stopping

    def pids(self) -> dict[str, int]:
        """Return the process ids by name."""
        found = {"launcher": os.getpid()}
        found |= {part.name: part.server.process.pid for part in self.servers if part.server}
        return found | {part.name: part.process.pid for part in self.parts if part.process}

    def all_run(self) -> bool:
        """Whether every process of ours runs at this moment."""
        return all(part.process is not None and part.process.poll() is None for part in self.parts)

    def start_server(self, name: str, start: Callable[[], S]) -> S:
        """Start somebody else's server; its launcher waits until it answers.

        Raises:
            StoppedError: a stop was asked for meanwhile.
        """
        part = ServerPart(name, start)
        part.server = server = start()
        self.servers.append(part)
        self._go_on()
        return server

    def start_part(self, name: str, *arguments: str, inherit: tuple[int, ...] = ()) -> Part:
        """Start a process verb of ours, which keeps the open files ``inherit``."""
        self._go_on()
        command = [sys.executable, "-m", "app", *arguments]
        part = Part(name, command, self._settings.state / "log" / f"{name}.log", (*self.hold, *inherit))
        self.parts.append(part)
        self._launch(part)
        return part

    def run_once(self, *arguments: str) -> int:
        """Run a verb to its end, its output on ours.

        Returns:
            Its exit code.

        Raises:
            StoppedError: a stop was asked for; the verb was ended.
        """
        self._go_on()
        child = subprocess.Popen(  # noqa: S603 - our own verbs
            [sys.executable, "-m", "app", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self.hold,
            preexec_fn=process.die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - two system calls
        )
        while child.poll() is None:
            if self._stopping:
                _end([child])
            else:
                self._wait(None)
        self._go_on()
        return child.returncode

    def _go_on(self) -> None:
        if self._stopping:
            raise StoppedError

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
            due = [part.due for part in self.parts if part.due is not None] + ([end] if end is not None else [])
            pause = None if not due else max(0.0, min(due) - time.monotonic())
            self._wait(pause if until is None else min(0.05, pause or 0.05))
        return False

    def stop(self) -> None:
        """Stop ours first, all at once, then the servers in reverse order."""
        self._stopping = True
        _end([part.process for part in reversed(self.parts) if part.process])
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
        part.process = process.spawn(part.command, log=part.log, env=self._environment, inherit=part.inherit)
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
                    self._changed()
            elif ours.process is not None and ours.process.poll() is not None:
                ours.failures = 0 if now - ours.started > STEADY_SECONDS else ours.failures + 1
                ours.due = now + BACKOFF_SECONDS[min(ours.failures, len(BACKOFF_SECONDS) - 1)]
                print(f"  {ours.name} ended (code {ours.process.returncode}); starting it again", flush=True)

    def _revive_server(self, part: ServerPart, now: float) -> None:
        assert part.server is not None  # noqa: S101 - the caller has looked
        part.ends = [at for at in part.ends if now - at < WINDOW_SECONDS] + [now]
        if len(part.ends) > MOST_ENDS:
            raise SupervisorError(
                f"{part.name} ends again and again; the end of {part.server.log.name}:\n{process.tail(part.server.log)}"
            )
        print(f"  {part.name} ended; starting it again", flush=True)
        # What a server that was killed leaves behind for a moment keeps the next one from starting.
        end = now + QUICK_SECONDS
        while not self._stopping:
            try:
                part.server = part.start()
            except process.LaunchError as fault:
                if time.monotonic() > end:
                    raise SupervisorError(f"{part.name} ended and does not start again: {fault}") from fault
                self._wait(RETRY_SECONDS)
            else:
                self._changed()
                return


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    """Ask all at once to end, wait, and kill what is left of them, with what they started."""
    alive = [child for child in children if child.poll() is None]
    for child in alive:
        child.terminate()
    end = time.monotonic() + STOP_SECONDS
    for child in alive:
        try:
            child.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
