"""``up``: start everything on embedded parts, migrated and seeded, and keep it running until Ctrl-C."""

import argparse
import errno
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.cli.held import HeldError, held
from app.cli.supervisor import StoppedError, Supervisor, SupervisorError
from infra.process import LaunchError, outside, tail
from infra.settings import Settings, web_address

NEEDED_MB = 400
"""Free disk that a start asks for."""
READY_SECONDS = 120.0
STOPPED_EARLY = 130
"""Exit code of a start that was stopped before everything answered."""
_MARKER = "ANLAN"
_SEEDED = "seeded.json"
# What says that something is complete goes first: a removal that is cut off leaves no lie behind.
_OWN = (_SEEDED, "accounts.json", "run.json", "pg", "queue", "objects", "log", "cache", "keys", "LOCATION", _MARKER)


class UpError(RuntimeError):
    """The start cannot go on; the message says why and what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--port", type=_port, help="port of the web server (8017); 0: any that is free")
    parser.add_argument("--data", type=_folder, help="state folder (.anlan in the checkout)")
    parser.add_argument("--fresh", action="store_true", help="throw the state folder's data away first")
    parser.add_argument("--size", choices=("s", "m"), default="s", help="demo enterprises: s 500, m 20,000")
    parser.add_argument("--ready-file", type=Path, help="written as JSON when everything answers")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:  # noqa: PLR2004 - the last port
        raise argparse.ArgumentTypeError(f"{text!r} is no port; expected a number from 0 to 65535")
    return int(text)


def _folder(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("the name of the folder is empty")
    return Path(text)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the verb."""
    # From the first moment on: a shell starts what it puts into the background with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    state = args.data.absolute() if args.data else settings.state
    settings = replace(settings, state=state)
    try:
        _refuse_early(settings, args.ready_file)
        with held(state) as lock:
            return _up(args, settings, lock)
    except (UpError, HeldError, SupervisorError, LaunchError) as fault:
        print(f"anlan up: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return STOPPED_EARLY
    except OSError as fault:
        print(f"anlan up: {_told_os(fault, state)}", file=sys.stderr)
        return 1


def _told_os(fault: OSError, state: Path) -> str:
    """Say what a fault of the system means here."""
    if fault.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {state} is full; free some space and try again, nothing is lost"
    if fault.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return f"{fault.filename or state} cannot be written; choose a folder with --data"
    return f"{fault.filename or state}: {fault.strerror or fault}"


def _refuse_early(settings: Settings, ready_file: Path | None) -> None:
    """Say what is wrong before anything is made or started."""
    if not settings.embedded:
        raise UpError("ANLAN_ENV=production: `up` starts embedded parts, which never serve production")
    state = settings.state
    existing = next(folder for folder in (state, *state.parents) if folder.exists())
    if not existing.is_dir():
        raise UpError(f"{existing} is a file, not a folder; choose another --data")
    if (state / "pyproject.toml").exists() or (state / ".git").exists():
        raise UpError(f"{state} holds sources; state has a folder of its own: choose another --data")
    if ready_file is not None and not ready_file.absolute().parent.is_dir():
        raise UpError(f"the folder of --ready-file {ready_file} does not exist")
    free = shutil.disk_usage(existing).free // 1_000_000
    if free < NEEDED_MB:
        raise UpError(f"only {free} MB are free for {state}; {NEEDED_MB} MB are needed")


def _up(args: argparse.Namespace, settings: Settings, lock: int) -> int:
    begin = time.perf_counter()
    files = [settings.state / "run.json", *([args.ready_file.absolute()] if args.ready_file else [])]
    with _listening(settings.host, args.port if args.port is not None else settings.port) as listener:
        settings = _addressed(settings, listener.getsockname()[1])
        for path in files:
            path.unlink(missing_ok=True)  # of a start that was killed
        if args.fresh:
            _throw_away(settings.state)
        (settings.state / _MARKER).touch()
        cold = not (settings.state / _SEEDED).exists()
        ready = False

        def tell() -> None:
            if ready:
                for path in files:
                    _write(path, _content(supervisor, settings))

        supervisor = Supervisor(settings, hold=(lock,), changed=tell)
        try:
            _start(supervisor, settings, args.size, listener)
            ready = True
            tell()
            _print_ready(_content(supervisor, settings), time.perf_counter() - begin, cold=cold)
            supervisor.watch()
        except StoppedError:
            return STOPPED_EARLY
        else:
            return 0
        finally:
            for path in files:
                path.unlink(missing_ok=True)
            with _told("stopping"):
                supervisor.stop()
            with suppress(OSError):
                settings.runtime_dir.rmdir()
            print("stopped; the data stay in the state folder", flush=True)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen for the web server, which gets the socket: nobody else can take the port in between."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()
        except OSError as fault:
            if fault.errno == errno.EADDRINUSE:
                raise UpError(f"port {port} of {host} is taken; choose another with --port") from None
            raise UpError(f"cannot listen on port {port} of {host} ({fault.strerror}); choose another --port") from None
        yield listener


def _addressed(settings: Settings, port: int) -> Settings:
    """Put the port that is listened on into the settings."""
    default_url = settings.public_url == web_address(settings.host, settings.port)
    url = web_address(settings.host, port) if default_url else settings.public_url
    return replace(settings, port=port, public_url=url)


def _throw_away(state: Path) -> None:
    """Remove what an instance keeps, from a folder that an instance made."""
    if {path.name for path in state.iterdir()} - {"lock"} and not (state / _MARKER).exists():
        raise UpError(f"{state} is not a state folder of Anlan; --fresh leaves it alone")
    place = outside(state)
    for name in _OWN:
        if name == "pg" and place is not None and _owner(place) == str(state):
            shutil.rmtree(place, ignore_errors=True)
        path = state / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _owner(place: Path) -> str:
    """Return the state folder that a place below the system's folder was made for; a copied one is not it."""
    try:
        return (place / "OWNER").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _start(supervisor: Supervisor, settings: Settings, size: str, listener: socket.socket) -> None:
    """Start the parts in order, each told and timed.

    Raises:
        StoppedError: a stop was asked for meanwhile.
    """
    from infra.wiring import start_database, start_queue  # noqa: PLC0415 - launchers load when they are used

    hold = supervisor.hold
    cluster = settings.db_url or ""
    if settings.db_url is None:
        with _told("PostgreSQL"):
            server = supervisor.start_server("postgresql", lambda: start_database(settings, hold))
            cluster = f"{server.data}:{server.data.stat().st_ino}"
    with _told("roles and migrations"):
        _must(supervisor, "migrate")
    _seed(supervisor, settings, size, hashlib.sha256(cluster.encode()).hexdigest()[:16])
    if settings.queue_url is None:
        with _told("queue"):
            supervisor.start_server("queue", lambda: start_queue(settings, hold))
    with _told("web, worker, relay"):
        web = supervisor.start_part("web", "serve", "--fd", str(listener.fileno()), inherit=(listener.fileno(),))
        supervisor.start_part("worker", "worker")
        supervisor.start_part("relay", "relay")
        if not supervisor.watch(lambda: supervisor.all_run() and _answers(settings), READY_SECONDS):
            if supervisor.stopping:
                raise StoppedError
            raise UpError(f"the web server does not answer; the end of {web.log.name}:\n{tail(web.log)}")


def _seed(supervisor: Supervisor, settings: Settings, size: str, cluster: str) -> None:
    """Seed unless this cluster was seeded before; a start that was killed in between simply goes on."""
    marker = settings.state / _SEEDED
    try:
        done = json.loads(marker.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        done = {}
    if done.get("cluster") == cluster and (done["size"] == size or size == "s"):
        return
    with _told(f"division tree, code tables and demo data, size {size.upper()}"):
        _must(supervisor, "seed", "--size", size)
    _write(marker, {"size": size, "cluster": cluster})


def _must(supervisor: Supervisor, *arguments: str) -> None:
    code = supervisor.run_once(*arguments)
    if code != 0:
        raise UpError(f"`{' '.join(arguments)}` failed (code {code}); the lines above say why")


@contextmanager
def _told(text: str) -> Iterator[None]:
    """Print a step and how long it took."""
    begin = time.perf_counter()
    print(f"… {text}", flush=True)
    mark = "✗"
    try:
        yield
        mark = "✓"
    finally:
        print(f"{mark} {text} ({time.perf_counter() - begin:.1f} s)", flush=True)


def _answers(settings: Settings) -> bool:
    """Whether the web server is ready; asked directly, whatever proxy the environment names."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - any address: ask here
    connection = http.client.HTTPConnection(host, settings.port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _content(supervisor: Supervisor, settings: Settings) -> dict[str, Any]:
    accounts = settings.state / "accounts.json"
    return {
        "url": settings.public_url,
        "graphql": f"{settings.public_url}/graphql",
        "pids": supervisor.pids(),
        "accounts": json.loads(accounts.read_text(encoding="utf-8")) if accounts.exists() else [],
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    draft.replace(path)


def _print_ready(content: dict[str, Any], seconds: float, *, cold: bool) -> None:
    print(f"\nAnlan 安澜 is ready ({'cold' if cold else 'warm'} start, {seconds:.1f} s)\n")
    print(f"  start page   {content['url']}/")
    print(f"  GraphQL API  {content['graphql']}")
    print("  get a token  ./anlan token ACCOUNT\n")
    if content["accounts"]:
        print("demo accounts (no passwords; development only); the start page lists them with their people")
        for (kind, tenant), names in _by_tenant(content["accounts"]).items():
            print(f"  {kind:<11} {tenant}: {' '.join(names)}")
    print("\nCtrl-C stops everything; the data stay.", flush=True)


def _by_tenant(accounts: list[dict[str, str]]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for account in accounts:
        found.setdefault((account["kind"], account["tenant"]), []).append(account["account"])
    return found
