"""Identifiers."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from app.kit.ids import global_id, parse_global_id, uuid7


def test_uuid7_has_version_and_variant_and_grows_by_millisecond() -> None:
    made = [uuid7() for _ in range(2000)]
    assert {(item.version, item.variant) for item in made} == {(7, uuid.RFC_4122)}
    assert len(set(made)) == len(made)
    moments = [item.int >> 80 for item in made]
    assert moments == sorted(moments)


@given(st.uuids(), st.from_regex(r"[a-z]+(_[a-z]+)*", fullmatch=True))
def test_global_ids_survive_the_round_trip(row_id: uuid.UUID, prefix: str) -> None:
    text = global_id(prefix, row_id)
    assert parse_global_id(text) == (prefix, row_id)
    assert parse_global_id(text, prefix) == (prefix, row_id)
    assert parse_global_id(text, prefix + "x") is None


@given(st.text(max_size=60))
def test_garbage_is_not_an_id(text: str) -> None:
    parsed = parse_global_id(text)
    assert parsed is None or str(parsed[1]) in text.lower().replace("{", "")
