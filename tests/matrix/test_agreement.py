"""The typed table and the oracle, each on its own, say the same of every row and actor; neither asks the product."""

import ast
from pathlib import Path

import pytest

from tests.matrix.collect import expected
from tests.matrix.relations import Relations
from tests.matrix.words import RELATIONS
from tests.oracle import Oracle, identity
from tests.world import ACTORS, World

TESTS = Path(__file__).parents[1]
INDEPENDENT = (
    TESTS / "oracle.py",
    TESTS / "expectations.py",
    *(TESTS / "matrix").glob("*.py"),
    *(TESTS / "modules").glob("*/expectations.py"),
)
FORBIDDEN = ("app.api", "app.asgi", "app.cli", "tenants.isolation", "tenants.access", "tenants.gate")
TYPES = expected().types


@pytest.fixture(scope="module")
def oracle(world: World) -> Oracle:
    return Oracle(world)


@pytest.fixture(scope="module")
def relations(world: World) -> Relations:
    return Relations(world)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_table_and_oracle_agree(world: World, oracle: Oracle, relations: Relations, name: str) -> None:
    kind = TYPES[name]
    differing = []
    for actor in ACTORS:
        seen = oracle.visible(kind.table, actor)
        allowed = kind.readers.get(world.kind(actor), frozenset())
        for row in world.tables[kind.table]:
            relation = relations.of(kind.table, row, actor)
            if (relation in allowed) is not (identity(row) in seen):
                differing.append((actor.name, relation, relation in allowed, identity(row)))
    assert differing == []


def test_relations_are_the_known_ones(world: World, relations: Relations) -> None:
    found = {
        relations.of(kind.table, row, actor)
        for kind in TYPES.values()
        for row in world.tables[kind.table]
        for actor in ACTORS
    }
    assert found <= set(RELATIONS)
    assert {word for kind in TYPES.values() for words in kind.readers.values() for word in words} <= set(RELATIONS)


@pytest.mark.parametrize("path", INDEPENDENT, ids=lambda path: str(path.relative_to(TESTS)))
def test_what_judges_the_product_does_not_import_it(path: Path) -> None:
    names = imported(path)
    assert [name for name in names if name.startswith(FORBIDDEN) or name.endswith(".policies")] == []


def imported(path: Path) -> set[str]:
    """Return every module, and every name out of a module, that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found
