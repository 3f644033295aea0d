"""Completeness of a file (档案完整度): the weight of what is filled over the weight of what is asked.

Which fields are asked, of whom and with what weight is data (``completeness_weights``).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

_HUNDRED = Decimal(100)


@dataclass(frozen=True)
class FieldWeight:
    """One field that is asked: its weight, and the supervision categories that ask it (none: everybody)."""

    code: str
    weight: Decimal
    categories: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Completeness:
    """The score with its parts.

    Args:
        percent: 0 to 100, rounded down, so that 100 means that nothing is missing; 100 when nothing is asked.
        filled: codes that are asked and filled.
        missing: codes that are asked and not filled, heaviest first.
    """

    percent: int
    filled: tuple[str, ...]
    missing: tuple[str, ...]


def score(values: Mapping[str, object], categories: Collection[str], weights: Iterable[FieldWeight]) -> Completeness:
    """Return the completeness score.

    Args:
        values: field code to value; None, an empty text and an empty collection are not filled; 0 and False are.
        categories: supervision categories of the enterprise.
        weights: the rule table.
    """
    asked = [rule for rule in weights if not rule.categories or rule.categories & set(categories)]
    filled = [rule for rule in asked if _filled(values.get(rule.code))]
    missing = sorted((rule for rule in asked if rule not in filled), key=lambda rule: (-rule.weight, rule.code))
    total = sum((rule.weight for rule in asked), Decimal())
    done = sum((rule.weight for rule in filled), Decimal())
    percent = int((done * _HUNDRED / total).to_integral_value(ROUND_DOWN)) if total else int(_HUNDRED)
    return Completeness(percent, tuple(rule.code for rule in filled), tuple(rule.code for rule in missing))


def _filled(value: object) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    if isinstance(value, Collection):
        return bool(value)
    return value is not None
