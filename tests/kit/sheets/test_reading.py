"""Files of strangers: each wrong one gets one clear answer, none costs the worker its memory; each spelling is read."""

import io
import zipfile
from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any

import pytest

from app.kit.errors import LOCALES, Fault
from app.kit.sheets import reading
from app.kit.sheets.cells import Words, letters
from app.kit.sheets.ledger import Cell, Code, Column, Ledger
from tests.factories.sheets import workbook

LISTED = (Code("A1", "甲类", "Class A"), Code("B2", "乙类", "Class B"))
LEDGER = Ledger(
    "toys",
    "玩具台账",
    "Toys",
    "toy",
    (
        Column("code", "编号", "Code", Cell.CODE, required=True, limit=20),
        Column("name", "名称", "Name", required=True, limit=10),
        Column("count", "数量", "Count", Cell.INTEGER),
        Column("amount", "金额", "Amount", Cell.DECIMAL),
        Column("made_on", "生产日期", "Made on", Cell.DATE),
        Column("kind", "类别", "Kind", Cell.CHOICE, codes=LISTED),
        Column("marks", "标记", "Marks", Cell.CHOICES, codes=LISTED),
        Column("good", "合格", "Good", Cell.BOOLEAN),
    ),
)
HEAD = ("编号", "名称", "数量", "金额", "生产日期", "类别", "标记", "合格")
WORDS = {"kind": Words(LISTED), "marks": Words(LISTED)}
GOOD = {"编号": "T1", "名称": "积木"}


async def read(content: bytes) -> reading.Sheet:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 1 << 20):
            yield content[start : start + (1 << 20)]

    return await reading.read(LEDGER, chunks(), WORDS)


async def refused(content: bytes) -> Fault:
    with pytest.raises(Fault) as fault:
        await read(content)
    for locale in LOCALES:
        assert fault.value.message(locale)
    return fault.value


async def one(**row: Any) -> tuple[dict[str, Any], list[str]]:
    """The values of one row, and its faults as ``cell code``."""
    sheet = await read(workbook([GOOD | row], head=HEAD))
    found = sheet.rows[0]
    for fault in found.faults:
        assert all(fault.message(locale) for locale in LOCALES)
    return found.values, [f"{sheet.cell(fault.field[0], found.number)} {fault.code}" for fault in found.faults]


@pytest.mark.parametrize(
    ("row", "name", "value"),
    [
        ({"编号": " ａｂ１２ "}, "code", "ab12"),
        ({"编号": 12345}, "code", "12345"),
        ({"数量": "１，２３４"}, "count", 1234),
        ({"数量": "1,234"}, "count", 1234),
        ({"数量": 7.0}, "count", 7),
        ({"数量": "-3"}, "count", -3),
        ({"金额": 0.1}, "amount", "0.1"),
        ({"金额": "１２．５０"}, "amount", "12.50"),
        ({"金额": 1e-7}, "amount", "0.0000001"),
        ({"生产日期": date(2026, 3, 1)}, "made_on", "2026-03-01"),
        ({"生产日期": "2026-3-1"}, "made_on", "2026-03-01"),
        ({"生产日期": "2026/03/01"}, "made_on", "2026-03-01"),
        ({"生产日期": "2026.3.1"}, "made_on", "2026-03-01"),
        ({"生产日期": "２０２６年３月１日"}, "made_on", "2026-03-01"),
        ({"生产日期": "20260301"}, "made_on", "2026-03-01"),
        ({"生产日期": 20260301}, "made_on", "2026-03-01"),
        ({"生产日期": "2026-03-01 00:00:00"}, "made_on", "2026-03-01"),
        ({"类别": "乙类"}, "kind", "B2"),
        ({"类别": "b2 乙类"}, "kind", "B2"),
        ({"类别": "class a"}, "kind", "A1"),
        ({"类别": "A1 旧名称"}, "kind", "A1"),
        ({"标记": "甲类、B2，甲类"}, "marks", ["A1", "B2"]),
        ({"合格": "否"}, "good", False),
        ({"合格": "Yes"}, "good", True),
        ({"名称": "  积木\n二 "}, "name", "积木\n二"),
    ],
)
async def test_each_spelling_is_read(row: dict[str, Any], name: str, value: Any) -> None:
    values, faults = await one(**row)
    assert faults == []
    assert values[name] == value
    assert type(values[name]) is type(value)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"编号": 123456789012345678}, "A2 CELL_DIGITS_LOST"),
        ({"编号": 1.5}, "A2 CELL_NOT_TEXT"),
        ({"编号": "123456789012345678901"}, "A2 TOO_LONG"),
        ({"名称": "积木积木积木积木积木积"}, "B2 TOO_LONG"),
        ({"名称": "积\u0007木"}, "B2 CELL_CONTROL"),
        ({"名称": None}, "B2 REQUIRED"),
        ({"名称": "  "}, "B2 REQUIRED"),
        ({"数量": "七"}, "C2 CELL_NOT_NUMBER"),
        ({"数量": 1.5}, "C2 CELL_NOT_WHOLE"),
        ({"数量": "1,23"}, "C2 CELL_NOT_NUMBER"),
        ({"数量": "9" * 20}, "C2 CELL_NOT_NUMBER"),
        ({"金额": "1e5"}, "D2 CELL_NOT_NUMBER"),
        ({"金额": "NaN"}, "D2 CELL_NOT_NUMBER"),
        ({"金额": date(2026, 3, 1)}, "D2 CELL_NOT_NUMBER"),
        ({"生产日期": "2026-02-30"}, "E2 CELL_NO_SUCH_DAY"),
        ({"生产日期": 45296}, "E2 CELL_NOT_DATE"),
        ({"生产日期": "去年"}, "E2 CELL_NOT_DATE"),
        ({"生产日期": "3/1/2026"}, "E2 CELL_NOT_DATE"),
        ({"类别": "丙类"}, "F2 CELL_NOT_IN_LIST"),
        ({"标记": "甲类,丙类"}, "G2 CELL_NOT_IN_LIST"),
        ({"合格": "也许"}, "H2 CELL_NOT_YES_NO"),
    ],
)
async def test_each_wrong_cell_is_named(row: dict[str, Any], fault: str) -> None:
    _, faults = await one(**row)
    assert faults == [fault]


async def test_columns_in_any_order_in_either_language_with_stars_and_blanks() -> None:
    sheet = await read(workbook([{"* Code ": "T1", "名 称": "积木"}], head=("名 称", "* Code ", "错误", "原行号")))
    assert sheet.rows[0].values == {"code": "T1", "name": "积木"}
    assert (sheet.cell("code", 2), sheet.cell("amount", 2)) == ("B2", "2")


async def test_empty_rows_are_skipped_and_numbers_are_those_of_excel() -> None:
    rows = [{}, GOOD, {}, {"编号": "  "}, GOOD | {"编号": "T2"}]
    assert [row.number for row in (await read(workbook(rows, head=HEAD))).rows] == [3, 6]


def formula(book: Any, page: Any) -> None:
    page.write_formula(1, 2, "=1+1", None, 2)


def formula_without_value(book: Any, page: Any) -> None:
    page.write_formula(1, 0, '="T"&"1"', None, "")


def merged(book: Any, page: Any) -> None:
    page.merge_range(2, 1, 3, 1, "积木")


def broken_value(book: Any, page: Any) -> None:
    page.write_formula(1, 2, "=NA()", None, "#N/A")


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        (formula, {2: ["C2 CELL_FORMULA"], 3: [], 4: []}),
        (formula_without_value, {2: ["A2 CELL_FORMULA"], 3: [], 4: []}),
        (merged, {2: [], 3: ["B3 CELL_MERGED"], 4: ["B4 CELL_MERGED"]}),
    ],
)
async def test_formulas_and_merged_cells_are_named(more: Any, wanted: dict[int, list[str]]) -> None:
    rows = [GOOD | {"编号": f"T{number}"} for number in range(3)]
    sheet = await read(workbook(rows, head=HEAD, more=more))
    found = {row.number: [f"{sheet.cell(f.field[0], row.number)} {f.code}" for f in row.faults] for row in sheet.rows}
    assert found == wanted


async def test_error_values_are_named() -> None:
    sheet = await read(workbook([GOOD], head=HEAD, more=broken_value))
    assert [fault.code for fault in sheet.rows[0].faults] == ["CELL_ERROR_VALUE"]


def changed(content: bytes, part: str, change: Callable[[bytes], bytes]) -> bytes:
    """A workbook with one part of its archive changed."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            data = old.read(entry)
            new.writestr(entry.filename, change(data) if entry.filename == part else data)
    return made.getvalue()


def added(content: bytes, name: str, data: bytes) -> bytes:
    """A workbook with one more part."""
    made = io.BytesIO(content)
    with zipfile.ZipFile(made, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return made.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def cell(reference: str, more: str = "") -> Callable[[bytes], bytes]:
    row = "".join(char for char in reference if char.isdigit())
    text = f'<row r="{row}"><c r="{reference}"{more}><v>1</v></c></row></sheetData>'
    return lambda data: data.replace(b"</sheetData>", text.encode())


def fine() -> bytes:
    return workbook([GOOD], head=HEAD)


async def test_a_cell_at_the_end_of_the_plane_costs_nothing() -> None:
    """Trusted, it would make a reader reserve sixteen thousand columns of a million rows."""
    fault = await refused(changed(fine(), SHEET, cell("XFD1048576")))
    assert fault.code in ("SHEET_TOO_MANY_ROWS", "SHEET_TOO_WIDE")
    assert (await refused(changed(fine(), SHEET, cell("ZZ3")))).code == "SHEET_TOO_WIDE"


async def test_styled_cells_below_the_last_row_are_none() -> None:
    content = changed(fine(), SHEET, lambda data: data.replace(b"</sheetData>", b'<row r="90000"><c r="A90000" s="0"/></row></sheetData>'))  # fmt: skip
    assert len((await read(content)).rows) == 1


async def test_a_hundred_thousand_rows_are_refused_with_their_number() -> None:
    rows = b"".join(b'<row r="%d"><c r="A%d"><v>1</v></c></row>' % (n, n) for n in range(3, 100_002))
    content = changed(fine(), SHEET, lambda data: data.replace(b"</sheetData>", rows + b"</sheetData>"))
    fault = await refused(content)
    assert (fault.code, fault.params) == ("SHEET_TOO_MANY_ROWS", {"limit": 50_000, "found": 100_000})


async def test_bombs() -> None:
    zeros = b"0" * (500 * 2**20)
    assert (await refused(added(fine(), "xl/media/a.bin", zeros))).code == "SHEET_BOMB"
    many = fine()
    made = io.BytesIO(many)
    with zipfile.ZipFile(made, "a") as archive:
        for number in range(600):
            archive.writestr(f"xl/media/{number}", b"")
    assert (await refused(made.getvalue())).code == "SHEET_BOMB"
    entities = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    content = changed(fine(), SHEET, lambda data: entities + data.partition(b"?>")[2])
    assert (await refused(content)).code == "SHEET_BROKEN"


async def test_one_long_text_in_every_cell_ends_the_child_not_the_worker() -> None:
    """A few kilobytes of shared text, named two million times: gigabytes once they are written out."""
    shared = b"<si><t>" + b"x" * 32_000 + b"</t></si></sst>"
    content = changed(fine(), "xl/sharedStrings.xml", lambda data: data.replace(b"</sst>", shared))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        last = archive.read("xl/sharedStrings.xml").count(b"<si>") - 1
    cells = b'<c t="s"><v>%d</v></c>' % last * 50
    rows = b"".join(b'<row r="%d">%s</row>' % (number, cells) for number in range(3, 40_000))
    content = changed(content, SHEET, lambda data: data.replace(b"</sheetData>", rows + b"</sheetData>"))
    assert len(content) < 2 * 2**20
    assert (await refused(content)).code == "SHEET_BOMB"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "SHEET_NOT_EXCEL"),
        (b"%PDF-1.7 " * 100, "SHEET_NOT_EXCEL"),
        ("编号,名称\nT1,积木\n".encode("gbk"), "SHEET_NOT_EXCEL"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 5000, "SHEET_OLD_OR_LOCKED"),
        (b"PK\x03\x04" + b"\0" * 100, "SHEET_BROKEN"),
    ],
)
async def test_other_files(content: bytes, code: str) -> None:
    assert (await refused(content)).code == code


async def test_damaged_workbooks() -> None:
    assert (await refused(fine()[:-200])).code == "SHEET_BROKEN"
    assert (await refused(changed(fine(), SHEET, lambda data: data[:200]))).code == "SHEET_BROKEN"
    assert (await refused(changed(fine(), SHEET, cell("5C")))).code == "SHEET_BROKEN"
    assert (await refused(added(fine(), "xl/vbaProject.bin", b"x"))).code == "SHEET_MACROS"
    document = io.BytesIO()
    with zipfile.ZipFile(document, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    assert (await refused(document.getvalue())).code == "SHEET_NOT_EXCEL"
    shared = changed(fine(), "xl/sharedStrings.xml", lambda _: b"<sst>")
    assert (await refused(shared)).code == "SHEET_BROKEN"


async def test_too_long_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 1000)
    assert (await refused(fine())).code == "SHEET_TOO_LARGE"


async def test_wrong_sheets_and_headings() -> None:
    def second(book: Any, _page: Any) -> None:
        book.add_worksheet("其他")

    fault = await refused(workbook([GOOD], head=HEAD, sheet="表一", more=second))
    assert (fault.code, fault.params["wanted"], fault.params["found"]) == ("SHEET_MISSING", "数据", "表一、其他")
    assert len((await read(workbook([GOOD], head=HEAD, sheet="表一"))).rows) == 1, "the only one will do"
    assert len((await read(workbook([GOOD], head=HEAD, more=second))).rows) == 1, "the named one of several"
    fault = await refused(workbook([GOOD], head=("编号",)))
    assert (fault.code, fault.params["missing"]) == ("SHEET_COLUMNS_MISSING", "名称")
    fault = await refused(workbook([GOOD], head=(*HEAD, "身份证号")))
    assert (fault.code, fault.params["column"]) == ("SHEET_COLUMN_UNKNOWN", "I")
    fault = await refused(workbook([GOOD], head=(*HEAD, "Name")))
    assert (fault.code, fault.params["column"]) == ("SHEET_COLUMN_TWICE", "I")
    assert (await refused(workbook([], head=HEAD))).code == "SHEET_EMPTY"
    assert (await refused(workbook([], head=()))).code == "SHEET_COLUMNS_MISSING"

    def head_merged(_book: Any, page: Any) -> None:
        page.merge_range(0, 8, 0, 9, "")

    assert (await refused(workbook([GOOD], head=HEAD, more=head_merged))).code == "SHEET_HEADINGS_MERGED"


async def test_very_many_formulas_and_merged_cells() -> None:
    def formulas(_book: Any, page: Any) -> None:
        for number in range(2, 2100):
            page.write_formula(number, 2, "=1+1", None, 2)

    assert (await refused(workbook([GOOD], head=HEAD, more=formulas))).code == "SHEET_FORMULAS"
    wide = b'<mergeCells count="1"><mergeCell ref="A2:CV50000"/></mergeCells></worksheet>'
    deep = b'<row r="50000"><c r="A50000"><v>1</v></c></row></sheetData>'
    content = changed(fine(), SHEET, lambda data: data.replace(b"</sheetData>", deep).replace(b"</worksheet>", wide))
    assert (await refused(content)).code == "SHEET_MERGED"


def test_letters() -> None:
    assert [letters(n) for n in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]
