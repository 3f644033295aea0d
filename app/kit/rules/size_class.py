"""大、中、小、微型企业 (size class), 工信部联企业〔2011〕300号.

Large, medium and small need every listed indicator at or above the lower bound of the class;
otherwise the next lower class is tried, and micro is what remains. Bounds are data.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

CLASSES = ("LARGE", "MEDIUM", "SMALL", "MICRO")
"""大, 中, 小, 微; highest first."""


@dataclass(frozen=True)
class SizeBound:
    """Lower bounds of one indicator of one industry, for large, medium and small."""

    industry_zh: str
    indicator: str
    unit: str
    minima: tuple[Decimal, Decimal, Decimal]


@dataclass(frozen=True)
class SizeTest:
    """One comparison of the trace."""

    size_class: str
    indicator: str
    unit: str
    value: Decimal
    minimum: Decimal

    @property
    def passed(self) -> bool:
        """Whether the value reaches the bound."""
        return self.value >= self.minimum


@dataclass(frozen=True)
class SizeResult:
    """The class, or None with the indicators that are missing; and every comparison made."""

    size_class: str | None
    industry_zh: str
    missing: tuple[str, ...]
    tests: tuple[SizeTest, ...]


def classify(industry_zh: str, values: Mapping[str, Decimal | None], bounds: Iterable[SizeBound]) -> SizeResult:
    """Return the size class.

    Args:
        industry_zh: industry of the table (工业, 建筑业 …).
        values: indicator (从业人员 in persons, 营业收入 and 资产总额 in 万元) to value; None: unknown.
        bounds: the rule table's rows.
    """
    mine = [bound for bound in bounds if bound.industry_zh == industry_zh]
    known = {indicator: value for indicator, value in values.items() if value is not None}
    missing = tuple(bound.indicator for bound in mine if bound.indicator not in known)
    if not mine or missing:
        return SizeResult(None, industry_zh, missing, ())
    tests: list[SizeTest] = []
    for index, size_class in enumerate(CLASSES[:-1]):
        row = [
            SizeTest(
                size_class, bound.indicator, bound.unit, Decimal(values[bound.indicator] or 0), bound.minima[index]
            )
            for bound in mine
        ]
        tests += row
        if all(test.passed for test in row):
            return SizeResult(size_class, industry_zh, (), tuple(tests))
    return SizeResult(CLASSES[-1], industry_zh, (), tuple(tests))


def industry_of(code: str, section: str, mapping: Mapping[str, str]) -> str | None:
    """Return the table's industry of a GB/T 4754 code: the longest mapped prefix, then the section.

    Args:
        code: two to four digits.
        section: letter of the section that the code belongs to.
        mapping: prefix or section letter to industry.
    """
    for length in range(len(code), 1, -1):
        if (found := mapping.get(code[:length])) is not None:
            return found
    return mapping.get(section)
