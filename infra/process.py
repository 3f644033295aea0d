"""Starting other people's servers: as an unprivileged user, with a log, and never outliving the launcher."""

import ctypes
import os
import pwd
import shutil
import signal
import stat
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


class LaunchError(RuntimeError):
    """A part did not start; the message says why and what to do."""


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
    inherit: Sequence[int] = (),
    cwd: str = "/",
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, so that Ctrl-C reaches the launcher only.

    Args:
        command: program and arguments; never a secret among them.
        log: file that gets its output; the one of the start before is kept as ``.1``.
        env: its whole environment.
        user: whom to become.
        parent_gone: signal that the child gets when the launcher dies.
        inherit: open files that the child keeps: a lock that holds as long as it lives, a listening socket.
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
            pass_fds=tuple(inherit),
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


def public_copy(folders: Sequence[Path], program: Path, user: ServerUser | None) -> list[Path]:
    """Return the folders, or copies of them that the server's user can reach.

    A checkout below a home of mode 0700, or one installed under a closed umask, hides its binaries from
    an unprivileged server. A package and its ``.libs`` sibling are copied together, once, and renamed
    into place when complete.

    Args:
        folders: what belongs together.
        program: an executable below the first of them.
        user: who shall run it.
    """
    if user is None or (reachable(program, user) and program.stat().st_mode & 0o005 == 0o005):  # noqa: PLR2004 - o+rx
        return list(folders)
    stamp = sha256("|".join(f"{f}:{f.stat().st_mtime_ns}" for f in folders).encode()).hexdigest()[:16]
    target = SYSTEM_DATA / f"bin-{stamp}"
    if not target.exists():
        open_folder(SYSTEM_DATA)
        draft = open_folder(SYSTEM_DATA / f".bin-{stamp}.{os.getpid()}")
        for folder in folders:
            shutil.copytree(folder, draft / folder.name, symlinks=True)
        for path in draft.rglob("*"):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        try:
            draft.rename(target)
        except OSError:  # somebody else was first
            shutil.rmtree(draft, ignore_errors=True)
    return [target / folder.name for folder in folders]


def open_folder(path: Path) -> Path:
    """Make a folder that everybody may enter, whatever the umask is."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)
    return path


def data_home(state: Path, user: ServerUser | None) -> Path:
    """Return where the data of servers live: the state folder, or a place that the servers' user can reach.

    The place is named in the state folder's file ``LOCATION``, so that a moved checkout finds its data.

    Args:
        state: the state folder; it exists.
        user: whom the servers run as.

    Raises:
        LaunchError: ``LOCATION`` names a folder that is not there.
    """
    if (place := outside(state)) is not None:
        if not place.is_dir():
            raise LaunchError(f"{state / 'LOCATION'} names {place}, which is gone; restore it, or start with --fresh")
        return place
    if reachable(state / "x", user):
        return state
    open_folder(SYSTEM_DATA)
    place = open_folder(SYSTEM_DATA / sha256(str(state).encode()).hexdigest()[:16])
    (place / "OWNER").write_text(str(state), encoding="utf-8")
    (state / "LOCATION").write_text(f"{place}\n", encoding="utf-8")
    return place


def outside(state: Path) -> Path | None:
    """Return the place outside the state folder that its file ``LOCATION`` names; None: there is none.

    Raises:
        LaunchError: the file names a folder that no launcher makes.
    """
    try:
        place = Path((state / "LOCATION").read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return None
    if place.parent != SYSTEM_DATA:
        raise LaunchError(f"{state / 'LOCATION'} names {str(place)!r}, which is not below {SYSTEM_DATA}; remove it")
    return place


def own_folder(path: Path, user: ServerUser | None) -> Path:
    """Make a folder that only the servers' user may enter, and hand over what is in it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user is not None:
        for found in (path, *path.rglob("*")):
            os.chown(found, user.uid, user.gid, follow_symlinks=False)
    return path


def prepare_runtime(folder: Path, user: ServerUser | None) -> None:
    """Make the short folder for sockets: ours, or the servers' user's, and closed to everybody else.

    Raises:
        LaunchError: somebody else made it first; sockets in it could be theirs.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = folder.lstat()
    owners = {os.geteuid()} if user is None else {os.geteuid(), user.uid}
    if not stat.S_ISDIR(info.st_mode) or info.st_uid not in owners:
        raise LaunchError(f"{folder} belongs to another user; remove it, or set XDG_RUNTIME_DIR to a folder of yours")
    folder.chmod(0o700)
    if user is not None:
        os.chown(folder, user.uid, user.gid)


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log, for a message to people."""
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"
