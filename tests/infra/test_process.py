"""Starting servers: who they are, what they inherit, what they can reach, and that they end with the launcher."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra import process
from infra.process import LaunchError, ServerUser, prepare_runtime, public_copy, reachable, spawn, tail
from tests.infra.launched import AS_ROOT, ROOT, alive, eventually

STRANGER = ServerUser("stranger", 54321, 54321)
only_root = pytest.mark.skipif(not AS_ROOT, reason="only root changes to another user")


def test_a_log_keeps_the_start_before(tmp_path: Path) -> None:
    log = tmp_path / "log" / "part.log"
    for word in ("first", "second"):
        spawn(["sh", "-c", f"echo {word}; echo fault >&2"], log=log, env=process.SERVER_ENV).wait()
    assert log.read_text(encoding="utf-8") == "second\nfault\n"
    assert (tmp_path / "log" / "part.log.1").read_text(encoding="utf-8") == "first\nfault\n"
    assert tail(log, 1) == "fault"
    assert tail(tmp_path / "none") == "(no log)"


def test_a_child_has_its_own_session_and_only_the_given_environment(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    child = spawn(
        [sys.executable, "-c", "import os; print(os.getsid(0), *sorted(os.environ))"], log=log, env={"A": "1"}
    )
    child.wait()
    session, *names = log.read_text(encoding="utf-8").split()
    assert int(session) == child.pid
    assert set(names) <= {"A", "LC_CTYPE"}


def test_a_lock_holds_as_long_as_a_child_that_inherits_it(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        child = spawn(["sleep", "60"], log=tmp_path / "log", env=process.SERVER_ENV, inherit=[held.fileno()])
    with (tmp_path / "lock").open("w") as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        child.kill()
        child.wait()
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_children_end_with_a_launcher_that_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    code = (
        "import signal; from pathlib import Path; from infra.process import SERVER_ENV, spawn\n"
        f"child = spawn(['sleep', '600'], log=Path({str(tmp_path)!r}, 'log'), env=SERVER_ENV)\n"
        "print(child.pid, flush=True); signal.pause()\n"
    )
    launcher = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert launcher.stdout is not None
    pid = int(launcher.stdout.readline())
    launcher.send_signal(number)
    launcher.communicate()
    eventually(lambda: not alive(pid))


@only_root
def test_a_child_becomes_the_servers_user_and_still_ends_with_its_launcher(tmp_path: Path) -> None:
    """The kernel forgets the parent-death signal when a process changes its user: it is asked for afterwards."""
    code = (
        "import signal; from pathlib import Path; from infra.process import SERVER_ENV, server_user, spawn\n"
        f"child = spawn(['sleep', '600'], log=Path({str(tmp_path)!r}, 'log'), env=SERVER_ENV, user=server_user())\n"
        "print(child.pid, flush=True); signal.pause()\n"
    )
    launcher = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert launcher.stdout is not None
    pid = int(launcher.stdout.readline())
    assert Path(f"/proc/{pid}").stat().st_uid != 0
    launcher.kill()
    launcher.communicate()
    eventually(lambda: not alive(pid))


def test_what_a_user_can_reach(tmp_path: Path) -> None:
    inner = tmp_path / "open" / "closed" / "file"
    inner.parent.mkdir(parents=True)
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            assert not reachable(inner, STRANGER)
    assert reachable(inner, None)
    assert reachable(Path("/usr/bin/env"), STRANGER)
    assert reachable(Path("/no/such/folder"), STRANGER)


def test_programs_that_a_user_cannot_reach_are_copied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SYSTEM_DATA", tmp_path / "system")
    package, libs = tmp_path / "wheel" / "package", tmp_path / "wheel" / "package.libs"
    (package / "bin").mkdir(parents=True)
    libs.mkdir()
    program, library = package / "bin" / "program", libs / "library.so"
    for path, mode in ((program, 0o700), (library, 0o600)):
        path.write_bytes(b"x")
        path.chmod(mode)
    (package / "link").symlink_to("bin/program")
    package.parent.chmod(0o700)

    assert public_copy([package, libs], program, None) == [package, libs]
    umask = os.umask(0o077)
    try:
        copies = public_copy([package, libs], program, STRANGER)
        assert public_copy([package, libs], program, STRANGER) == copies
    finally:
        os.umask(umask)
    assert [copy.name for copy in copies] == ["package", "package.libs"]
    assert copies[0].parent == copies[1].parent
    assert (copies[0] / "bin" / "program").stat().st_mode & 0o777 == 0o755
    assert (copies[1] / "library.so").stat().st_mode & 0o777 == 0o644
    assert (copies[0] / "link").is_symlink()
    for folder in (tmp_path / "system", copies[0].parent, copies[0], copies[0] / "bin"):
        assert folder.stat().st_mode & 0o777 == 0o755
    assert package.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (tmp_path / "system").iterdir()] == [copies[0].parent.name]


@only_root
def test_a_folder_for_sockets_that_somebody_else_made_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "sockets"
    folder.mkdir()
    os.chown(folder, STRANGER.uid, STRANGER.gid)
    with pytest.raises(LaunchError, match="belongs to another user"):
        prepare_runtime(folder, None)
    prepare_runtime(folder, STRANGER)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_link_is_no_folder_for_sockets(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "sockets").symlink_to(tmp_path / "real")
    with pytest.raises(LaunchError, match="belongs to another user"):
        prepare_runtime(tmp_path / "sockets", None)
