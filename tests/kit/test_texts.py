"""Texts without what cannot be seen, and numbers that stay half hidden."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.errors import Fault
from app.kit.texts import TEXT_CONTROL, clean, mask

HIDDEN = ["\x00", "\x1b", "\x7f", "\u202e", "\u2066", "\u2069", "\u200b", "\ufeff", "\u2060", "\ud800", "\u00ad"]


@pytest.mark.parametrize("char", HIDDEN, ids=lambda char: f"U+{ord(char):04X}")
@pytest.mark.parametrize("around", ["江阴{}化工", "{}江阴化工", "江阴化工{}", "{}"])
def test_what_cannot_be_seen_is_refused_with_its_place(char: str, around: str) -> None:
    with pytest.raises(Fault) as refused:
        clean(around.format(char), ("name",), limit=50)
    assert (refused.value.code, refused.value.field) == (TEXT_CONTROL, ("name",))
    assert refused.value.params == {"position": around.index("{") + 1, "code": f"U+{ord(char):04X}"}
    for locale in ("zh-CN", "en"):
        assert f"U+{ord(char):04X}" in refused.value.message(locale)


@given(st.text(max_size=60))
def test_what_passes_is_trimmed_visible_and_stays_the_same(text: str) -> None:
    try:
        done = clean(text, ("x",), limit=60)
    except Fault:
        return
    assert done == done.strip() == unicodedata.normalize("NFC", done)
    assert clean(done, ("x",), limit=60) == done
    assert not any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t" for char in done)


def test_lines_are_kept_where_they_may_be() -> None:
    assert clean(" 一\n二\t三 ", ("x",), limit=10) == "一\n二\t三"
    assert clean(" 一\n二 \t 三 ", ("x",), limit=10, one_line=True) == "一 二 三"
    assert clean("क्\u200dष", ("x",), limit=10) == "क्\u200dष"
    assert clean(None, ("x",), limit=10, required=False) == ""


@pytest.mark.parametrize(
    ("number", "masked"),
    [("13812345678", "138****5678"), ("1234567", "1****67"), ("12345678", "1****678"), ("1234", "****"), ("", ""),
     ("123456789012345", "123********2345")],
)  # fmt: skip
def test_four_characters_at_least_are_hidden(number: str, masked: str) -> None:
    assert mask(number) == masked


@given(st.text("0123456789", max_size=20))
def test_a_mask_keeps_the_length_and_shows_seven_at_most(number: str) -> None:
    shown = mask(number)
    assert len(shown) == len(number)
    assert sum(char != "*" for char in shown) <= 7
    assert shown.count("*") >= min(4, len(number))
