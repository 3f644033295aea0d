"""The data that ship are what their README says."""

from collections import Counter
from pathlib import Path

import pytest

import app
from app.kit.rules import shipped, tables
from app.kit.rules.datafiles import Mark, day_or_none, mark_of, read_rows
from app.kit.rules.deadlines import Counting, Direction, Unit

DIVISIONS = {item.code: item for item in shipped.divisions()}
TABLES = {table.code: table for table in shipped.tables()}


def test_counts_of_divisions() -> None:
    counts = Counter((item.code[:2], item.level) for item in DIVISIONS.values())
    assert (counts["61", "CITY"], counts["61", "COUNTY"], counts["61", "TOWNSHIP"]) == (10, 107, 1335)
    assert (counts["32", "CITY"], counts["32", "COUNTY"], counts["32", "TOWNSHIP"]) == (13, 95, 1477)
    assert len(DIVISIONS) == sum(1 for _ in shipped.divisions()) == 3039


def test_every_division_lies_in_one_of_the_level_above() -> None:
    above = {"PROVINCE": None, "CITY": "PROVINCE", "COUNTY": "CITY", "TOWNSHIP": "COUNTY"}
    for item in DIVISIONS.values():
        parent = DIVISIONS[item.parent_code].level if item.parent_code else None
        assert parent == above[item.level], item


def test_what_is_left_out_is_counted_and_named() -> None:
    assert shipped.skipped_divisions() == {"COUNTY": 9, "TOWNSHIP": 10}
    left = [row["code"] for row in read_rows("regions/divisions_unplaced.csv")]
    assert not set(left) & set(DIVISIONS)
    placed = list(read_rows("regions/zone_townships.csv"))
    assert len(placed) == 38
    for row in placed:
        assert DIVISIONS[row["code"]].parent_code == row["county_code"]
        assert row["zone_code"] in left


def test_every_county_has_townships() -> None:
    parents = {item.parent_code for item in DIVISIONS.values() if item.level == "TOWNSHIP"}
    assert parents == {item.code for item in DIVISIONS.values() if item.level == "COUNTY"}


def test_a_named_county_of_the_handbook() -> None:
    assert DIVISIONS["320724"].name == "灌南县"


def test_parks_have_a_county_only_with_a_source() -> None:
    parks = list(shipped.parks())
    assert len(parks) == 23
    placed = [park for park in parks if park.county_codes]
    assert len(placed) == 14
    for park in parks:
        assert bool(park.county_source) is bool(park.county_codes)
        assert all(DIVISIONS[code].level == "COUNTY" for code in park.county_codes)


def test_industries_are_complete_trees() -> None:
    rows = {row.code: row for row in TABLES["gbt4754"].rows}
    assert Counter(row.text("level") for row in rows.values()) == {
        "section": 20,
        "division": 97,
        "group": 473,
        "class": 1381,
    }
    for row in rows.values():
        assert (row.parent_code is None) is (row.text("level") == "section")
        assert row.parent_code is None or row.parent_code in rows


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.code)
def test_rows_of_a_table_are_keyed_named_marked_and_readable(table: shipped.ShippedTable) -> None:
    codes = [row.code for row in table.rows]
    assert codes
    assert len(set(codes)) == len(codes)
    reader = tables.READERS.get(table.code)
    for row in table.rows:
        assert row.name_zh
        assert row.mark is Mark.UNVERIFIED or row.source
        if reader:
            reader(row)


def test_lengths_of_the_tables_that_the_handbook_counts() -> None:
    counts = {code: len(table.rows) for code, table in TABLES.items()}
    assert counts["statutory_deadline"] == 51
    assert counts["major_hazard_quantity"] == 85
    assert counts["accident_type"] == 20
    assert counts["key_process"] == 18
    assert counts["licence_type"] == 12
    assert counts["major_hazard_criterion_chemical"] == 20


def test_time_limits_of_the_law() -> None:
    rules = {row.code: tables.deadline_rule(row) for row in TABLES["statutory_deadline"].rows}
    decide = rules["PERMIT_DECIDE"]
    assert (decide.span.amount, decide.span.unit, decide.span.counting) == (20, Unit.DAY, Counting.WORKING)
    assert decide.extension is not None
    assert (decide.extension.amount, decide.pausable, decide.mark) == (10, True, Mark.VERIFIED)
    renewal = rules["PERMIT_RENEWAL_APPLY"]
    assert (renewal.direction, renewal.counting_mark) == (Direction.BEFORE, Mark.UNVERIFIED)
    assert rules["ACCIDENT_UNIT_REPORT"].span.counting is Counting.CLOCK
    for rule in rules.values():
        assert rule.legal_basis
        assert (rule.valid_from is None) is (rule.mark is not Mark.VERIFIED)


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("verified: 行政处罚法 9", Mark.VERIFIED),
        ("seen: LawRefBook/Laws", Mark.SEEN),
        ("seen in three public scripts", Mark.SEEN),
        ("decision seen: 条例; validity unverified, keep configurable", Mark.UNVERIFIED),
        ("", Mark.UNVERIFIED),
    ],
)
def test_the_weaker_mark_holds(text: str, mark: Mark) -> None:
    assert mark_of(text) is mark


def test_every_file_is_named_in_the_readme() -> None:
    folder = Path(app.__file__).parent / "data"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name not in ("tables", "licences", "data"):
            assert path.name in readme


def test_a_ragged_row_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("a,b\n1\n", encoding="utf-8")
    monkeypatch.setattr("app.kit.rules.datafiles.files", lambda _: tmp_path)
    with pytest.raises(ValueError, match="line 2: 1 cells"):
        list(read_rows("x.csv"))
    assert day_or_none("") is None
