"""The lock of a state folder: one living launcher, and none beside what a dead one left."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import held as module
from app.cli.held import HeldError, held
from infra.process import SERVER_ENV, spawn


def test_a_second_launcher_learns_who_holds_it(tmp_path: Path) -> None:
    with held(tmp_path / "state"), pytest.raises(HeldError, match=r"in use by process \d+"), held(tmp_path / "state"):
        pytest.fail("two held it")
    with held(tmp_path / "state"):
        pass


def test_what_a_dead_launcher_left_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with held(tmp_path) as lock:
        child = spawn(["sleep", "600"], log=tmp_path / "log", env=SERVER_ENV, inherit=[lock])
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "lock").write_text(f"{gone.pid} 1", encoding="utf-8")
    monkeypatch.setattr(module, "PREDECESSOR_SECONDS", 0.2)
    with pytest.raises(HeldError, match="killed start"), held(tmp_path):
        pytest.fail("it was held")
    monkeypatch.undo()
    assert "waiting" in capsys.readouterr().out
    child.terminate()
    with held(tmp_path):
        assert child.wait() != 0


def test_a_number_that_was_given_to_somebody_else_is_not_the_launcher(tmp_path: Path) -> None:
    """After a restart of the machine another process may have the launcher's number."""
    with held(tmp_path):
        written = (tmp_path / "lock").read_text(encoding="utf-8")
    pid, _, born = written.partition(" ")
    assert module._born(int(pid)) == born
    assert module._born(1) != born
