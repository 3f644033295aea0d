"""Every use case of files and registrations asks its transition table."""

import pytest

from tests.conftest import Clone
from tests.modules.enterprises.uses import CASES
from tests.modules.used import Case, check


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_without_its_entry_nothing_is_done(tree_db: Clone, monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    await check(case, tree_db, monkeypatch)
