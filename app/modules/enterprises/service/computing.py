"""What is computed from a file, as pure functions: the use cases and the seeds share them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from app.modules.enterprises.models import OWN, REVIEWED
from app.modules.enterprises.service.common import camel
from app.modules.standards import public as standards

FIELDS = (*REVIEWED, *OWN)
"""Fields that people fill in."""
INDICATORS = {"从业人员": "employees", "营业收入": "revenue_wan", "资产总额": "assets_wan"}
"""Indicators of the size classes to columns."""
_ASKED = {
    "credit_code": "credit_code",
    "name": "name",
    "legal_representative": "legal_representative",
    "established_on": "established_on",
    "registered_address": "registered_address",
    "division_code": "division_code",
    "industry_code": "industry_code",
    "employees": "employees",
    "annual_revenue": "revenue_wan",
    "supervision_categories": "supervision_categories",
    "contact_phone": "contact_phone",
    "safety_licence": "safety_licence_no",
    "hazchem_licence": "hazchem_licence_no",
    "liability_insurance": "liability_policy_no",
    "standardization_grade": "standardization_grade",
}
"""Codes of the table ``completeness_weight`` to columns; sites and people are asked as well."""
_SAFETY_OFFICERS = ("SAFETY_MANAGER", "SAFETY_DIRECTOR")


@dataclass(frozen=True)
class Surroundings:
    """What the completeness score asks about sites and people.

    Args:
        sites: active sites.
        placed: those of them with coordinates.
        roles: posts that are filled.
    """

    sites: int
    placed: int
    roles: Collection[str]


def indicators(file: Mapping[str, Any]) -> dict[str, Decimal | None]:
    """Return the indicators of the size classes of a file."""
    return {name: None if file[column] is None else Decimal(file[column]) for name, column in INDICATORS.items()}


def size_columns(result: standards.SizeResult | None, on: date) -> dict[str, Any]:
    """Return size class, its day and what it rests on (工信部联企业〔2011〕300号).

    Args:
        result: answer of the rule; None: the industry has no size classes, or is unknown.
        on: legal day of the computation.
    """
    if result is None:
        return {"size_class": None, "size_class_as_of": None, "size_basis": {"industry": None}}
    return {
        "size_class": result.size_class,
        "size_class_as_of": on if result.size_class else None,
        "size_basis": {
            "industry": result.industry_zh,
            "asOf": on.isoformat(),
            "missing": [camel(INDICATORS[indicator]) for indicator in result.missing],
            "tests": [
                {
                    "sizeClass": test.size_class,
                    "indicator": test.indicator,
                    "unit": test.unit,
                    "value": format(test.value.normalize(), "f"),
                    "minimum": format(test.minimum.normalize(), "f"),
                    "passed": test.passed,
                }
                for test in result.tests
            ],
        },
    }


def duties(flags: Collection[standards.Flag]) -> list[dict[str, Any]]:
    """Return the duties that hold, or may hold, each with its article."""
    return [
        {
            "code": flag.rule.code,
            "applies": flag.applies,
            "because": list(flag.because),
            "legalBasis": flag.rule.legal_basis,
            "mark": flag.rule.mark,
        }
        for flag in flags
        if flag.applies is not False
    ]


def asked(file: Mapping[str, Any], around: Surroundings) -> dict[str, object]:
    """Return what the completeness score asks: field code to value, None for what is not there."""
    return {code: file[column] for code, column in _ASKED.items()} | {
        "sites": around.sites or None,
        "site_coordinates": (around.sites and around.placed == around.sites) or None,
        "head": "HEAD" in around.roles or None,
        "safety_officer": any(role in around.roles for role in _SAFETY_OFFICERS) or None,
    }
