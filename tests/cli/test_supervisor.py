"""The supervisor with parts of no weight: what it restarts, when it gives up, how it stops."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.cli import supervisor as module
from app.cli.supervisor import Part, StoppedError, Supervisor, SupervisorError
from infra.process import LaunchError, spawn
from infra.settings import Settings, load
from tests.infra.launched import alive, eventually

SLEEPS = [sys.executable, "-c", "import time; time.sleep(600)"]
LIMIT = 60.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"ANLAN_ENV": "test", "ANLAN_STATE": str(tmp_path / "state")})


@pytest.fixture
def changes() -> list[str]:
    return []


@pytest.fixture
def signals() -> Iterator[None]:
    """The test process gets its own signal handlers back."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a run below nohup ignores it, and the supervisor respects that
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def supervisor(settings: Settings, changes: list[str], signals: None) -> Iterator[Supervisor]:
    made = Supervisor(settings, changed=lambda: changes.append("changed"))
    yield made
    made.stop()


def part(supervisor: Supervisor, settings: Settings, command: list[str]) -> Part:
    made = Part("part", command, settings.state / "log" / "part.log")
    supervisor.parts.append(made)
    supervisor._launch(made)
    return made


@dataclass
class Server:
    """A server of somebody else."""

    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def server(settings: Settings, command: list[str]) -> Callable[[], Server]:
    log = settings.state / "log" / "server.log"
    return lambda: Server(spawn(command, log=log, env={}), log)


@pytest.mark.parametrize("code", [0, 3])
def test_a_process_is_started_again_whatever_its_exit_code(
    supervisor: Supervisor, settings: Settings, changes: list[str], tmp_path: Path, code: int
) -> None:
    marker = str(tmp_path / "was here")
    ends_once = f"import os, sys, time\ntry: os.mkdir({marker!r})\nexcept OSError: time.sleep(600)\nsys.exit({code})"
    one = part(supervisor, settings, [sys.executable, "-c", ends_once])
    first = supervisor.pids()["part"]
    assert supervisor.watch(lambda: supervisor.pids()["part"] != first and supervisor.all_run(), LIMIT)
    assert changes == ["changed"]
    assert one.failures == 1


def test_each_failure_waits_longer(supervisor: Supervisor, settings: Settings) -> None:
    one = part(supervisor, settings, [sys.executable, "-c", "raise SystemExit(1)"])
    waits: list[float] = []

    def seen() -> bool:
        if one.due is not None and len(waits) < one.failures:
            waits.append(one.due - one.started)
        return len(waits) >= 3

    assert supervisor.watch(seen, LIMIT)
    assert waits == sorted(waits)
    assert waits[2] > module.BACKOFF_SECONDS[2]


def test_a_server_is_started_again_some_times(supervisor: Supervisor, settings: Settings, changes: list[str]) -> None:
    supervisor.start_server("queue", server(settings, SLEEPS))
    for times in range(1, module.MOST_ENDS + 1):
        killed = supervisor.pids()["queue"]
        os.kill(killed, signal.SIGKILL)
        assert supervisor.watch(lambda killed=killed: supervisor.pids()["queue"] != killed, LIMIT)  # type: ignore[misc]
        assert changes == ["changed"] * times
    os.kill(supervisor.pids()["queue"], signal.SIGKILL)
    with pytest.raises(SupervisorError, match="queue ends again and again"):
        supervisor.watch(None, LIMIT)


def test_a_server_that_ends_again_and_again_shows_the_end_of_its_log(
    supervisor: Supervisor, settings: Settings
) -> None:
    supervisor.start_server("queue", server(settings, ["sh", "-c", "echo the reason; exit 1"]))
    with pytest.raises(SupervisorError, match="the reason"):
        supervisor.watch(None, LIMIT)


def test_a_server_that_needs_a_moment_after_a_kill_gets_it(supervisor: Supervisor, settings: Settings) -> None:
    good = server(settings, SLEEPS)
    refusals = [LaunchError("memory of the dead server is still in use")] * 2

    def start() -> Server:
        if supervisor.servers and refusals:
            raise refusals.pop()
        return good()

    first = supervisor.start_server("postgresql", start)
    first.process.kill()
    assert supervisor.watch(lambda: supervisor.pids()["postgresql"] != first.process.pid, LIMIT)
    assert refusals == []


def test_a_server_that_cannot_start_again_ends_the_instance(
    supervisor: Supervisor, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUICK_SECONDS", 0.5)
    first = supervisor.start_server("postgresql", server(settings, SLEEPS))

    def refuses() -> Server:
        raise LaunchError("the disk is full")

    supervisor.servers[0].start = refuses
    first.process.kill()
    with pytest.raises(SupervisorError, match="does not start again: the disk is full"):
        supervisor.watch(None, LIMIT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_ours_first(
    supervisor: Supervisor, settings: Settings, tmp_path: Path, number: signal.Signals
) -> None:
    order = tmp_path / "order"
    told = f"open({str(order)!r}, 'a').write(sys.argv[1])"
    code = (
        "import signal, sys\n"
        f"def end(*_):\n    {told}\n    sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\nprint('up', flush=True)\nsignal.pause()\n"
    )
    database = supervisor.start_server("postgresql", server(settings, SLEEPS))
    stop = database.stop

    def stops_last() -> None:
        order.write_text(order.read_text(encoding="utf-8") + "database", encoding="utf-8")
        stop()

    database.stop = stops_last  # type: ignore[method-assign]
    one = part(supervisor, settings, [sys.executable, "-c", code, "web "])
    assert supervisor.watch(lambda: one.log.read_text(encoding="utf-8") == "up\n", LIMIT)
    os.kill(os.getpid(), number)
    assert supervisor.watch(None, LIMIT) is False
    supervisor.stop()
    assert order.read_text(encoding="utf-8") == "web database"
    assert not any(alive(pid) for name, pid in supervisor.pids().items() if name != "launcher")


@pytest.mark.usefixtures("signals")
def test_below_nohup_a_hangup_stops_nothing(settings: Settings) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    made = Supervisor(settings)
    os.kill(os.getpid(), signal.SIGHUP)
    assert made.watch(None, 0.2) is False
    assert not made.stopping


def test_a_process_that_does_not_heed_is_killed_with_what_it_started(
    supervisor: Supervisor, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 0.3)
    code = (
        "import signal, subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'])\nprint(child.pid, flush=True)\nchild.wait()\n"
    )
    one = part(supervisor, settings, [sys.executable, "-c", code])
    assert supervisor.watch(lambda: one.log.read_text(encoding="utf-8").endswith("\n"), LIMIT)
    grandchild = int(one.log.read_text(encoding="utf-8"))
    supervisor.stop()
    assert one.process is not None
    assert one.process.returncode == -signal.SIGKILL
    eventually(lambda: not alive(grandchild))


def test_nothing_more_is_started_once_a_stop_was_asked_for(supervisor: Supervisor, settings: Settings) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(StoppedError):
        supervisor.run_once("migrate")
    with pytest.raises(StoppedError):
        supervisor.start_part("web", "serve")
    with pytest.raises(StoppedError):
        supervisor.start_server("postgresql", server(settings, SLEEPS))
    supervisor.stop()
    assert not any(alive(pid) for name, pid in supervisor.pids().items() if name != "launcher")


def test_a_verb_is_ended_by_a_stop(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(
        f"#!/bin/sh\necho $$ >{tmp_path}/pid\nkill -INT {os.getpid()}\nexec sleep 600\n", encoding="utf-8"
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(StoppedError):
        supervisor.run_once("seed")
    assert not alive(int((tmp_path / "pid").read_text(encoding="utf-8")))
