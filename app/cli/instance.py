"""A throw-away instance for measurements and drills: started by ``up`` as a person would, stopped as by Ctrl-C."""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS = 600.0
_POLL_SECONDS = 0.02


class InstanceError(RuntimeError):
    """The instance did not come up; the message ends with what it printed."""


@dataclass
class Instance:
    """A running instance."""

    url: str
    state: Path
    pids: dict[str, int]
    accounts: list[dict[str, Any]]
    seconds: float
    """From the command to ready."""
    process: subprocess.Popen[str]

    def tree(self) -> list[int]:
        """Return the process ids of the launcher and everything below it."""
        children: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
        found, queue = [], [self.process.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            queue += children.get(pid, [])
        return found

    def memory_mb(self) -> float:
        """Return the proportional memory of the whole stack, in MiB."""
        total = 0
        for pid in self.tree():
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        return round(total / 1024, 1)


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(state: Path | None = None, *, size: str = "s") -> Iterator[Instance]:
    """Start an instance and stop it again.

    Args:
        state: its folder; one of its own, removed afterwards, when omitted.
        size: of the demo data.

    Raises:
        InstanceError: it did not come up.
    """
    if state is None:
        with tempfile.TemporaryDirectory(prefix="anlan-") as folder, running(Path(folder), size=size) as instance:
            yield instance
        return
    ready = state / "ready.json"
    ready.unlink(missing_ok=True)
    log = state / "up.out"
    command = [sys.executable, "-m", "app", "up", "--data", str(state), "--port", str(free_port())]
    begin = time.perf_counter()
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--size", size, "--ready-file", str(ready)], stdout=out, stderr=subprocess.STDOUT, text=True
        )
    try:
        while not ready.exists():
            if process.poll() is not None or time.perf_counter() - begin > START_SECONDS:
                raise InstanceError(f"not ready; its last lines:\n{log.read_text(encoding='utf-8')[-2000:]}")
            time.sleep(_POLL_SECONDS)
        seconds = time.perf_counter() - begin
        content = json.loads(ready.read_text(encoding="utf-8"))
        yield Instance(content["url"], state, content["pids"], content["accounts"], seconds, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
