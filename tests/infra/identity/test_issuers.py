"""Which issuers are trusted: the embedded ones, or those of the settings, each checked."""

import json
from typing import Any

import pytest

from infra.identity.issuers import TIERS, IssuerConfig, trusted_issuers
from infra.settings import Settings, SettingsError, load

GOOD = {
    "name": "gov",
    "issuer": "https://id.example/realms/gov",
    "tiers": ["province", "county"],
    "clients": ["anlan-web"],
}


def settings(*entries: dict[str, Any], env: str = "production") -> Settings:
    return load({"ANLAN_ENV": env, "ANLAN_ISSUERS": json.dumps(list(entries))})


def test_unset_means_the_two_embedded_realms() -> None:
    found = trusted_issuers(load({"ANLAN_PUBLIC_URL": "http://127.0.0.1:9000"}))
    assert [(config.name, config.issuer, config.tiers) for config in found] == [
        ("gov", "http://127.0.0.1:9000/realms/gov", TIERS["gov"]),
        ("ent", "http://127.0.0.1:9000/realms/ent", TIERS["ent"]),
    ]
    assert TIERS["gov"] & TIERS["ent"] == {"agency"}


def test_production_never_trusts_the_embedded_issuer() -> None:
    with pytest.raises(SettingsError, match="ANLAN_ISSUERS"):
        trusted_issuers(load({"ANLAN_ENV": "production"}))


def test_an_entry_is_taken_as_it_stands() -> None:
    [found] = trusted_issuers(settings(GOOD))
    certs = "https://id.example/realms/gov/protocol/openid-connect/certs"
    assert found == IssuerConfig(
        "gov", "https://id.example/realms/gov", frozenset({"province", "county"}), frozenset({"anlan-web"}), certs
    )
    [other] = trusted_issuers(settings({**GOOD, "jwks_url": "https://keys.example/"}))
    assert other.jwks_url == "https://keys.example/"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, "name"),
        ({"name": "Gov !"}, "name"),
        ({"issuer": "gov"}, "issuer"),
        ({"issuer": 5}, "issuer"),
        ({"tiers": []}, "tiers"),
        ({"tiers": "county"}, "tiers"),
        ({"tiers": ["emperor"]}, "emperor"),
        ({"clients": None}, "clients"),
        ({"clients": [1]}, "clients"),
        ({"jwks_url": 7}, "jwks_url"),
        ({"jwks_url": "http://id.example/certs"}, "https"),
    ],
)
def test_a_wrong_entry_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match="entry 2") as wrong:
        trusted_issuers(settings({**GOOD, "name": "other", "issuer": "https://x.example/"}, {**GOOD, **change}))
    assert message in str(wrong.value)


@pytest.mark.parametrize("change", [{"name": "other"}, {"issuer": "https://x.example/"}])
def test_nothing_is_there_twice(change: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="twice"):
        trusted_issuers(settings(GOOD, {**GOOD, **change}))
