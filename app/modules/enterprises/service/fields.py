"""Checks of the file's fields: each takes what was sent and returns what is stored."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from app.kit.errors import Fault, FaultGroup, require
from app.kit.rules import uscc
from app.kit.texts import mask
from app.kit.uow import WriteContext
from app.modules.enterprises import errors
from app.modules.enterprises.service.common import NAME_LIMIT, amount, camel, clean, phone
from app.modules.standards import public as standards

MAX_EMPLOYEES = 10_000_000
MAX_CATEGORIES = 50
CODE_LIMIT = 64
_EARLIEST = date(1840, 1, 1)
Check = Callable[[WriteContext, Any, tuple[str, ...]], Awaitable[object]]


async def check_fields(ctx: WriteContext, values: Mapping[str, Any], *prefix: str) -> dict[str, object]:
    """Check fields of a file.

    Args:
        ctx: the use case's context.
        values: column to what was sent; None empties a field.
        prefix: path of the fields in the input.

    Raises:
        FaultGroup: every fault at once.
    """
    faults: list[Fault] = []
    checked: dict[str, object] = {}
    for name, value in values.items():
        try:
            checked[name] = await _CHECKS[name](ctx, value, (*prefix, camel(name)))
        except Fault as fault:
            faults.append(fault)
    if faults:
        raise FaultGroup(faults)
    return checked


async def check_industry(ctx: WriteContext, code: str, *field: str) -> str:
    """Return an industry code of GB/T 4754 with two to four digits as the list spells it.

    Raises:
        Fault: ``INDUSTRY_UNKNOWN``.
    """
    found = await standards.industry_on(ctx.session, code.strip(), ctx.today)
    if found is None or found.level == "section":
        raise Fault(errors.INDUSTRY_UNKNOWN, field, code=code)
    return found.code


async def check_codes(ctx: WriteContext, table: str, codes: list[str], *field: str) -> list[str]:
    """Return codes of a code table in force, each once, in the table's order.

    Raises:
        Fault: ``CODE_UNKNOWN``.
    """
    require(len(codes) <= MAX_CATEGORIES, "TOO_LONG", field, limit=MAX_CATEGORIES, length=len(codes))
    known = [row.code for row in await standards.rows_in_force(ctx.session, table, ctx.today)]
    for code in codes:
        require(code in known, errors.CODE_UNKNOWN, field, code=code, table=table)
    return [code for code in known if code in codes]


async def _name(_ctx: WriteContext, value: Any, field: tuple[str, ...]) -> object:
    return clean(value, field, limit=NAME_LIMIT)


async def _text(_ctx: WriteContext, value: Any, field: tuple[str, ...]) -> object:
    return clean(value, field, required=False) or None


async def _code(_ctx: WriteContext, value: Any, field: tuple[str, ...]) -> object:
    return clean(value, field, limit=CODE_LIMIT, required=False) or None


async def _credit_code(_ctx: WriteContext, value: Any, field: tuple[str, ...]) -> object:
    return uscc.check(value or "").require(*field)


async def _industry_code(ctx: WriteContext, value: Any, field: tuple[str, ...]) -> object:
    require(value, "REQUIRED", field)
    return await check_industry(ctx, value, *field)


async def _division(ctx: WriteContext, value: Any, field: tuple[str, ...]) -> object:
    if not value:
        return None
    division = await standards.division_on(ctx.session, value.strip(), ctx.today)
    if division is None:
        raise Fault(errors.DIVISION_UNKNOWN, field, code=value, on=ctx.today.isoformat())
    return division.code


async def _past_day(ctx: WriteContext, value: Any, field: tuple[str, ...]) -> object:
    if value is not None:
        require(value <= ctx.today, errors.DATE_FUTURE, field, today=ctx.today.isoformat())
        require(value >= _EARLIEST, errors.DATE_ORDER, field, earliest=_EARLIEST.isoformat())
    return value


async def _employees(_ctx: WriteContext, value: Any, field: tuple[str, ...]) -> object:
    if value is not None:
        require(0 <= value <= MAX_EMPLOYEES, errors.NUMBER_RANGE, field, low=0, high=MAX_EMPLOYEES)
    return value


async def _amount(_ctx: WriteContext, value: Any, field: tuple[str, ...]) -> object:
    return None if value is None else amount(Decimal(value), field)


async def _categories(ctx: WriteContext, value: Any, field: tuple[str, ...]) -> object:
    return await check_codes(ctx, "supervision_category", list(value or ()), *field)


async def _grade(ctx: WriteContext, value: Any, field: tuple[str, ...]) -> object:
    return (await check_codes(ctx, "standardization_grade", [value], *field))[0] if value else None


async def _phone(_ctx: WriteContext, value: Any, field: tuple[str, ...]) -> object:
    return mask(phone(value, field)) if value else None


_CHECKS: Mapping[str, Check] = {
    "name": _name,
    "credit_code": _credit_code,
    "legal_representative": _name,
    "industry_code": _industry_code,
    "registered_address": _text,
    "established_on": _past_day,
    "capital_wan": _amount,
    "division_code": _division,
    "employees": _employees,
    "revenue_wan": _amount,
    "assets_wan": _amount,
    "supervision_categories": _categories,
    "standardization_grade": _grade,
    "contact_name": _text,
    "contact_phone": _phone,
    "safety_licence_no": _code,
    "hazchem_licence_no": _code,
    "liability_policy_no": _code,
}
