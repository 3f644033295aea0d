"""``new-slice`` writes a slice that passes every gate as it stands, matrix included."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT = shutil.ignore_patterns(
    ".git", ".venv", ".anlan", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"
)
TESTS = (
    "tests/modules/permits",
    "tests/test_layout.py",
    "tests/kit/test_errors.py",
    "tests/tenants/test_gate.py",
    "tests/tenants/test_rls.py",
    "tests/api/test_matrix.py",
    "tests/api/test_foreign_ids.py",
)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANLAN_", "PYTEST_"))}
    environment |= {"PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, *arguments], check=False, cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The tree as a newcomer has it."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT, folder, ignore=LEFT)
    return folder


@pytest.mark.full
def test_a_new_slice_passes_every_gate(copy: Path) -> None:
    made = run(copy, "-m", "app", "new-slice", "permits", "--title", "作业票 Permits")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "permits" in (copy / "app" / "registry.py").read_text(encoding="utf-8")
    assert list((copy / "app" / "migrations" / "versions").glob("[0-9]*_permits.py"))
    assert "permitAdd" in (copy / "graphql" / "schema.graphql").read_text(encoding="utf-8")
    gates = run(copy, "-m", "app", "check")
    assert gates.returncode == 0, gates.stdout[-4000:]
    differences = run(copy, "-m", "app", "migrate", "--throw-away", "--check")
    assert differences.returncode == 0, differences.stdout + differences.stderr
    tests = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not full", *TESTS)
    assert tests.returncode == 0, tests.stdout[-4000:]


@pytest.mark.parametrize("name", ["Permits", "permit", "1permits", "enterprises", "class", "ifs"])
def test_a_name_that_does_not_do_is_said_and_nothing_is_written(copy: Path, name: str) -> None:
    before = sorted(str(path) for path in (copy / "app" / "modules").rglob("*.py"))
    made = run(copy, "-m", "app", "new-slice", name)
    assert made.returncode == 2
    assert name in made.stderr
    assert sorted(str(path) for path in (copy / "app" / "modules").rglob("*.py")) == before
