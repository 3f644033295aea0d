import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.errors import LOCALES, Fault
from app.kit.rules import uscc
from app.kit.rules.datafiles import read_rows
from tests.factories.standards import credit_codes

EXAMPLE = "91440606707539050R"


def test_worked_example_is_valid() -> None:
    answer = uscc.check(EXAMPLE)
    assert answer.valid
    assert answer.entity_code_ok
    assert answer.require("creditCode") == EXAMPLE


def test_wrong_check_digit_is_refused_with_its_position() -> None:
    answer = uscc.check("91440606707539051R")
    assert answer.fault is not None
    assert (answer.fault.reason, answer.fault.position) == (uscc.Reason.CHECK, 18)
    assert (answer.fault.found, answer.fault.expected) == ("R", "W")
    assert uscc.Repair(17, "1", "0") in answer.fault.repairs


def test_check_character_may_be_a_letter_of_the_whole_alphabet() -> None:
    seen = {uscc.generate("990001", f"{number:08d}")[-1] for number in range(600)}
    assert seen == set(uscc.ALPHABET)


@given(credit_codes(), st.integers(0, 17), st.sampled_from(uscc.ALPHABET))
def test_every_substitution_is_caught(code: str, index: int, char: str) -> None:
    changed = code[:index] + char + code[index + 1 :]
    assert uscc.check(changed).valid is (changed == code)


@given(credit_codes(), st.integers(0, 17), st.sampled_from(uscc.ALPHABET))
def test_a_substitution_can_be_traced_back(code: str, index: int, char: str) -> None:
    fault = uscc.check(code[:index] + char + code[index + 1 :]).fault
    if fault is not None and fault.reason is uscc.Reason.CHECK:
        assert uscc.Repair(index + 1, char, code[index]) in fault.repairs


@given(credit_codes(), st.integers(0, 16))
def test_every_swap_of_neighbours_is_caught(code: str, index: int) -> None:
    swapped = code[:index] + code[index + 1] + code[index] + code[index + 2 :]
    assert uscc.check(swapped).valid is (swapped == code)


@given(credit_codes(), st.lists(st.integers(0, 18), max_size=4), st.sampled_from(" \u3000\t\u200b\ufeff\n"))
def test_normalises_blanks_width_and_case(code: str, places: list[int], blank: str) -> None:
    text = code.lower().translate({ord(char): ord(char) + 0xFEE0 for char in "0123456789abcdxyz"})
    for place in sorted(places, reverse=True):
        text = text[:place] + blank + text[place:]
    assert uscc.normalise(text) == code
    assert uscc.check(text).valid


@given(credit_codes())
def test_generated_codes_belong_to_no_real_division(code: str) -> None:
    assert uscc.check(code).entity_code_ok
    real = {row["code"][:2] for row in read_rows("regions/divisions.csv")}
    assert code[2:4] == "99"
    assert "99" not in real


@pytest.mark.parametrize(
    ("text", "reason", "position"),
    [
        ("", "LENGTH", 1),
        ("9144060670", "LENGTH", 11),
        (EXAMPLE + "7", "LENGTH", 19),
        ("610100100000123", "OLD_NUMBER", 16),
        ("9144060670753905OR", "CHARACTER", 17),
        ("914406-6707539050R", "CHARACTER", 7),
        ("91A40606707539050R", "REGION", 3),
        ("9144060A707539050R", "REGION", 8),
        ("９１440606707539O50R", "CHARACTER", 15),
        ("91440606707539050İ", "CHARACTER", 18),
    ],
)
def test_names_the_first_fault(text: str, reason: str, position: int) -> None:
    fault = uscc.check(text).fault
    assert fault is not None
    assert (fault.reason, fault.position) == (reason, position)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "91440606707539051R",
        "9144060670753905OR",
        "9144060670753905-R",
        "91A4060670753905",
        "91A40606707539050R",
        "610100100000123",
        "914406067075390511",
    ],
)
@pytest.mark.parametrize("locale", LOCALES)
def test_every_fault_has_a_text_in_both_languages(text: str, locale: str) -> None:
    with pytest.raises(Fault) as raised:
        uscc.check(text).require("creditCode")
    assert raised.value.field == ("creditCode",)
    message = raised.value.message(locale)
    assert "{" not in message
    assert str(raised.value.params["position"]) in message or "15" in message


@given(st.text(max_size=40))
def test_any_text_gets_an_answer(text: str) -> None:
    answer = uscc.check(text)
    assert answer.valid is (answer.fault is None)
    assert not answer.valid or len(answer.code) == uscc.LENGTH


def test_generate_refuses_parts_of_the_wrong_form() -> None:
    for region, entity in (("99001", "12345678"), ("990001", "1234567"), ("990001", "1234567O")):
        with pytest.raises(ValueError, match=r"six digits|substring"):
            uscc.generate(region, entity)
