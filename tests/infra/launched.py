"""State folders for launchers under test, and launchers that are killed."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.settings import Settings, load

ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = os.geteuid() == 0


@contextmanager
def state_folder(*, mode: int = 0o711) -> Iterator[Settings]:
    """Settings with a state folder of their own below a home of this mode; nothing is left behind."""
    home = Path(tempfile.mkdtemp(prefix="anlan-l-"))
    home.chmod(mode)
    settings = load({"ANLAN_ENV": "test", "ANLAN_STATE": str(home / "state")})
    try:
        yield settings
    finally:
        location = settings.state / "LOCATION"
        places = [Path(location.read_text(encoding="utf-8").strip())] if location.exists() else []
        for left in (home, settings.runtime_dir, *(place for place in places if (place / "OWNER").exists())):
            shutil.rmtree(left, ignore_errors=True)


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition; the limit only ends a test that hangs."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def of_process(pid: int, name: str) -> bytes:
    """What the kernel says of a process: its ``cmdline``, its ``environ``."""
    return Path(f"/proc/{pid}/{name}").read_bytes()


def user_of(pid: int) -> int:
    """The user id that a process runs as."""
    return Path(f"/proc/{pid}").stat().st_uid


def start_and_kill_launcher(module: str, settings: Settings) -> int:
    """Start a server from a process that is then killed hard; return the server's process id."""
    code = (
        "import signal, sys\n"
        "from infra.settings import load\n"
        f"from {module} import start\n"
        f"server = start(load({{'ANLAN_STATE': {str(settings.state)!r}}}))\n"
        "print(server.process.pid, flush=True)\n"
        "signal.pause()\n"
    )
    launcher = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert launcher.stdout is not None
    pid = int(launcher.stdout.readline())
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    launcher.stdout.close()
    return pid
