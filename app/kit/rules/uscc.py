"""统一社会信用代码 (unified social credit code), GB 32100-2015.

18 characters of an alphabet of 31: registration department (1), category of organisation (2),
division of the registering authority at the time (3-8), entity code of GB 11714 (9-17), check (18).
Positions count from 1. Positions 3-8 are never compared with today's divisions: the registering
authority's area may have been abolished since, and it is not where the plant stands.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from app.kit.errors import Fault

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""GB 32100-2015, table of characters: no I, O, S, V, Z."""
LENGTH = 18
REGION = range(3, 9)
ENTITY = range(9, 18)
_WEIGHTS = tuple(pow(3, index, len(ALPHABET)) for index in range(LENGTH - 1))
_ORG_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORG_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_OLD_REGISTRATION = re.compile(r"[0-9]{15}")
_INVISIBLE = re.compile("[\\s\u200b-\u200f\u2060\ufeff]+")
_LOOKALIKES = {"I": "1", "O": "0", "S": "5", "Z": "2"}
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_UPPER = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}

FICTITIOUS_REGIONS = tuple(f"99{number:04d}" for number in range(1, 100))
"""Registering regions that no GB/T 2260 division has or can get by today's plan (provinces are 11 to 82)."""


class Reason(StrEnum):
    """Why a code is refused; also the tail of the message's code (``USCC_LENGTH`` …)."""

    LENGTH = "LENGTH"
    OLD_NUMBER = "OLD_NUMBER"
    CHARACTER = "CHARACTER"
    REGION = "REGION"
    CHECK = "CHECK"


@dataclass(frozen=True)
class Repair:
    """One character whose change makes the code valid."""

    position: int
    found: str
    expected: str


@dataclass(frozen=True)
class UsccFault:
    """What is wrong, and where.

    Args:
        reason: kind of fault.
        position: position of the first wrong character from 1; for LENGTH the first missing or surplus one;
            for CHECK the check character, 18.
        found: what stands there; empty when nothing does.
        expected: the only right character there, where the rest decides it; for CHARACTER the likely one, or empty.
        repairs: for CHECK, single changes after which both check characters hold: where the typing slip likely is.
    """

    reason: Reason
    position: int
    found: str
    expected: str = ""
    repairs: tuple[Repair, ...] = ()


@dataclass(frozen=True)
class UsccCheck:
    """The answer for one code.

    Args:
        code: the normalised code.
        fault: None when the code is valid.
        entity_code_ok: whether positions 9-17 satisfy GB 11714. Only a warning when not: modern codes need not
            (the rule is unverified).
    """

    code: str
    fault: UsccFault | None
    entity_code_ok: bool

    @property
    def valid(self) -> bool:
        """Whether the code may be used."""
        return self.fault is None

    def require(self, *field: str) -> str:
        """Return the code.

        Args:
            field: path of the input, for the error.

        Raises:
            Fault: ``USCC_`` and the reason; ``_LIKELY`` at its end when a likely right character can be named.
        """
        if self.fault is None:
            return self.code
        likely = ", ".join(f"{slip.position} ({slip.found}→{slip.expected})" for slip in self.fault.repairs)
        named = likely or (self.fault.reason is Reason.CHARACTER and self.fault.expected)
        raise Fault(
            f"USCC_{self.fault.reason}{'_LIKELY' if named else ''}",
            field,
            position=self.fault.position,
            found=self.fault.found,
            expected=self.fault.expected,
            length=len(self.code),
            likely=likely,
        )


def normalise(text: str) -> str:
    """Return a code as it is stored: half-width, without blanks and invisible characters, upper case."""
    return _INVISIBLE.sub("", text.translate(_FULL_WIDTH)).translate(_UPPER)


def check_character(first17: str) -> str:
    """Return position 18 for positions 1-17 (GB 32100-2015): (31 - sum of value times 3^(i-1)) mod 31.

    Raises:
        ValueError: a character outside the alphabet, or not 17 of them.
    """
    total = sum(ALPHABET.index(char) * weight for char, weight in zip(first17, _WEIGHTS, strict=True))
    return ALPHABET[-total % len(ALPHABET)]


def entity_check_character(first8: str) -> str:
    """Return position 9 of an entity code for its positions 1-8 (GB 11714; unverified, warns only)."""
    total = sum(_ORG_ALPHABET.index(char) * weight for char, weight in zip(first8, _ORG_WEIGHTS, strict=True))
    return {10: "X", 11: "0"}.get(remainder := 11 - total % 11, str(remainder))


def check(text: str) -> UsccCheck:
    """Check a code as somebody typed it.

    Args:
        text: raw input.

    Returns:
        the normalised code with the first fault, exactly placed. Every substitution of one character and every swap
        of two unequal neighbours is caught: 31 is prime, no weight is 0 and neighbouring weights differ mod 31.
    """
    code = normalise(text)
    fault = _form_fault(code)
    if fault is not None:
        return UsccCheck(code, fault, entity_code_ok=False)
    entity_ok = _entity_ok(code)
    expected = check_character(code[:-1])
    if expected != code[-1]:
        fault = UsccFault(Reason.CHECK, LENGTH, code[-1], expected, tuple(_repairs(code)))
    return UsccCheck(code, fault, entity_ok)


def generate(region: str, entity8: str, category: str = "91") -> str:
    """Return a valid code.

    Args:
        region: six digits for positions 3-8; demo data use :data:`FICTITIOUS_REGIONS`.
        entity8: eight characters of the alphabet for positions 9-16.
        category: positions 1-2, ``91`` is an enterprise (unverified list).

    Raises:
        ValueError: a part has the wrong length or a character outside the alphabet.
    """
    if len(entity8) != len(_ORG_WEIGHTS) or not re.fullmatch(r"[0-9]{6}", region):
        raise ValueError("region is six digits, entity8 eight characters")
    body = f"{category}{region}{entity8}{entity_check_character(entity8)}"
    return body + check_character(body)


def _form_fault(code: str) -> UsccFault | None:
    for index, char in enumerate(code[:LENGTH], 1):
        if char not in ALPHABET:
            return UsccFault(Reason.CHARACTER, index, char, _LOOKALIKES.get(char, ""))
    if _OLD_REGISTRATION.fullmatch(code):
        return UsccFault(Reason.OLD_NUMBER, len(code) + 1, "")
    if len(code) != LENGTH:
        position = min(len(code), LENGTH) + 1
        return UsccFault(Reason.LENGTH, position, code[position - 1 : position])
    for index in REGION:
        if not code[index - 1].isdigit():
            return UsccFault(Reason.REGION, index, code[index - 1])
    return None


def _entity_ok(code: str) -> bool:
    entity = code[ENTITY.start - 1 : ENTITY.stop - 1]
    return entity_check_character(entity[:8]) == entity[8]


def _repairs(code: str) -> Iterator[Repair]:
    """Yield the single changes that satisfy both check characters; one per position at most."""
    for index in range(LENGTH):
        for char in ALPHABET:
            if char == code[index]:
                continue
            changed = code[:index] + char + code[index + 1 :]
            if check_character(changed[:-1]) != changed[-1]:
                continue
            if _form_fault(changed) is None and _entity_ok(changed):
                yield Repair(index + 1, code[index], char)
