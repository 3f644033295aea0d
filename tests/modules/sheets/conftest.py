"""The real tree with its reference data, and a folder for files."""

from pathlib import Path

import pytest

from app.registry import load_ledgers
from tests.conftest import Clone
from tests.factories.sheets import use
from tests.modules.enterprises.conftest import tree_copy, tree_template

__all__ = ["place", "tree_copy", "tree_template"]
load_ledgers()


@pytest.fixture
def place(tree_copy: Clone, tmp_path: Path) -> Clone:
    """A database of one's own whose files lie in a folder of the test."""
    use(tree_copy, tmp_path)
    return tree_copy
