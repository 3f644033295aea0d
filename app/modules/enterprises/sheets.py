"""The ledger of enterprises by Excel: a county brings its own in; whoever sees files takes out what he sees."""

from collections.abc import Sequence
from typing import Any

from app.kit.sheets.ledger import Cell, Code, Column, Exporting, Importing, Ledger
from app.kit.uow import WriteContext
from app.modules.enterprises import policies
from app.modules.enterprises.service import bulk
from app.modules.enterprises.service.common import NAME_LIMIT
from app.modules.standards import public as standards
from tenants.kinds import Kind

_OUT = frozenset({Kind.PROVINCE, Kind.CITY, Kind.COUNTY, Kind.PARK, Kind.ENTERPRISE, Kind.AGENCY, Kind.RESCUE_TEAM})
"""Handbook appendix B, row "enterprise file": the township has no right to it."""
_NEW_ZH, _NEW_EN = "仅用于新增;更新已有时不改。", "For new entries only; an update leaves it."
SIZES = (
    Code("LARGE", "大型", "Large"),
    Code("MEDIUM", "中型", "Medium"),
    Code("SMALL", "小型", "Small"),
    Code("MICRO", "微型", "Micro"),
)
STATUSES = (
    Code("UNVERIFIED", "未核实", "Unverified"),
    Code("CLAIMED", "已认领", "Claimed"),
    Code("VERIFIED", "已核实", "Verified"),
)
LIFECYCLES = (
    Code("ACTIVE", "存续", "Active"),
    Code("SUSPENDED", "停产", "Suspended"),
    Code("CLOSED", "注销", "Closed"),
)


async def _industries(ctx: WriteContext) -> Sequence[Code]:
    rows = await standards.rows_in_force(ctx.session, "gbt4754", ctx.today)
    return [Code(row.code, row.name_zh, row.name_en) for row in rows if row.text("level") != "section"]


async def _places(ctx: WriteContext) -> Sequence[Code]:
    return [Code(code, name) for code, name in await bulk.places(ctx)]


async def _categories(ctx: WriteContext) -> Sequence[Code]:
    return await _table(ctx, "supervision_category")


async def _grades(ctx: WriteContext) -> Sequence[Code]:
    return await _table(ctx, "standardization_grade")


async def _table(ctx: WriteContext, name: str) -> Sequence[Code]:
    rows = await standards.rows_in_force(ctx.session, name, ctx.today)
    return [Code(row.code, row.name_zh, row.name_en) for row in rows]


def _source() -> type[Any]:
    from app.modules.enterprises.api.types import Enterprise  # noqa: PLC0415 - GraphQL only where it is needed

    return Enterprise


COLUMNS = (
    Column(
        "credit_code",
        "统一社会信用代码",
        "Credit code",
        Cell.CODE,
        required=True,
        limit=64,
        note_zh="18 位,按营业执照填写;全角字符、空格会自动更正。",
        note_en="18 characters as in the licence; full-width characters and blanks are mended.",
        example="91440606707539051X",
        width=24,
    ),
    Column(
        "name",
        "企业名称",
        "Name",
        required=True,
        limit=NAME_LIMIT,
        note_zh="按营业执照填写全称。",
        note_en="In full, as in the licence.",
        example="江阴某某化工有限公司",
        width=36,
    ),
    Column("legal_representative", "法定代表人", "Legal representative", limit=NAME_LIMIT, example="王小安"),
    Column(
        "industry_code",
        "国民经济行业",
        "Industry",
        Cell.CHOICE,
        codes=_industries,
        note_zh="GB/T 4754,2 至 4 位代码,可从列表中选。",
        note_en="GB/T 4754, 2 to 4 digits, or choose one of the list.",
        example="2631",
        width=28,
    ),
    Column("registered_address", "注册地址", "Registered address", width=36),
    Column(
        "division_code",
        "生产经营地区划",
        "Division of production",
        Cell.CHOICE,
        required=True,
        codes=_places,
        note_zh=f"生产经营场所所在的本县(市、区)或其乡镇(街道)。{_NEW_ZH}",
        note_en=f"Your county or one of its townships, where it produces. {_NEW_EN}",
        example="320281",
        width=24,
    ),
    Column(
        "address",
        "生产经营地址",
        "Address of production",
        required=True,
        exported=False,
        note_zh=_NEW_ZH,
        note_en=_NEW_EN,
        example="申港街道试验路 1 号",
        width=36,
    ),
    Column(
        "longitude",
        "经度",
        "Longitude",
        Cell.DECIMAL,
        exported=False,
        note_zh=f"WGS 84,度。{_NEW_ZH}",
        note_en=f"WGS 84, degrees. {_NEW_EN}",
        example="120.28",
    ),
    Column(
        "latitude",
        "纬度",
        "Latitude",
        Cell.DECIMAL,
        exported=False,
        note_zh=f"WGS 84,度。{_NEW_ZH}",
        note_en=f"WGS 84, degrees. {_NEW_EN}",
        example="31.90",
    ),
    Column("contact_name", "联系人", "Contact", note_zh=_NEW_ZH, note_en=_NEW_EN, example="王小安"),
    Column(
        "contact_phone",
        "联系电话",
        "Telephone",
        limit=30,
        note_zh=f"手机号,或带区号的固定电话;保存后中间几位隐藏。{_NEW_ZH}",
        note_en=f"Mobile, or landline with area code; kept with its middle hidden. {_NEW_EN}",
        example="13812345678",
    ),
    Column("established_on", "成立日期", "Established on", Cell.DATE, imported=False),
    Column("employees", "从业人员", "Employees", Cell.INTEGER, imported=False),
    Column("revenue_wan", "营业收入(万元)", "Revenue (10,000 CNY)", Cell.DECIMAL, imported=False),
    Column("assets_wan", "资产总额(万元)", "Assets (10,000 CNY)", Cell.DECIMAL, imported=False),
    Column("size_class", "企业规模", "Size class", Cell.CHOICE, codes=SIZES, imported=False),
    Column(
        "supervision_categories", "监管分类", "Supervision categories", Cell.CHOICES, codes=_categories, imported=False
    ),
    Column("standardization_grade", "标准化等级", "Standardization grade", Cell.CHOICE, codes=_grades, imported=False),
    Column("safety_licence_no", "安全生产许可证号", "Safety licence", imported=False),
    Column("status", "核实状态", "Status", Cell.CHOICE, codes=STATUSES, imported=False),
    Column("lifecycle", "经营状态", "Lifecycle", Cell.CHOICE, codes=LIFECYCLES, imported=False),
    Column("completeness", "档案完整度", "Completeness", Cell.INTEGER, imported=False),
    Column("confirmed_on", "最近确认日期", "Confirmed on", Cell.DATE, imported=False),
)

LEDGERS = (
    Ledger(
        "enterprises",
        "企业台账",
        "Enterprises",
        "enterprise",
        COLUMNS,
        Importing(
            frozenset({Kind.COUNTY}),
            policies.IMPORT[0].capability,
            "credit_code",
            bulk.lookup,
            bulk.check,
            bulk.write,
            bulk.CHANGEABLE,
        ),
        Exporting(_OUT, "enterprise.read", _source),
    ),
)
