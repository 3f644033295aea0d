"""Expected errors and their catalogue."""

import ast
import string
from pathlib import Path

import pytest

from app.kit.errors import LOCALES, ConflictFault, Fault, NotPermittedFault, codes, translate

ROOT = Path(__file__).resolve().parents[2]
RAISERS = {"Fault": 0, "require": 1}


def raised_codes() -> set[str]:
    """Literal codes in calls of ``Fault(CODE, …)`` and ``require(condition, CODE, …)``."""
    found = set()
    for folder in ("app", "tenants"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RAISERS):
                    continue
                index = RAISERS[node.func.id]
                literal = node.args[index] if len(node.args) > index else None
                if isinstance(literal, ast.Constant):
                    found.add(str(literal.value))
    return found


def test_every_code_has_a_text_in_every_language() -> None:
    missing = {locale: sorted(raised_codes() - codes(locale)) for locale in LOCALES}
    assert missing == {locale: [] for locale in LOCALES}


def test_languages_know_the_same_codes_with_the_same_values() -> None:
    chinese, english = LOCALES
    assert codes(chinese) == codes(english)

    def slots(code: str, locale: str) -> set[str | None]:
        from app.kit.errors import _catalogue  # noqa: PLC0415

        return {name for _, name, _, _ in string.Formatter().parse(_catalogue(locale)[code]) if name}

    for code in codes(chinese):
        assert slots(code, chinese) == slots(code, english), code


def test_a_fault_speaks_the_users_language() -> None:
    fault = Fault("TOO_LONG", ("input", "name"), limit=5, length=9)
    assert "最多 5 个字" in fault.message("zh-CN")
    assert "at most 5" in fault.message("en")
    assert fault.message("fr") == fault.message("zh-CN")


def test_special_faults_carry_their_place() -> None:
    assert ConflictFault(3).field == ("expectedVersion",)
    assert "enterprise.edit" in NotPermittedFault("enterprise.edit").message("en")
    with pytest.raises(KeyError):
        translate("NO_SUCH_CODE", "en")
