"""``migrate --check``: a database that is not what the models declare is red, and each difference has its line."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli import migrate
from app.cli.check import ROOT
from infra.wiring import db_address
from tests.conftest import Clone


async def check(clone: Clone) -> int:
    address = replace(db_address(clone.settings), database=clone.name)
    return await migrate.check(clone.settings, address)


async def test_a_database_as_the_models_declare_it(fresh_db: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    assert await check(fresh_db) == 0
    assert "✓" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("DROP POLICY lv_county ON app.tenant", "tenant: policy lv_county is missing"),
        ("GRANT DELETE ON app.event TO @_county", "event: @_county must never have DELETE"),
        ("GRANT EXECUTE ON FUNCTION app.job_done TO @_public", "function app.job_done: callers are"),
        ("ALTER TABLE app.tenant ADD COLUMN stray int", "remove_column"),
        ("CREATE TABLE app.stray (id int)", "table stray: exists, but no model declares it"),
    ],
)
async def test_each_difference_is_said(
    fresh_db: Clone, capsys: pytest.CaptureFixture[str], broken: str, line: str
) -> None:
    await fresh_db.admin.execute(broken.replace("@", fresh_db.prefix))
    assert await check(fresh_db) == 1
    said = capsys.readouterr()
    assert line.replace("@", fresh_db.prefix) in said.err
    assert "✗" in said.err
    assert "Traceback" not in said.out + said.err


def test_without_a_server_it_says_what_to_do(tmp_path: Path) -> None:
    answer = command(tmp_path, "--new", "more")
    assert answer.returncode == 1
    assert "--throw-away" in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    "flags", [("--new", ""), ("--new", "Ünsinn"), ("--rev", "x", "--new", "more"), ("--new", "../x")]
)
def test_names_that_do_not_do_are_refused(tmp_path: Path, flags: tuple[str, ...]) -> None:
    before = sorted(migrate.VERSIONS.iterdir())
    assert command(tmp_path, *flags).returncode == 2
    assert sorted(migrate.VERSIONS.iterdir()) == before


def command(state: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    # Nothing of the run's own settings: with them it would migrate the server that the run uses.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANLAN_")}
    environment = {**kept, "ANLAN_STATE": str(state), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "app", "migrate", *flags],
        check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
