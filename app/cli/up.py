"""``up``: start everything on embedded parts, migrated and seeded, and keep it running until Ctrl-C."""

import argparse
import errno
import fcntl
import json
import os
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from app.cli.supervisor import Supervisor, SupervisorError
from infra.process import tail
from infra.settings import Settings

NEEDED_MB = 400
"""Free disk that a start asks for."""
READY_SECONDS = 120.0
PREDECESSOR_SECONDS = 20.0
_MARKER = "ANLAN"
_OWN = ("pg", "queue", "objects", "keys", "log", "cache", "accounts.json", "seeded.json", "run.json", _MARKER)


class UpError(RuntimeError):
    """The start cannot go on; the message says why and what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--port", type=int, help="port of the web server (8017)")
    parser.add_argument("--data", type=Path, help="state folder (.anlan in the checkout)")
    parser.add_argument("--fresh", action="store_true", help="throw the state folder's data away first")
    parser.add_argument("--size", choices=("s", "m"), default="s", help="demo enterprises: s 500, m 20,000")
    parser.add_argument("--ready-file", type=Path, help="written as JSON when everything answers")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the verb."""
    settings = _chosen(args, settings)
    try:
        with _held(settings.state):
            return _up(args, settings)
    except (UpError, SupervisorError) as fault:
        print(f"anlan up: {fault}", file=sys.stderr)
        return 1
    except OSError as fault:
        if fault.errno in (errno.ENOSPC, errno.EDQUOT):
            print(f"anlan up: the disk of {settings.state} is full; free some space, nothing is lost", file=sys.stderr)
            return 1
        if fault.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            print(f"anlan up: {fault.filename} cannot be written; choose a folder with --data", file=sys.stderr)
            return 1
        raise


def _chosen(args: argparse.Namespace, settings: Settings) -> Settings:
    """Put the flags over the settings."""
    port = args.port if args.port is not None else settings.port
    state = args.data.absolute() if args.data else settings.state
    default_url = settings.public_url == f"http://{settings.host}:{settings.port}"
    url = f"http://{settings.host}:{port}" if default_url else settings.public_url
    return replace(settings, port=port, state=state, public_url=url)


class _held:  # noqa: N801 - reads as a word in a with statement
    """Holds the state folder: one instance at a time."""

    def __init__(self, state: Path) -> None:
        self._path = state / "lock"
        self._file: IO[str] | None = None

    def __enter__(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            who = self._file.read().strip() or "another process"
            raise UpError(f"{self._path.parent} is in use by {who}; stop that one, or choose another --data") from None
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()}")
        self._file.flush()

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def _up(args: argparse.Namespace, settings: Settings) -> int:
    begin = time.perf_counter()
    _refuse_early(settings)
    if args.fresh:
        _throw_away(settings.state)
    settings.state.mkdir(parents=True, exist_ok=True)
    (settings.state / _MARKER).touch()
    cold = not (settings.state / "seeded.json").exists()
    supervisor = Supervisor(settings)
    try:
        _start(supervisor, settings, args.size)
        if supervisor.stopping:
            return 130
        content = _content(supervisor, settings)
        _write(settings.state / "run.json", content)
        if args.ready_file:
            _write(args.ready_file.absolute(), content)
        _print_ready(content, time.perf_counter() - begin, cold=cold)
        supervisor.watch()
        print("stopping …", flush=True)
        return 0
    finally:
        supervisor.stop()
        for path in (settings.state / "run.json", args.ready_file):
            if path:
                path.unlink(missing_ok=True)
        print("stopped; the data stay in the state folder", flush=True)


def _refuse_early(settings: Settings) -> None:
    """Say what is wrong before anything is started."""
    if not settings.embedded:
        raise UpError("ANLAN_ENV=production: `up` starts embedded parts, which never serve production")
    settings.state.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.state).free // 1_000_000
    if free < NEEDED_MB:
        raise UpError(f"only {free} MB are free for {settings.state}; {NEEDED_MB} MB are needed")
    end = time.monotonic() + (PREDECESSOR_SECONDS if (settings.state / "run.json").exists() else 0)
    while not _port_free(settings.host, settings.port):
        if time.monotonic() > end:
            raise UpError(f"port {settings.port} of {settings.host} is taken; choose another with --port")
        time.sleep(0.2)  # the instance before, killed hard, is still stopping


def _port_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as fault:
            if fault.errno == errno.EADDRINUSE:
                return False
            raise UpError(f"cannot listen on {host}:{port} ({fault.strerror}); choose another --port") from None
        return True


def _throw_away(state: Path) -> None:
    """Remove what an instance keeps, from a folder that an instance made."""
    if any(state.iterdir()) and not (state / _MARKER).exists() and {p.name for p in state.iterdir()} != {"lock"}:
        raise UpError(f"{state} is not a state folder of Anlan; --fresh leaves it alone")
    place = state / "pg" / "LOCATION"
    if place.exists():
        shutil.rmtree(Path(place.read_text(encoding="utf-8").strip()).parent, ignore_errors=True)
    for name in _OWN:
        path = state / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _start(supervisor: Supervisor, settings: Settings, size: str) -> None:
    """Start the parts in order, each told and timed."""
    from infra.wiring import start_database, start_queue  # noqa: PLC0415 - launchers load when they are used

    if settings.db_url is None:
        with _told("PostgreSQL"):
            supervisor.start_server("postgresql", lambda: start_database(settings))
    with _told("roles and migrations"):
        _must(supervisor, "migrate")
    _seed(supervisor, settings, size)
    if settings.queue_url is None:
        with _told("queue"):
            supervisor.start_server("queue", lambda: start_queue(settings))
    with _told("web, worker, relay"):
        web = supervisor.start_part("web", "serve")
        supervisor.start_part("worker", "worker")
        supervisor.start_part("relay", "relay")
        if not supervisor.watch(lambda: _answers(settings), READY_SECONDS) and not supervisor.stopping:
            raise UpError(f"the web server does not answer; the end of {web.log.name}:\n{tail(web.log)}")


def _seed(supervisor: Supervisor, settings: Settings, size: str) -> None:
    """Seed unless it was done before; a start that was killed in between simply goes on."""
    marker = settings.state / "seeded.json"
    done = json.loads(marker.read_text(encoding="utf-8")) if marker.exists() else {}
    if done.get("size") in ((size,) if size == "m" else ("s", "m")):
        return
    with _told(f"division tree, code tables and demo data, size {size.upper()}"):
        _must(supervisor, "seed", "--size", size)
    _write(marker, {"size": size})


def _must(supervisor: Supervisor, *arguments: str) -> None:
    code = supervisor.run_once(*arguments)
    if code != 0 and not supervisor.stopping:
        raise UpError(f"`{' '.join(arguments)}` failed (code {code}); the lines above say why")


class _told:  # noqa: N801 - reads as a word in a with statement
    """Prints a step and how long it took."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> None:
        self._begin = time.perf_counter()
        print(f"… {self._text}", flush=True)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        mark = "✗" if kind else "✓"
        print(f"{mark} {self._text} ({time.perf_counter() - self._begin:.1f} s)", flush=True)


def _answers(settings: Settings) -> bool:
    try:
        with urllib.request.urlopen(f"http://{settings.host}:{settings.port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004 - OK
    except (urllib.error.URLError, OSError):
        return False


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
