"""Texts that people type: trimmed, in one Unicode form, without what cannot be seen; and numbers half hidden."""

import unicodedata
from collections.abc import Sequence

from app.kit.errors import Fault, require

TEXT_CONTROL = "TEXT_CONTROL"
_LAYOUT = "\n\t"
_JOINERS = "\u200c\u200d"
"""Zero width, but some scripts need them inside a word."""
_SHOWN, _HIDDEN, _HEAD = 7, 4, 3


def clean(value: str | None, field: Sequence[str], *, limit: int, required: bool = True, one_line: bool = False) -> str:
    """Return a text trimmed and in Unicode form NFC.

    Args:
        value: as sent.
        field: path of the input's field, for the fault.
        limit: most characters.
        required: whether it must have a visible character.
        one_line: turn each run of white space into one blank, as names and titles want it.

    Raises:
        Fault: ``REQUIRED``, ``TOO_LONG``; ``TEXT_CONTROL`` for characters that show nothing or turn the writing
            around (Unicode Cc, Cs, Cf), which make two names look like one.
    """
    text = unicodedata.normalize("NFC", value or "").strip()
    if one_line:
        text = " ".join(text.split())
    require(text or not required, "REQUIRED", field)
    require(len(text) <= limit, "TOO_LONG", field, limit=limit, length=len(text))
    for position, char in enumerate(text, 1):
        inside = char in _JOINERS and 1 < position < len(text)
        if unicodedata.category(char) in ("Cc", "Cs", "Cf") and char not in _LAYOUT and not inside:
            raise Fault(TEXT_CONTROL, field, position=position, code=f"U+{ord(char):04X}")
    return text


def mask(number: str) -> str:
    """Return a telephone number with its middle hidden: seven characters at most are shown, four at least are not."""
    shown = max(0, len(number) - max(_HIDDEN, len(number) - _SHOWN))
    head = shown * _HEAD // _SHOWN
    return number[:head] + "*" * (len(number) - shown) + number[len(number) - (shown - head) :]
