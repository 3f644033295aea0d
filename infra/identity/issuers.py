"""Trusted issuers: each with the tiers it may speak for, its clients, and where its keys are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from infra.identity.port import Realm
from infra.settings import Settings, SettingsError

TIERS: Mapping[Realm, frozenset[str]] = {
    "gov": frozenset({"national", "province", "city", "county", "township", "park", "rescue_team", "agency"}),
    "ent": frozenset({"enterprise", "citizen", "agency"}),
}
"""Ceiling per realm: a token of ``ent`` can never carry an official tier (decision D1 of the identity study)."""

ALL_TIERS = frozenset().union(*TIERS.values())
REALMS: tuple[Realm, ...] = ("gov", "ent")
AUDIENCE = "anlan-api"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
"""Name of the event in a logout token; an identifier, not an address to fetch."""
CLIENTS = frozenset({"anlan-web", "anlan-public", "anlan-cli"})
"""Clients of the embedded issuer: our own web, third-party front ends, the command line."""


@dataclass(frozen=True)
class IssuerConfig:
    """One trusted issuer."""

    name: str
    """Short name, kept with people in the database: it stays when the address changes."""
    issuer: str
    """The value of ``iss``, compared character by character."""
    tiers: frozenset[str]
    """Tiers that its tokens may carry."""
    clients: frozenset[str]
    """Values of ``azp`` that are registered and active."""
    jwks_url: str
    """Where its public keys are."""
    algorithm: str = "RS256"
    """The only signature algorithm accepted from it."""


def issuer_url(public_url: str, realm: Realm) -> str:
    """Return the issuer of a realm of the embedded issuer."""
    return f"{public_url.rstrip('/')}/realms/{realm}"


def certs_url(issuer: str) -> str:
    """Return where an issuer of this layout (ours and Keycloak's) publishes its keys."""
    return f"{issuer}/protocol/openid-connect/certs"


def embedded_issuers(public_url: str) -> tuple[IssuerConfig, ...]:
    """Return the two realms of the embedded issuer."""
    return tuple(embedded_issuer(public_url, realm) for realm in REALMS)


def embedded_issuer(public_url: str, realm: Realm) -> IssuerConfig:
    """Return one realm of the embedded issuer."""
    url = issuer_url(public_url, realm)
    return IssuerConfig(realm, url, TIERS[realm], CLIENTS, certs_url(url))


def trusted_issuers(settings: Settings) -> tuple[IssuerConfig, ...]:
    """Return the issuers of these settings; unset: the embedded ones.

    Each entry of ``ANLAN_ISSUERS`` is
    ``{"name": ..., "issuer": URL, "tiers": [...], "clients": [...], "jwks_url": URL?}``.

    Raises:
        SettingsError: names the entry and what is wrong with it.
    """
    if settings.issuers is None:
        if not settings.embedded:
            raise SettingsError("ANLAN_ENV=production needs ANLAN_ISSUERS: the embedded issuer never serves it")
        return embedded_issuers(settings.public_url)
    found = tuple(_entry(number, raw, settings.env) for number, raw in enumerate(settings.issuers, start=1))
    if not len({config.issuer for config in found}) == len({config.name for config in found}) == len(found):
        raise SettingsError("ANLAN_ISSUERS has a name or an issuer twice; each may be there once")
    return found


def _entry(number: int, raw: Mapping[str, object], env: str) -> IssuerConfig:
    where = f"ANLAN_ISSUERS entry {number}"
    name, issuer = raw.get("name"), raw.get("issuer")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", name):
        raise SettingsError(f'{where}: "name" must be a short lower-case name such as gov, which never changes')
    if not isinstance(issuer, str) or not urlsplit(issuer).hostname:
        raise SettingsError(f'{where}: "issuer" must be the URL that tokens carry as iss')
    jwks_url = raw.get("jwks_url", certs_url(issuer))
    if not isinstance(jwks_url, str):
        raise SettingsError(f'{where}: "jwks_url" must be a URL')
    if env == "production" and not jwks_url.startswith("https://"):
        raise SettingsError(f"{where}: keys are fetched by https only in production")
    tiers, clients = _names(where, raw, "tiers"), _names(where, raw, "clients")
    if unknown := sorted(tiers - ALL_TIERS):
        raise SettingsError(f"{where}: unknown tiers {', '.join(unknown)}; known are {', '.join(sorted(ALL_TIERS))}")
    return IssuerConfig(name, issuer, tiers, clients, jwks_url)


def _names(where: str, raw: Mapping[str, object], key: str) -> frozenset[str]:
    value = raw.get(key)
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise SettingsError(f'{where}: "{key}" must be a list of names, not empty')
    if not all(isinstance(item, str) for item in value):
        raise SettingsError(f'{where}: "{key}" must hold names only')
    return frozenset(str(item) for item in value)
