"""Signed addresses: exactly what was signed opens, for exactly as long, and everything else gets one answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.objects.port import AddressRefusedError
from infra.objects.signing import AddressSigner

KEY = "a key of more than sixteen characters"
WORD = st.text(max_size=12).filter(lambda word: word not in {"sig", "exp"})
PARAMS = {"tenant": "7", "type": "image/jpeg", "length": "1000", "disposition": 'attachment; filename="隐患.jpg"'}


def signer(now: float = 1000.0, key: str = KEY) -> AddressSigner:
    return AddressSigner(key, now=lambda: now)


def refused(one: AddressSigner, method: str, name: str, query: list[tuple[str, str]]) -> None:
    with pytest.raises(AddressRefusedError) as error:
        one.verify(method, name, query)
    assert str(error.value) == "the address is not valid"


@given(params=st.dictionaries(WORD, WORD, max_size=4), name=st.text(max_size=30))
def test_what_was_signed_opens_in_any_order(params: dict[str, str], name: str) -> None:
    query = signer().sign("GET", name, params, 60)
    assert signer().verify("GET", name, reversed(list(query.items()))) == params


@pytest.mark.parametrize("name", [*PARAMS, "exp", "sig"])
def test_each_parameter_altered_or_missing_is_refused(name: str) -> None:
    query = signer().sign("PUT", "upload/7/a", PARAMS, 60)
    refused(signer(), "PUT", "upload/7/a", list({**query, name: query[name] + "1"}.items()))
    refused(signer(), "PUT", "upload/7/a", [(k, v) for k, v in query.items() if k != name])
    refused(signer(), "PUT", "upload/7/a", [*query.items(), (name, query[name])])
    refused(signer(), "PUT", "upload/7/a", [(name, "other"), *query.items()])


def test_another_method_object_tenant_or_key_is_refused() -> None:
    query = list(signer().sign("GET", "evidence/v1", PARAMS, 60).items())
    refused(signer(), "PUT", "evidence/v1", query)
    refused(signer(), "GET", "evidence/v2", query)
    refused(signer(key=KEY + "!"), "GET", "evidence/v1", query)
    refused(signer(), "GET", "evidence/v1", [*query, ("more", "1")])
    assert signer().verify("get", "evidence/v1", query) == PARAMS


@given(cut=st.integers(0, 11))
def test_the_borders_between_the_parts_are_signed(cut: int) -> None:
    text = "evidence/v12"
    query = signer().sign("GET", text, {"a": "b"}, 60)
    moved = {**{k: v for k, v in query.items() if k != "a"}, "a" + text[cut:]: "b"}
    refused(signer(), "GET", text[:cut], list(moved.items()))


def test_it_ends_at_its_expiry() -> None:
    query = list(signer(1000).sign("GET", "evidence/v1", {}, 60).items())
    assert signer(1059).verify("GET", "evidence/v1", query) == {}
    refused(signer(1060), "GET", "evidence/v1", query)


@pytest.mark.parametrize("expiry", ["", "soon", "1e9", "-1", "９９９９", "99999999999999999999x"])
def test_an_expiry_that_is_no_number_is_refused_even_with_a_right_signature(expiry: str) -> None:
    one = signer()
    mac = one._mac("GET", "evidence/v1", {"exp": expiry})
    refused(one, "GET", "evidence/v1", [("exp", expiry), ("sig", mac)])
    refused(one, "GET", "evidence/v1", [("sig", one._mac("GET", "evidence/v1", {}))])


@pytest.mark.parametrize("lifetime", [0, -5, 7 * 24 * 3600 + 1])
def test_a_lifetime_has_limits(lifetime: int) -> None:
    with pytest.raises(ValueError, match="seven days"):
        signer().sign("GET", "evidence/v1", {}, lifetime)


def test_reserved_names_and_short_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="set here"):
        signer().sign("GET", "evidence/v1", {"exp": "9"}, 60)
    with pytest.raises(ValueError, match="16"):
        AddressSigner("short")


def test_anonymous_reads_are_refused_everywhere_but_in_public() -> None:
    assert signer().authorize_read("public", "v1", []) == {}
    for bucket in ("evidence", "upload", "Public", "public2", ""):
        with pytest.raises(AddressRefusedError):
            signer().authorize_read(bucket, "v1", [])
    query = signer().sign("GET", "evidence/v1", {"a": "b"}, 60)
    assert signer().authorize_read("evidence", "v1", query.items()) == {"a": "b"}
