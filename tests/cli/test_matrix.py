"""Verb matrix: what it prints, and when it is not content."""

import argparse
import copy
import json
from pathlib import Path
from typing import Any

import pytest

from app.cli import matrix
from infra.settings import Settings, load

REPORT: dict[str, Any] = {
    "cells": 4,
    "tested": 4,
    "empty": 0,
    "failed": 0,
    "byKind": {
        "COUNTY": {
            "cells": 4,
            "tested": 4,
            "empty": 0,
            "failed": 0,
            "types": {"Site": {"cells": 4, "tested": 4, "empty": 0, "failed": 0, "reads": ["child"]}},
        }
    },
    "requests": 2,
    "holes": [],
    "failures": [],
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"ANLAN_STATE": str(tmp_path), "ANLAN_ENV": "test"})


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    matrix.add_arguments(parser)
    return parser.parse_args(words)


def run(monkeypatch: pytest.MonkeyPatch, settings: Settings, report: dict[str, Any], *words: str) -> int:
    monkeypatch.setattr(matrix, "_throw_away", lambda _: report)
    return matrix.run(parsed(*words), settings)


def test_the_table_names_kinds_types_and_relations(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, settings, REPORT) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("COUNTY: 4 cells")
    assert "Site" in lines[1]
    assert lines[1].endswith("reads: child")
    assert lines[-1] == "4 cells, 4 tested, 0 empty, 0 failed"


def test_json_has_the_agreed_shape(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, settings, REPORT, "--json") == 0
    assert list(json.loads(capsys.readouterr().out)) == ["cells", "tested", "empty", "failed", "byKind"]


@pytest.mark.parametrize(
    "more", [{"empty": 1, "holes": ["field Site.secret"]}, {"failures": ["Site.name county_1"]}, {"tested": 0}]
)
def test_a_hole_is_no_success(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, capsys: pytest.CaptureFixture[str], more: dict[str, Any]
) -> None:
    assert run(monkeypatch, settings, copy.deepcopy(REPORT) | more) == 1
    said = capsys.readouterr().out
    assert all(word in said for words in more.values() if isinstance(words, list) for word in words)


def test_without_an_instance_it_says_what_to_do(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert matrix.run(parsed("--data", str(tmp_path)), settings) == 1
    assert "./anlan up" in capsys.readouterr().err
    assert matrix.run(parsed("--url", "http://127.0.0.1:1"), settings) == 1
    assert "no demo accounts" in capsys.readouterr().err
