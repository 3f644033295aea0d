"""Workbooks that we write: the template with its instructions and lists, the file of failed rows, an export.

Text is written as text, never as a formula or a link, whatever it begins with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import xlsxwriter

from app.kit.sheets.cells import letters
from app.kit.sheets.ledger import Cell, Code, Column, Ledger
from app.kit.sheets.reading import DATA_SHEETS, EXTRA, MAX_BYTES, MAX_ROWS

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_LISTED_ROWS = 5000
"""Rows of the template that offer the lists."""
_TEXT = frozenset({Cell.TEXT, Cell.CODE, Cell.CHOICE, Cell.CHOICES})
_KINDS = {
    Cell.TEXT: ("文字", "text"),
    Cell.CODE: ("代码(文字格式)", "code, as text"),
    Cell.INTEGER: ("整数", "whole number"),
    Cell.DECIMAL: ("数字", "number"),
    Cell.DATE: ("日期,如 2026-03-01", "date, such as 2026-03-01"),
    Cell.BOOLEAN: ("是/否", "yes/no"),
    Cell.CHOICE: ("从列表中选一项", "one of the list"),
    Cell.CHOICES: ("从列表中选,可多项,用、分隔", "of the list, several parted by a comma"),
}
_WORDS = {
    "zh-CN": {
        "about": "填写说明",
        "data": DATA_SHEETS[0],
        "lists": "代码",
        "head": ("列", "是否必填", "格式", "说明", "示例"),
        "yes": "必填",
        "no": "选填",
        "rules": (
            "请在“{data}”表中从第 2 行起填写,每行一条;请勿改动标题、勿合并单元格、勿用公式。",
            "每个文件最多 {rows} 行、{megabytes} MB;另存为 .xlsx。",
            "上传后先试导入:系统逐行检查,按行号和列号列出错误,此时不写入任何数据;确认后才写入。",
            "代码类单元格已设为文字格式;请勿改为数字,否则长号码末几位会丢失。",
            "“{key}”用于识别同一条记录;选择“更新已有”时,空白单元格保持原值不变。",
        ),
        "bad": "请从列表中选择。",
        "export": "导出说明",
    },
    "en": {
        "about": "Instructions",
        "data": DATA_SHEETS[1],
        "lists": "Lists",
        "head": ("Column", "Needed", "Form", "Instruction", "Example"),
        "yes": "required",
        "no": "optional",
        "rules": (
            'Fill in the sheet "{data}" from row 2 on, one entry a row; no merged cells, no formulas.',
            "At most {rows} rows and {megabytes} MB in one file; save it as .xlsx.",
            "After the upload comes a dry run: errors are listed by row and column; only your confirmation writes.",
            "Cells with codes are text; as numbers, long codes would lose their last digits.",
            '"{key}" tells which entry a row is about; when you choose to update, an empty cell keeps what is there.',
        ),
        "bad": "Choose one of the list.",
        "export": "About this export",
    },
}
_OPTIONS = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}


def template(path: Path, ledger: Ledger, lists: Mapping[str, Sequence[Code]], locale: str) -> None:
    """Write an empty workbook to fill in: instructions, headings, drop-down lists.

    Args:
        path: of the file.
        ledger: whose columns.
        lists: column's name to its words.
        locale: ``zh-CN`` or ``en``.
    """
    words = _WORDS[locale if locale in _WORDS else "zh-CN"]
    book = xlsxwriter.Workbook(str(path), _OPTIONS)
    try:
        about = book.add_worksheet(str(words["about"]))
        data = book.add_worksheet(str(words["data"]))
        _instructions(book, about, ledger, words, locale)
        _headings(book, data, ledger.incoming, locale)
        _lists(book, data, ledger, lists, locale)
        data.activate()
    finally:
        book.close()


def failed(path: Path, ledger: Ledger, rows: Iterable[tuple[int, Mapping[str, str], str]], locale: str) -> int:
    """Write the rows that failed as they stood, each with its number and what is wrong; mended, it can come back.

    Args:
        path: of the file.
        ledger: whose columns.
        rows: number, column to text, what is wrong.
        locale: of the headings.

    Returns:
        How many there were.
    """
    book = xlsxwriter.Workbook(str(path), {**_OPTIONS, "constant_memory": True})
    try:
        sheet = book.add_worksheet(DATA_SHEETS[locale == "en"])
        columns = ledger.incoming
        _headings(book, sheet, columns, locale)
        red = book.add_format({"bold": True, "font_color": "#C00000"})
        extra = (EXTRA[locale == "en"], EXTRA[2 + (locale == "en")])
        for offset, title in enumerate(extra):
            sheet.write_string(0, len(columns) + offset, title, red)
        sheet.set_column(len(columns), len(columns), 80)
        count = 0
        for count, (number, raw, wrong) in enumerate(rows, start=1):
            for position, column in enumerate(columns):
                if raw.get(column.name):
                    sheet.write_string(count, position, raw[column.name])
            sheet.write_string(count, len(columns), wrong)
            sheet.write_number(count, len(columns) + 1, number)
        return count
    finally:
        book.close()


class ExportBook:
    """An export on its way: rows one after the other, in little memory, then the sheet about the export.

    Args:
        path: of the file.
        ledger: whose columns.
        columns: which of them.
        locale: of headings and titles.
        mark: lines of the watermark: what, who, when; also in the page's foot and the file's properties.
    """

    def __init__(
        self, path: Path, ledger: Ledger, columns: Sequence[Column], locale: str, mark: Sequence[tuple[str, str]]
    ) -> None:
        self.book = xlsxwriter.Workbook(str(path), {**_OPTIONS, "constant_memory": True})
        self.columns, self.mark, self.locale = columns, mark, locale
        self.count = 0
        self._words = _WORDS[locale if locale in _WORDS else "zh-CN"]
        line = " · ".join(value for _, value in mark)
        self.book.set_properties({"title": ledger.title(locale), "comments": line})
        self.sheet = self.book.add_worksheet(DATA_SHEETS[locale == "en"])
        _headings(self.book, self.sheet, columns, locale, plain=True)
        self.sheet.set_footer(f"&C{line[:200].replace('&', '&&')}")
        self._day = self.book.add_format({"num_format": "yyyy-mm-dd"})

    def row(self, values: Sequence[Any]) -> None:
        """Write one row: text, numbers, days; None is an empty cell."""
        self.count += 1
        for position, value in enumerate(values):
            match value:
                case None:
                    continue
                case bool():
                    text = ("Yes" if value else "No") if self.locale == "en" else ("是" if value else "否")
                    self.sheet.write_string(self.count, position, text)
                case int() | float() | Decimal():
                    self.sheet.write_number(self.count, position, value)
                case date():
                    self.sheet.write_datetime(self.count, position, value, self._day)
                case _:
                    self.sheet.write_string(self.count, position, str(value))

    def close(self) -> None:
        """Write the sheet about the export, and the file."""
        about = self.book.add_worksheet(str(self._words["export"]))
        about.set_column(0, 1, 40)
        for number, (what, value) in enumerate(self.mark):
            about.write_string(number, 0, what)
            about.write_string(number, 1, value)
        self.book.close()


def _headings(book: Any, sheet: Any, columns: Sequence[Column], locale: str, *, plain: bool = False) -> None:
    text = None if plain else book.add_format({"num_format": "@"})
    day = None if plain else book.add_format({"num_format": "yyyy-mm-dd"})
    head = book.add_format({"bold": True, "bg_color": "#DDEBF7", "border": 1, "text_wrap": True})
    needed = book.add_format({"bold": True, "bg_color": "#FCE4D6", "border": 1, "text_wrap": True})
    for position, column in enumerate(columns):
        form = text if column.cell in _TEXT else day if column.cell is Cell.DATE else None
        sheet.set_column(position, position, column.width, form)
        star = column.required and not plain
        sheet.write_string(0, position, ("*" if star else "") + column.title(locale), needed if star else head)
    sheet.freeze_panes(1, 0)


def _instructions(book: Any, sheet: Any, ledger: Ledger, words: Mapping[str, Any], locale: str) -> None:
    bold = book.add_format({"bold": True, "font_size": 14})
    head = book.add_format({"bold": True, "bg_color": "#DDEBF7", "border": 1})
    wrap = book.add_format({"text_wrap": True, "valign": "top"})
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 2, 18)
    sheet.set_column(3, 3, 70, wrap)
    sheet.set_column(4, 4, 28)
    sheet.write_string(0, 0, ledger.title(locale), bold)
    key = next((column.title(locale) for column in ledger.incoming if column.required), "")
    if ledger.importing is not None:
        wanted = ledger.importing.key
        key = next(column.title(locale) for column in ledger.incoming if column.name == wanted)
    line = 1
    for line, rule in enumerate(words["rules"], start=1):
        text = rule.format(data=words["data"], rows=f"{MAX_ROWS:,}", megabytes=MAX_BYTES // 2**20, key=key)
        sheet.write_string(line, 0, f"{line}. {text}")
    line += 2
    for position, title in enumerate(words["head"]):
        sheet.write_string(line, position, title, head)
    for number, column in enumerate(ledger.incoming, start=line + 1):
        needed = words["yes"] if column.required else words["no"]
        kind = _KINDS[column.cell][locale == "en"]
        for position, text in enumerate((column.title(locale), needed, kind, column.note(locale), column.example)):
            sheet.write_string(number, position, text)


def _lists(
    book: Any,
    data: Any,
    ledger: Ledger,
    lists: Mapping[str, Sequence[Code]],
    locale: str,
) -> None:
    """Write the words of each list to a hidden sheet, and offer them where they belong."""
    if not any(lists.values()):
        return
    words = _WORDS[locale if locale in _WORDS else "zh-CN"]
    hidden = book.add_worksheet(str(words["lists"]))
    hidden.hide()
    for place, (name, codes) in enumerate((name, codes) for name, codes in lists.items() if codes):
        position, column = next((p, one) for p, one in enumerate(ledger.incoming) if one.name == name)
        for number, code in enumerate(codes):
            title = code.title(locale)
            hidden.write_string(number, place, title if title == code.code else f"{code.code} {title}")
        letter = letters(place)
        data.data_validation(
            1,
            position,
            _LISTED_ROWS,
            position,
            {
                "validate": "list",
                "source": f"='{words['lists']}'!${letter}$1:${letter}${len(codes)}",
                "error_title": column.title(locale)[:32],
                "error_message": words["bad"],
                # Several words in one cell are typed: the list can only offer one.
                "error_type": "information" if column.cell is Cell.CHOICES else "stop",
            },
        )
