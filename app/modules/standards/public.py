"""What other slices may call: frozen answers about divisions, standards, working days and time limits.

All functions take any open session (the tables are readable by every login) and the legal day for
which they ask; facts keep the answer of their own day.
"""

from dataclasses import dataclass
from datetime import date

from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.rules.completeness import Completeness
from app.kit.rules.deadlines import Deadline, DeadlineRule, Pause, Step
from app.kit.rules.geo import CoordinateError, Placement, boundaries
from app.kit.rules.size_class import SizeResult
from app.kit.rules.supervision import Flag
from app.kit.rules.tables import TableRow
from app.modules.standards import service

__all__ = [
    "Completeness",
    "CoordinateError",
    "Deadline",
    "DeadlineRule",
    "DivisionInfo",
    "Flag",
    "IndustryInfo",
    "Pause",
    "Placement",
    "SizeResult",
    "Step",
    "TableRow",
    "calendar",
    "completeness_on",
    "deadline",
    "deadline_rule",
    "division_on",
    "flags_on",
    "industry_on",
    "place",
    "rows_in_force",
    "short_code",
    "size_class_on",
    "successors_on",
]

rows_in_force = service.rows_in_force
calendar = service.calendar
deadline = service.deadline
deadline_rule = service.deadline_rule
size_class_on = service.size_class_on
flags_on = service.flags_on
completeness_on = service.completeness_on
successors_on = service.successors_on


@dataclass(frozen=True)
class DivisionInfo:
    """A division as it was on a day.

    Args:
        code: 2, 4, 6 or 9 digits.
        name: own name.
        full_name: names from the province down, joined.
        level: ``PROVINCE``, ``CITY``, ``COUNTY`` or ``TOWNSHIP``.
        path: codes from the province down, itself last; never derive them from the digits of ``code``.
    """

    code: str
    name: str
    full_name: str
    level: str
    path: tuple[str, ...]


@dataclass(frozen=True)
class IndustryInfo:
    """An industry of GB/T 4754.

    Args:
        code: as the list spells it.
        name: own name.
        section: letter of its section.
        level: ``section``, ``division``, ``group`` or ``class``.
        path: codes from the section down, itself last.
    """

    code: str
    name: str
    section: str
    level: str
    path: tuple[str, ...]


async def division_on(session: AsyncSession, code: str, on: date) -> DivisionInfo | None:
    """Return the division with this code on a day; None when there was none.

    Args:
        session: any session.
        code: as stored, or in the six-digit spelling of GB/T 2260 (610100 is 6101).
        on: legal day.
    """
    path = await service.division_path(session, short_code(code), on)
    if not path:
        return None
    last = path[-1]
    names = "".join(part.name for part in path)
    return DivisionInfo(last.code, last.name, names, last.level, tuple(part.code for part in path))


def short_code(code: str) -> str:
    """Return a division code as it is stored: without the zeros that stand for lower levels."""
    if len(code) == 6 and code.isdecimal():  # noqa: PLR2004 - the spelling of GB/T 2260
        return code[:2] if code.endswith("0000") else code[:4] if code.endswith("00") else code
    return code


async def industry_on(session: AsyncSession, code: str, on: date) -> IndustryInfo | None:
    """Return an industry of GB/T 4754 by its code; None when the version of that day has none."""
    path = await service.industry_on(session, code, on)
    if not path:
        return None
    last = path[-1]
    return IndustryInfo(last.code, last.name_zh, path[0].code, last.text("level"), tuple(row.code for row in path))


def place(longitude: float, latitude: float, division: DivisionInfo) -> Placement:
    """Say whether a point lies in a division, and how many metres outside; a township is judged by its county.

    Raises:
        CoordinateError: no such point on Earth.
    """
    code = division.path[-2] if division.level == "TOWNSHIP" else division.code
    return boundaries().place(longitude, latitude, code)
