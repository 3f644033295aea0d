"""Duties that follow from an enterprise's supervision categories (监管分类) and its number of employees.

Which category brings which duty is data (安全生产法 24, 27, 51; 生产安全事故应急条例 8, 10, 13).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date

from app.kit.rules.datafiles import Mark

ANY = "*"
"""In a rule's categories: every enterprise, whatever its categories."""


@dataclass(frozen=True)
class FlagRule:
    """One duty.

    Args:
        code: stable code.
        categories: categories that bring it; ``*`` stands for all.
        employees_above: it holds only above this number of employees; None: whatever the number.
        legal_basis: law, article and paragraph.
        mark: how far it is backed.
        valid_from: first day; None: unknown.
    """

    code: str
    categories: frozenset[str]
    employees_above: int | None
    legal_basis: str
    mark: Mark
    valid_from: date | None = None


@dataclass(frozen=True)
class Flag:
    """Whether a duty holds, and why.

    ``applies`` None: it depends on the number of employees, which is unknown.
    """

    rule: FlagRule
    applies: bool | None
    because: tuple[str, ...]


def flags(
    categories: Collection[str], employees: int | None, rules: Iterable[FlagRule], on: date | None = None
) -> tuple[Flag, ...]:
    """Return every rule in force with its answer.

    Args:
        categories: supervision categories of the enterprise.
        employees: persons employed; None: unknown.
        rules: the rule table.
        on: legal day; rules that begin later are left out.
    """
    found = []
    for rule in rules:
        if on is not None and rule.valid_from is not None and rule.valid_from > on:
            continue
        because = (ANY,) if ANY in rule.categories else tuple(sorted(rule.categories & set(categories)))
        applies: bool | None = bool(because)
        if because and rule.employees_above is not None:
            applies = None if employees is None else employees > rule.employees_above
        found.append(Flag(rule, applies, because))
    return tuple(found)
