"""Starting other people's servers: as an unprivileged user, with a log, and never outliving the launcher."""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

SERVER_ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
"""Environment of a server: nothing of ours."""
SYSTEM_DATA = Path("/var/lib/anlan")
"""Where a root installation keeps what its unprivileged servers must reach."""
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ServerUser:
    """The unprivileged user that servers run as when the launcher is root."""

    name: str
    uid: int
    gid: int


def server_user() -> ServerUser | None:
    """Return the user for servers; None: the launcher's own, since it is not root.

    An existing entry is taken (``postgres``, else ``nobody``); no user is ever added.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(name, entry.pw_uid, entry.pw_gid)
    return None


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """Return a function for a forked child: it gets the signal when the launcher dies, however it dies.

    The kernel ties this to the thread that forks, so start children from the main thread only.
    """
    parent = os.getpid()

    def arrange() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
            if os.getppid() != parent:  # it died between fork and prctl
                os._exit(1)

    return arrange


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str],
    user: ServerUser | None = None,
    parent_gone: signal.Signals = signal.SIGTERM,
    cwd: str = "/",
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, so that Ctrl-C reaches the launcher only.

    Args:
        command: program and arguments; never a secret among them.
        log: file that gets its output; the one of the start before is kept as ``.1``.
        env: its whole environment.
        user: whom to become.
        parent_gone: signal that the child gets when the launcher dies.
        cwd: its working directory.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(log.suffix + ".1"))
    identity = {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}
    with log.open("ab") as out:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]  # noqa: S603 - our own commands
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
            preexec_fn=die_with_parent(parent_gone),  # noqa: PLW1509 - nothing but two system calls
            **identity,
        )


def package_folder(name: str) -> Path | None:
    """Return the folder of an installed package without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def reachable(path: Path, user: ServerUser | None) -> bool:
    """Whether a user may enter every folder on the way to ``path``."""
    if user is None:
        return True
    for folder in (path.parent.absolute() / "x").parents:
        try:
            info = folder.stat()
        except FileNotFoundError:
            continue
        owned = (info.st_uid == user.uid and info.st_mode & 0o100) or (info.st_gid == user.gid and info.st_mode & 0o010)
        if not (owned or info.st_mode & 0o001):
            return False
    return True


def public_copy(folders: Sequence[Path], user: ServerUser | None) -> list[Path]:
    """Return the folders, or copies of them that the server's user can reach.

    A checkout below a home of mode 0700 hides its binaries from an unprivileged server. A package
    and its ``.libs`` sibling are copied together, once, and renamed into place when complete.
    """
    if all(reachable(folder / "x", user) for folder in folders):
        return list(folders)
    stamp = sha256("|".join(f"{f}:{f.stat().st_mtime_ns}" for f in folders).encode()).hexdigest()[:16]
    target = SYSTEM_DATA / f"bin-{stamp}"
    if not target.exists():
        draft = SYSTEM_DATA / f".bin-{stamp}.{os.getpid()}"
        draft.mkdir(mode=0o755, parents=True)
        SYSTEM_DATA.chmod(0o755)
        for folder in folders:
            shutil.copytree(folder, draft / folder.name, symlinks=True)
        try:
            draft.rename(target)
        except OSError:  # somebody else was first
            shutil.rmtree(draft, ignore_errors=True)
    return [target / folder.name for folder in folders]


def prepare_runtime(folder: Path, user: ServerUser | None) -> None:
    """Make the short folder for sockets: ours, or the servers' user's, and closed to others' writes."""
    folder.mkdir(mode=0o700 if user is None else 0o755, parents=True, exist_ok=True)
    if user is not None:
        os.chown(folder, user.uid, user.gid)


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log, for a message to people."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"
