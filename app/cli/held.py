"""Holds a state folder: one instance at a time, and none beside the processes of one that was killed.

The lock belongs to an open file that every child of the launcher keeps. A launcher killed hard therefore
leaves the folder locked until the last of its processes, which end by themselves, is gone.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PREDECESSOR_SECONDS = 60.0
_POLL_SECONDS = 0.05


class HeldError(RuntimeError):
    """The folder is in use; the message says by whom and what to do."""


@contextmanager
def held(state: Path) -> Iterator[int]:
    """Hold a state folder, which is made when missing.

    Args:
        state: the folder.

    Yields:
        The open file that carries the lock; children that get it hold the folder as well.

    Raises:
        HeldError: a living launcher holds it, or the processes of a dead one do not end.
    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("a+", encoding="utf-8") as file:
        _take(file, state)
        file.truncate(0)
        file.write(f"{os.getpid()} {_born(os.getpid())}")
        file.flush()
        yield file.fileno()


def _take(file: IO[str], state: Path) -> None:
    end = time.monotonic() + PREDECESSOR_SECONDS
    told = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid, _, born = file.read().strip().partition(" ")
            if pid.isdigit() and _born(int(pid)) == born:
                raise HeldError(
                    f"{state} is in use by process {pid}; stop that one, or choose another --data"
                ) from None
            if time.monotonic() > end:
                raise HeldError(
                    f"processes of a killed start still use {state} after {PREDECESSOR_SECONDS:.0f} s; "
                    f"`fuser {state / 'lock'}` names them"
                ) from None
            if not told:
                print("… waiting for the processes of a killed start to end", flush=True)
                told = True
            time.sleep(_POLL_SECONDS)  # the kernel has no wait with a limit for this
        else:
            return


def _born(pid: int) -> str:
    """Return when a process started, so that a number given again is not taken for the old one; "" when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self").exists():
            return ""
        return _alive_without_proc(pid)
    return "" if fields[0] == "Z" else fields[19]


def _alive_without_proc(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"
