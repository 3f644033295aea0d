from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from app.kit.rules import shipped, tables
from app.kit.rules.supervision import FlagRule, flags

ROWS = {table.code: table.rows for table in shipped.tables()}
RULES: list[FlagRule] = [tables.flag_rule(row) for row in ROWS["supervision_flag"]]
CATEGORIES = [row.code for row in ROWS["supervision_category"]]


def held(categories: list[str], employees: int | None, on: date | None = None) -> set[str]:
    return {flag.rule.code for flag in flags(categories, employees, RULES, on) if flag.applies}


def test_every_category_of_a_rule_is_in_the_list() -> None:
    named = {category for rule in RULES for category in rule.categories}
    assert named - {"*"} <= set(CATEGORIES)


def test_article_24_holds_for_a_mine_of_any_size_and_for_others_above_a_hundred() -> None:
    assert "SAFETY_ORG_ANY_SIZE" in held(["COAL"], 3)
    assert held(["TRADE_TEXTILE"], 100) == set()
    assert held(["TRADE_TEXTILE"], 101) == {"SAFETY_ORG_BY_SIZE"}
    assert held([], 101) == {"SAFETY_ORG_BY_SIZE"}


def test_article_27_engineers_and_half_year_drills() -> None:
    assert {"SAFETY_ENGINEER", "HALF_YEAR_DRILL", "HEAD_ASSESSMENT"} <= held(["HAZ_PROD"], 10)
    assert held(["CROWDED"], 10) == {"HALF_YEAR_DRILL", "RESCUE_TEAM", "RESCUE_EQUIPMENT"}
    assert "SAFETY_ENGINEER" not in held(["CONSTRUCTION"], 10)


def test_unknown_number_of_employees_is_unknown_not_no() -> None:
    answers = {flag.rule.code: flag.applies for flag in flags(["TRADE_TEXTILE"], None, RULES)}
    assert answers["SAFETY_ORG_BY_SIZE"] is None
    assert answers["SAFETY_ENGINEER"] is False


def test_a_rule_before_its_first_day_is_left_out() -> None:
    assert "SAFETY_ORG_ANY_SIZE" not in held(["COAL"], 3, date(2021, 8, 31))
    assert "SAFETY_ORG_ANY_SIZE" in held(["COAL"], 3, date(2021, 9, 1))


@given(st.sets(st.sampled_from(CATEGORIES)), st.sampled_from(CATEGORIES), st.integers(0, 500))
def test_one_more_category_takes_no_duty_away(categories: set[str], more: str, employees: int) -> None:
    assert held(sorted(categories), employees) <= held(sorted(categories | {more}), employees)


@given(st.sets(st.sampled_from(CATEGORIES)))
def test_says_which_categories_bring_a_duty(categories: set[str]) -> None:
    for flag in flags(sorted(categories), 1, RULES):
        if "*" not in flag.rule.categories:
            assert set(flag.because) == flag.rule.categories & categories
