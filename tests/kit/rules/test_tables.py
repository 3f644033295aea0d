import pytest

from app.kit.rules import shipped, tables
from app.kit.rules.tables import RowError, TableRow

GOOD: dict[str, dict[str, str]] = {
    "statutory_deadline": {
        "amount": "20",
        "unit": "day",
        "day_kind": "working",
        "day_kind_mark": "seen",
        "direction": "after",
    },
    "enterprise_size_class": {
        "indicator": "从业人员",
        "unit": "人",
        "large_min": "3",
        "medium_min": "2",
        "small_min": "1",
    },
    "supervision_flag": {"categories": "COAL;METAL", "employees_above": ""},
    "completeness_weight": {"weight": "2.5", "categories": ""},
    "size_industry_map": {},
}


def test_there_is_a_good_row_of_every_table_that_is_read() -> None:
    assert set(GOOD) == set(tables.READERS)
    assert set(GOOD) <= {table.code for table in shipped.tables()}
    for code, attrs in GOOD.items():
        tables.READERS[code](TableRow("X", "名", attrs=attrs))


@pytest.mark.parametrize(
    ("table", "column", "cell"),
    [
        ("statutory_deadline", "amount", "0"),
        ("statutory_deadline", "amount", "two"),
        ("statutory_deadline", "unit", "week"),
        ("statutory_deadline", "day_kind", ""),
        ("statutory_deadline", "day_kind", "clock"),
        ("statutory_deadline", "unit", "month"),
        ("statutory_deadline", "direction", "during"),
        ("statutory_deadline", "day_kind_mark", "sure"),
        ("statutory_deadline", "extension_amount", "-1"),
        ("enterprise_size_class", "large_min", "many"),
        ("enterprise_size_class", "large_min", "NaN"),
        ("enterprise_size_class", "medium_min", "9"),
        ("enterprise_size_class", "indicator", ""),
        ("supervision_flag", "categories", ""),
        ("supervision_flag", "employees_above", "-3"),
        ("completeness_weight", "weight", "0"),
    ],
)
def test_names_the_cell_that_cannot_be_read(table: str, column: str, cell: str) -> None:
    attrs = GOOD[table] | {column: cell}
    with pytest.raises(RowError) as raised:
        tables.READERS[table](TableRow("X", "名", attrs=attrs))
    assert raised.value.column == column


def test_a_mapping_needs_its_industry() -> None:
    with pytest.raises(RowError):
        tables.industry_mapping(TableRow("C", ""))
