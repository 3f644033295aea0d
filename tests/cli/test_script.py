"""``./anlan``: what it says when the machine lacks something, and that it repairs a half-made environment."""

import fcntl
import hashlib
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
    for name in ("dirname", "cat", "mkdir", "rm", "mv", "chmod", "sh"):
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
    assert not (checkout / ".venv").exists()


def test_dependencies_that_cannot_be_had_leave_no_stamp(checkout: Path) -> None:
    """An environment without its stamp is installed again, once more in a new one, and then the failure is said."""
    fake = f"""case "$1 $2" in
        -c*) exec {sys.executable} "$@";;
        "-m venv") mkdir -p "$3/bin" && cat "$0" >"$3/bin/python" && chmod +x "$3/bin/python";;
        *) echo "pip cannot: $*" >&2; exit 1;;
    esac"""
    venv = checkout / ".venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").write_text(f"#!/bin/sh\n{fake}\n", encoding="utf-8")
    (venv / "python").chmod(0o755)
    answer = run(checkout, tools(checkout, python3=fake))
    assert answer.returncode == 1
    assert answer.stderr.count("pip cannot: -m pip install --quiet --require-hashes") == 2
    assert "could not be installed" in answer.stderr
    assert not (checkout / ".venv" / ".anlan-stamp").exists()


NO_VENV = f'case "$1" in -c) exec {sys.executable} "$@";; *) exit 1;; esac'
"""A Python that runs programs and makes no environments."""


def test_a_second_first_run_waits_for_the_one_that_installs(checkout: Path) -> None:
    path = tools(checkout, python3=NO_VENV)
    with (checkout / ".venv.lock").open("a") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = subprocess.Popen(
            [checkout / "anlan", "--help"], stderr=subprocess.PIPE, text=True, env={"PATH": path, "HOME": str(checkout)}
        )
        assert second.stderr is not None
        assert "another start is installing" in second.stderr.readline()
        assert second.poll() is None
    assert "python3-venv" in second.communicate(timeout=60)[1]


def test_a_lock_file_that_a_killed_run_left_holds_nobody_up(checkout: Path) -> None:
    (checkout / ".venv.lock").touch()
    assert "python3-venv" in run(checkout, tools(checkout, python3=NO_VENV)).stderr


def test_an_environment_without_pip_is_made_anew(checkout: Path) -> None:
    """As a run leaves it that was killed while it made the environment."""
    folder = checkout / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (folder / "python").chmod(0o755)
    answer = run(checkout, tools(checkout, python3=NO_VENV))
    assert "making the virtual environment" in answer.stderr
    assert not (folder / "python").exists()


def test_an_environment_in_order_is_used_as_it_is(checkout: Path) -> None:
    folder = checkout / ".venv" / "bin"
    folder.mkdir(parents=True)
    script = f'#!/bin/sh\ncase "$1" in -c) exec {sys.executable} "$@";; *) echo "$PYTHONPATH|$PWD|$*";; esac\n'
    (folder / "python").write_text(script, encoding="utf-8")
    (folder / "python").chmod(0o755)
    digest = hashlib.sha256((checkout / "requirements.lock").read_bytes()).hexdigest()
    version = ".".join(str(part) for part in sys.version_info[:2])
    (checkout / ".venv" / ".anlan-stamp").write_text(f"{digest} {version}\n", encoding="utf-8")
    answer = subprocess.run(
        [checkout / "anlan", "demo", "a b"], check=False, capture_output=True, text=True, cwd="/",
        env={"PATH": tools(checkout), "HOME": str(checkout)},
    )  # fmt: skip
    assert answer.stdout == f"{checkout}|/|-m app demo a b\n"
    assert answer.stderr == ""


def test_the_script_is_executable_and_plain_sh() -> None:
    script = ROOT / "anlan"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
