from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.rules import shipped, tables
from app.kit.rules.completeness import FieldWeight, score

ROWS = {table.code: table.rows for table in shipped.tables()}
WEIGHTS: list[FieldWeight] = [tables.field_weight(row) for row in ROWS["completeness_weight"]]
CODES = [weight.code for weight in WEIGHTS]


def test_nothing_is_zero_and_all_is_a_hundred() -> None:
    assert score({}, [], WEIGHTS).percent == 0
    assert score(dict.fromkeys(CODES, "x"), ["HAZ_PROD"], WEIGHTS).percent == 100
    assert score({}, [], []).percent == 100


def test_a_category_asks_for_more() -> None:
    full = {code: "x" for code in CODES if code not in ("safety_licence", "liability_insurance")}
    assert score(full, ["HAZ_USE"], WEIGHTS).percent == 100
    asked = score(full, ["HAZ_PROD"], WEIGHTS)
    assert asked.percent < 100
    assert asked.missing == ("safety_licence", "liability_insurance")


@pytest.mark.parametrize(
    ("value", "filled"),
    [(None, False), ("", False), (" \u3000", False), ([], False), (0, True), (False, True), ("x", True)],
)
def test_what_counts_as_filled(value: object, filled: bool) -> None:  # noqa: FBT001 - a case of the table
    weights = [FieldWeight("a", Decimal(1))]
    assert score({"a": value}, [], weights).percent == (100 if filled else 0)


@given(st.sets(st.sampled_from(CODES)), st.sampled_from(CODES))
def test_one_more_field_never_lowers_the_score(have: set[str], more: str) -> None:
    before, after = (score(dict.fromkeys(codes, 1), ["HAZ_PROD"], WEIGHTS) for codes in (have, have | {more}))
    assert before.percent <= after.percent
    assert set(before.filled) | set(before.missing) == set(after.filled) | set(after.missing)
    assert (after.percent == 100) is (not after.missing)
