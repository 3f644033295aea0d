"""``./anlan``: what it says when the machine lacks something, and that it repairs a half-made environment."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the script and the lock, and nothing installed."""
    for name in ("anlan", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def tools(folder: Path, **scripts: str) -> str:
    """A PATH with the system's plain tools and these scripts instead of every Python."""
    path = folder / "bin"
    path.mkdir()
    for name in ("dirname", "cat", "mkdir", "rm", "mv", "sleep", "sh"):
        found = shutil.which(name)
        assert found
        (path / name).symlink_to(found)
    for name, text in scripts.items():
        script = path / name
        script.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return str(path)


def run(checkout: Path, path: str, **extra: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path, "HOME": str(checkout), **extra}
    return subprocess.run([checkout / "anlan", "--help"], check=False, capture_output=True, text=True, env=environment)


def test_no_python_is_said(checkout: Path) -> None:
    answer = run(checkout, tools(checkout))
    assert answer.returncode == 1
    assert "Python 3.11 or newer is needed" in answer.stderr


def test_an_old_python_is_no_python(checkout: Path) -> None:
    answer = run(checkout, tools(checkout, python3="exit 1"))
    assert "Python 3.11 or newer is needed" in answer.stderr


def test_a_python_without_venv_names_the_package(checkout: Path) -> None:
    script = f'case "$1" in -c) exec {sys.executable} "$@";; *) exit 1;; esac'
    answer = run(checkout, tools(checkout, python3=script))
    assert answer.returncode == 1
    assert "python3-venv" in answer.stderr
    assert not (checkout / ".anlan-install").exists()


def test_dependencies_that_cannot_be_had_leave_no_stamp(checkout: Path) -> None:
    """A folder that looks installed, but whose stamp is missing, is installed again; a failure says so."""
    venv = checkout / ".venv" / "bin"
    venv.mkdir(parents=True)
    fake = venv / "python"
    fake.write_text(f'#!/bin/sh\ncase "$1" in -c) exec {sys.executable} "$@";; *) exit 1;; esac\n', encoding="utf-8")
    fake.chmod(0o755)
    answer = run(checkout, tools(checkout, python3=f'exec {sys.executable} "$@"'))
    assert answer.returncode == 1
    assert "could not be installed" in answer.stderr
    assert not (checkout / ".venv" / ".anlan-stamp").exists()


def test_a_lock_of_a_dead_process_is_taken_over(checkout: Path) -> None:
    folder = checkout / ".anlan-install"
    folder.mkdir()
    gone = subprocess.Popen(["true"])
    gone.wait()
    (folder / "pid").write_text(f"{gone.pid}\n", encoding="utf-8")
    script = f'case "$1" in -c) exec {sys.executable} "$@";; *) exit 1;; esac'
    answer = run(checkout, tools(checkout, python3=script))
    assert "python3-venv" in answer.stderr
    assert not folder.exists()


def test_the_script_is_executable_and_plain_sh() -> None:
    script = ROOT / "anlan"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
