"""Signing: what is signed verifies, and nothing else does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.queue.port import RejectedError
from infra.queue.signing import Signer

KEY = "0123456789abcdef-key"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ARGS = st.dictionaries(st.text(max_size=6), JSON, max_size=3)


@given(args=ARGS, other=ARGS)
def test_arguments_are_part_of_the_signature(args: dict[str, Any], other: dict[str, Any]) -> None:
    signer = Signer(KEY, now=lambda: 1000.0)
    envelope = signer.sign({"level": "county"}, "job", "id", args)
    assert signer.verify(envelope, "job", "id", args)["level"] == "county"
    if repr(other) != repr(args) and other != args:
        with pytest.raises(RejectedError, match="ALTERED"):
            signer.verify(envelope, "job", "id", other)


def test_the_borders_between_the_parts_are_signed() -> None:
    signer = Signer(KEY)
    envelope = signer.sign({}, "ab", "c", {})
    with pytest.raises(RejectedError, match="ALTERED"):
        signer.verify(envelope, "a", "bc", {})


def test_a_context_is_valid_from_its_signing_until_its_expiry() -> None:
    envelope = Signer(KEY, now=lambda: 1000.0, lifetime_s=10).sign({}, "job", "id", {})
    assert Signer(KEY, now=lambda: 1009.0).verify(envelope, "job", "id", {})["exp"] == 1010
    with pytest.raises(RejectedError, match="EXPIRED"):
        Signer(KEY, now=lambda: 1010.0).verify(envelope, "job", "id", {})
    with pytest.raises(RejectedError, match="EXPIRED"):
        Signer(KEY, now=lambda: 900.0).verify(envelope, "job", "id", {})


def test_a_retired_key_still_verifies_and_an_unknown_one_does_not() -> None:
    envelope = Signer(KEY).sign({}, "job", "id", {})
    assert Signer("another key of 16 bytes", retired=(KEY,)).verify(envelope, "job", "id", {})
    with pytest.raises(RejectedError, match="UNSIGNED"):
        Signer("another key of 16 bytes").verify(envelope, "job", "id", {})


def test_a_caller_cannot_choose_its_own_times_or_key() -> None:
    envelope = Signer(KEY, now=lambda: 5.0).sign({"exp": 10**12, "kid": "x", "v": 9}, "job", "id", {})
    assert envelope["context"]["exp"] == 5 + 24 * 3600


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Signer("short")
