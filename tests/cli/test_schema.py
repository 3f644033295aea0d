"""Trusted operations: each is valid, each may be sent, and one that is not valid is named."""

from pathlib import Path

import pytest

from app.api import trusted
from app.api.contract import contract_folder
from app.api.limits import load_limits
from app.api.schema import Api
from app.asgi import load_api
from app.cli import schema
from tests.api.test_limits import measure

OPERATIONS = sorted((contract_folder() / "operations").glob("*/*.graphql"))


@pytest.fixture(scope="module")
def api() -> Api:
    return load_api()


@pytest.mark.parametrize("path", OPERATIONS, ids=lambda path: path.stem)
def test_an_operation_may_be_sent_with_its_defaults(api: Api, path: Path) -> None:
    assert measure(api, path.read_text(encoding="utf-8")).price({}) <= load_limits().anonymous


def test_there_are_operations_and_all_are_valid() -> None:
    assert OPERATIONS
    assert schema.faults() == []


@pytest.mark.parametrize(
    ("text", "words"),
    [("query Q { viewer { nobody } }", "nobody"), ("query Q { viewer {", "Syntax Error")],
    ids=["unknown field", "no document"],
)
def test_an_invalid_operation_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str) -> None:
    folder = tmp_path / "operations" / "toys"
    folder.mkdir(parents=True)
    (folder / "bad.graphql").write_text(text, encoding="utf-8")
    found = trusted.load_documents(tmp_path)
    monkeypatch.setattr(schema, "load_documents", lambda: found)
    (line,) = schema.faults()
    assert line.startswith("graphql/operations/toys/bad.graphql: ")
    assert words in line
