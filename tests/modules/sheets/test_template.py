"""The template: instructions, headings, lists; filled in, it is read."""

import base64
import io
import zipfile
from pathlib import Path

import python_calamine

from app.kit.sheets import writing
from app.kit.sheets.ledger import LEDGERS
from app.modules.sheets import service
from tests.conftest import Clone
from tests.factories.enterprises import JIANGYIN, office, working
from tests.factories.sheets import HEAD, cells


async def test_the_template_of_a_county(place: Clone) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    async with working(place.db, county) as ctx:
        name, text = await service.template(ctx, "enterprises")
    assert name == "企业台账.xlsx"
    content = base64.b64decode(text)
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
    assert book.sheet_names == ["填写说明", "数据", "代码"]
    assert [str(sheet.visible) for sheet in book.sheets_metadata] == [
        "SheetVisibleEnum.Visible", "SheetVisibleEnum.Visible", "SheetVisibleEnum.Hidden",
    ]  # fmt: skip
    head = cells(content, "数据")[0]
    assert [title.lstrip("*") for title in head] == list(HEAD)
    assert [title for title in head if title.startswith("*")] == [
        "*统一社会信用代码", "*企业名称", "*生产经营地区划", "*生产经营地址",
    ]  # fmt: skip
    lists = cells(content, "代码")
    assert "2631 化学农药制造" in [row[0] for row in lists]
    places = [row[1] for row in lists if row[1]]
    assert places[0] == "320281 江阴市"
    assert len(places) > 10
    assert all(place.startswith("320281") for place in places)
    about = [" ".join(map(str, row)) for row in cells(content, "填写说明")]
    assert any("第 2 行" in line for line in about)
    assert any("统一社会信用代码" in line and "必填" in line and "91440606707539051X" in line for line in about)


async def test_lists_drop_down_and_codes_are_text(place: Clone) -> None:
    county = await office(place.admin, JIANGYIN, "ACCEPTOR")
    async with working(place.db, county) as ctx:
        _, text = await service.template(ctx, "enterprises")
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(text))) as archive:
        sheet = archive.read("xl/worksheets/sheet2.xml").decode()
        styles = archive.read("xl/styles.xml").decode()
    assert sheet.count('<dataValidation type="list"') == 2
    assert "<formula1>代码!$A$1:$A$" in sheet.replace("'", "")
    assert 'sqref="D2:D5001"' in sheet
    assert 'formatCode="@"' in styles, "the format of text"


def test_in_english(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    writing.template(path, LEDGERS["enterprises"], {}, "en")
    content = path.read_bytes()
    assert python_calamine.CalamineWorkbook.from_path(str(path)).sheet_names == ["Instructions", "Data"]
    assert cells(content, "Data")[0][0] == "*Credit code"
