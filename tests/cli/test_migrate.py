"""``migrate --check``: a database that is not what the models declare is red, and each difference has its line."""

from dataclasses import replace

import pytest

from app.cli import migrate
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
