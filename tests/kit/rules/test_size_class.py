from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.rules import shipped, tables
from app.kit.rules.size_class import CLASSES, SizeBound, classify, industry_of

ROWS = {table.code: table.rows for table in shipped.tables()}
BOUNDS: list[SizeBound] = [tables.size_bound(row) for row in ROWS["enterprise_size_class"]]
MAPPING = dict(tables.industry_mapping(row) for row in ROWS["size_industry_map"])
INDUSTRIES = sorted({bound.industry_zh for bound in BOUNDS})


def size(people: int, revenue: str) -> str | None:
    return classify("工业", {"从业人员": Decimal(people), "营业收入": Decimal(revenue)}, BOUNDS).size_class


@pytest.mark.parametrize(
    ("people", "revenue", "expected"),
    [
        (1000, "40000", "LARGE"),
        (999, "40000", "MEDIUM"),
        (1000, "39999.99", "MEDIUM"),
        (300, "2000", "MEDIUM"),
        (5000, "1999", "SMALL"),
        (20, "300", "SMALL"),
        (19, "1000000", "MICRO"),
        (20, "299.99", "MICRO"),
        (0, "0", "MICRO"),
    ],
)
def test_industry_by_the_handbooks_examples(people: int, revenue: str, expected: str) -> None:
    assert size(people, revenue) == expected


@given(st.sampled_from(INDUSTRIES), st.lists(st.integers(0, 300_000), min_size=3, max_size=3), st.integers(0, 2))
def test_a_higher_value_never_lowers_the_class(industry: str, numbers: list[int], which: int) -> None:
    indicators = ("从业人员", "营业收入", "资产总额")
    values = dict(zip(indicators, map(Decimal, numbers), strict=True))
    before = classify(industry, values, BOUNDS).size_class
    values[indicators[which]] *= 2
    after = classify(industry, values, BOUNDS).size_class
    assert before is not None
    assert after is not None
    assert CLASSES.index(after) <= CLASSES.index(before)


@given(st.sampled_from(INDUSTRIES), st.integers(0, 300_000))
def test_a_class_holds_exactly_when_every_indicator_reaches_its_bound(industry: str, number: int) -> None:
    values: dict[str, Decimal | None] = dict.fromkeys(("从业人员", "营业收入", "资产总额"), Decimal(number))
    answer = classify(industry, values, BOUNDS)
    for name in CLASSES[:-1]:
        tests = [test for test in answer.tests if test.size_class == name]
        assert not tests or all(test.passed for test in tests) is (answer.size_class == name)


def test_names_what_is_missing() -> None:
    answer = classify("工业", {"从业人员": Decimal(20), "营业收入": None}, BOUNDS)
    assert (answer.size_class, answer.missing) == (None, ("营业收入",))
    assert classify("没有的行业", {}, BOUNDS).size_class is None


def test_every_mapped_industry_has_bounds_and_every_bound_a_mapping() -> None:
    assert set(MAPPING.values()) == set(INDUSTRIES)


@pytest.mark.parametrize(
    ("code", "section", "expected"),
    [
        ("2614", "C", "工业"),
        ("4710", "E", "建筑业"),
        ("5191", "F", "批发业"),
        ("5219", "F", "零售业"),
        ("7010", "K", "房地产开发经营"),
        ("7020", "K", "物业管理"),
        ("7030", "K", None),
        ("5310", "G", None),
        ("8310", "P", None),
    ],
)
def test_industry_of_a_code(code: str, section: str, expected: str | None) -> None:
    assert industry_of(code, section, MAPPING) == expected
