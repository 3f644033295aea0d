"""``up`` as a person uses it: one cold start, then everything that can go wrong around it."""

import argparse
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.cli import up
from app.cli.instance import free_port
from infra.settings import load

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("up")
START_SECONDS = 240


@dataclass
class Started:
    """A launcher and what it wrote when ready."""

    process: subprocess.Popen[str]
    content: dict[str, Any]
    state: Path
    out: Path

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.content["url"] + path, timeout=20) as answer:
            return str(answer.read().decode())


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANLAN_")}
    return {**kept, "PYTHONPATH": str(ROOT)}


def command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "app", "up", *flags]


def begin(state: Path, port: int) -> tuple[subprocess.Popen[str], Path]:
    out = state.with_suffix(".out")
    with out.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            command("--data", str(state), "--port", str(port), "--ready-file", str(state.with_suffix(".ready"))),
            stdout=stream, stderr=subprocess.STDOUT, text=True, env=environment(), cwd=ROOT,
        )  # fmt: skip
    return process, out


def launch(state: Path, port: int) -> Started:
    ready = state.with_suffix(".ready")
    ready.unlink(missing_ok=True)
    process, out = begin(state, port)
    eventually(lambda: ready.exists() or process.poll() is not None, START_SECONDS)
    assert process.poll() is None, out.read_text(encoding="utf-8")
    return Started(process, json.loads(ready.read_text(encoding="utf-8")), state, out)


def refused(*flags: str) -> str:
    answer = subprocess.run(
        command(*flags), check=False, capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=60
    )
    assert answer.returncode == 1, answer.stdout + answer.stderr
    return answer.stderr


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("up")
    yield folder
    for place in folder.glob("*/LOCATION"):
        shutil.rmtree(Path(place.read_text(encoding="utf-8").strip()), ignore_errors=True)


@pytest.fixture(scope="module")
def running(base: Path) -> Iterator[Started]:
    """A cold start after one that was killed while it seeded; the test takes it down in its own way."""
    process, out = begin(base / "state", free_port())
    eventually(lambda: "… division tree" in out.read_text(encoding="utf-8"), START_SECONDS)
    process.kill()
    process.wait()
    assert not (base / "state" / "seeded.json").exists()
    started = launch(base / "state", free_port())
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.process.wait()


def test_one_life_of_an_instance(running: Started, base: Path) -> None:
    """Ready, refusals beside it, killed hard, warm again, stopped by Ctrl-C: one story, one cold start."""
    content = running.content
    assert set(content) == {"url", "graphql", "pids", "accounts"}
    assert set(content["pids"]) == {"launcher", "postgresql", "queue", "web", "worker", "relay"}
    assert {"account", "name", "tenant", "kind", "role"} <= set(content["accounts"][0])
    assert json.loads(running.get("/healthz"))["status"] == "ok"
    page = running.get("/")
    assert "<script" not in page
    assert content["accounts"][0]["account"] in page
    assert "/graphql" in page

    port = content["url"].rpartition(":")[2]
    said = refused("--data", str(running.state), "--port", str(free_port()))
    assert "in use by process" in said
    said = refused("--data", str(base / "other"), "--port", port)
    assert f"port {port}" in said
    assert "--port" in said
    assert running.get("/readyz")

    for name in ("web", "postgresql", "queue"):
        killed = _pids(running)[name]
        os.kill(killed, signal.SIGKILL)
        eventually(lambda name=name, killed=killed: _pids(running)[name] != killed)  # type: ignore[misc]
        eventually(lambda: _answers(running))
    assert running.process.poll() is None

    pids = _pids(running)
    running.process.kill()
    running.process.wait()
    others = [pid for name, pid in pids.items() if name != "launcher"]
    eventually(lambda: not any(alive(pid) for pid in others), 60)

    warm = launch(running.state, int(port))
    assert "warm start" in warm.out.read_text(encoding="utf-8")
    assert warm.content["accounts"] == content["accounts"]
    warm.process.send_signal(signal.SIGINT)
    assert warm.process.wait(90) == 0
    assert not any(alive(pid) for pid in warm.content["pids"].values())
    assert not (warm.state / "run.json").exists()
    assert not warm.state.with_suffix(".ready").exists()
    assert not load({"ANLAN_STATE": str(warm.state)}).runtime_dir.exists()


def _pids(started: Started) -> dict[str, int]:
    found: dict[str, int] = json.loads((started.state / "run.json").read_text(encoding="utf-8"))["pids"]
    return found


def _answers(started: Started) -> bool:
    try:
        return bool(started.get("/readyz"))
    except OSError:
        return False


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    said = refused("--data", str(tmp_path), "--fresh", "--port", str(free_port()))
    assert "not a state folder" in said
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_fresh_removes_what_an_instance_made_and_nothing_else(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for name in ("ANLAN", "keys/db_boot", "pg/18/PG_VERSION", "seeded.json", "mine.txt"):
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).touch()
    up._throw_away(state)
    assert [path.name for path in state.iterdir()] == ["mine.txt"]


def test_fresh_on_a_copied_folder_spares_the_data_of_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.process.SYSTEM_DATA", tmp_path / "system")
    place, original, copied = tmp_path / "system" / "0123", tmp_path / "original", tmp_path / "copied"
    for folder in (place, original, copied):
        folder.mkdir(parents=True)
    (place / "OWNER").write_text(str(original), encoding="utf-8")
    for folder in (original, copied):
        (folder / "ANLAN").touch()
        (folder / "LOCATION").write_text(f"{place}\n", encoding="utf-8")
    up._throw_away(copied)
    assert place.exists()
    up._throw_away(original)
    assert not place.exists()
    assert list(copied.iterdir()) == list(original.iterdir()) == []


@pytest.mark.parametrize("port", ["70000", "-1", "http", "80 80", "²"])
def test_what_is_no_port_is_refused(port: str) -> None:
    answer = subprocess.run(
        command(f"--port={port}"), check=False, capture_output=True, text=True, env=environment(), cwd=ROOT
    )
    assert answer.returncode == 2
    assert "0 to 65535" in answer.stderr


def test_paths_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is a file, not a folder" in refused("--data", str(tmp_path / "file" / "state"))
    said = refused("--data", str(tmp_path / "s"), "--ready-file", str(tmp_path / "none" / "ready"))
    assert "--ready-file" in said
    assert not (tmp_path / "s").exists()
    (tmp_path / "pyproject.toml").touch()
    assert "holds sources" in refused("--data", str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pyproject.toml"]
    parser = argparse.ArgumentParser()
    up.add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--data", ""])


def test_a_stop_is_heeded_before_anything_has_started(tmp_path: Path) -> None:
    """Also where a shell has put the launcher into the background, with SIGINT ignored."""
    state = tmp_path / "state"
    state.mkdir()
    with (state / "lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as the processes of a killed start hold it
        out = tmp_path / "out"
        with out.open("w", encoding="utf-8") as stream:
            process = subprocess.Popen(
                command("--data", str(state), "--port", "0"), stdout=stream, env=environment(), cwd=ROOT,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509 - one system call
            )  # fmt: skip
        eventually(lambda: "… waiting" in out.read_text(encoding="utf-8"), START_SECONDS)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == up.STOPPED_EARLY


def test_a_marker_of_another_cluster_does_not_count_as_seeded(tmp_path: Path) -> None:
    """A state folder that is pointed at another database seeds it."""
    ran: list[tuple[str, ...]] = []

    class Fake:
        def run_once(self, *arguments: str) -> int:
            ran.append(arguments)
            return 0

    settings = load({"ANLAN_STATE": str(tmp_path)})
    for cluster, size in (("one", "s"), ("one", "s"), ("one", "m"), ("one", "s"), ("two", "s")):
        up._seed(Fake(), settings, size, cluster)  # type: ignore[arg-type]
    assert [arguments[-1] for arguments in ran] == ["s", "m", "s"]


def test_production_is_refused(tmp_path: Path) -> None:
    answer = subprocess.run(
        command("--data", str(tmp_path / "s")), check=False, capture_output=True, text=True,
        env={**environment(), "ANLAN_ENV": "production"}, cwd=ROOT,
    )  # fmt: skip
    assert answer.returncode == 1
    assert "production" in answer.stderr


def test_a_full_disk_is_said_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1_000_000))  # type: ignore[attr-defined]
    with pytest.raises(up.UpError, match="1 MB are free"):
        up._refuse_early(load({"ANLAN_STATE": str(tmp_path / "s")}), None)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(("host", "written"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_the_port_that_is_listened_on_stands_in_the_address(host: str, written: str) -> None:
    """Also of an IPv6 host, whose address stands in brackets, and not where an address was set."""
    settings = load({"ANLAN_HOST": host})
    assert up._addressed(settings, 9123).public_url == f"http://{written}:9123"
    given = load({"ANLAN_HOST": host, "ANLAN_PUBLIC_URL": "https://anlan.example"})
    assert (up._addressed(given, 9123).public_url, up._addressed(given, 9123).port) == ("https://anlan.example", 9123)


def test_an_ipv6_host_answers_at_its_address() -> None:
    """What a client reads in the ready file is an address that leads to the socket."""
    with up._listening("::1", 0) as listener:
        settings = up._addressed(load({"ANLAN_HOST": "::1"}), listener.getsockname()[1])
        address = urlsplit(settings.public_url)
        assert address.hostname is not None
        with socket.create_connection((address.hostname, address.port or 0), timeout=10):
            listener.accept()[0].close()


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(up.UpError, match=f"port {port}"), up._listening("127.0.0.1", port):
            pytest.fail("it listened on a taken port")
