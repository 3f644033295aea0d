"""Kinds of tenants, the six levels, and the logins behind them.

A *level* has a key column in every tenant table and a login of its own. Kinds without a column
(national, rescue team, agency) see their own rows by ``owner_key`` and rows of others only by
explicit, dated rows, through the login ``assigned`` (decision 16).
"""

from enum import StrEnum


class Kind(StrEnum):
    """What a tenant is."""

    NATIONAL = "NATIONAL"
    PROVINCE = "PROVINCE"
    CITY = "CITY"
    COUNTY = "COUNTY"
    TOWNSHIP = "TOWNSHIP"
    PARK = "PARK"
    ENTERPRISE = "ENTERPRISE"
    RESCUE_TEAM = "RESCUE_TEAM"
    AGENCY = "AGENCY"


LEVELS = ("province", "city", "county", "township", "park", "enterprise")
"""The six fixed levels, highest first; the park stands beside the division tree (decision 9)."""

LEVEL_KINDS = {Kind[level.upper()]: level for level in LEVELS}
"""Kind to level, for kinds that have a level."""

AUTHORITIES = (Kind.NATIONAL, Kind.PROVINCE, Kind.CITY, Kind.COUNTY, Kind.TOWNSHIP, Kind.PARK)
"""Kinds whose name is public knowledge and stands in the table ``agency``."""

TIERS = {
    Kind.NATIONAL: 0,
    Kind.PROVINCE: 1,
    Kind.CITY: 2,
    Kind.COUNTY: 3,
    Kind.TOWNSHIP: 4,
    Kind.PARK: 4,
    Kind.ENTERPRISE: 5,
    Kind.RESCUE_TEAM: 5,
    Kind.AGENCY: 5,
}
"""Height in the hierarchy, 0 highest; nobody grants above his own."""

PEOPLE_LOGINS = (*LEVELS, "assigned")
"""Logins that act for a membership."""

SYSTEM_LOGINS = (
    "sys_identity",
    "sys_relay",
    "sys_seed",
    "sys_move",
    "sys_audit",
    "sys_jobs",
    "sys_intake",
    "sys_issuer",
    "sys_retention",
    "sys_clock",
)
"""Logins of system duties, each with named policies on exactly its tables (decision 17)."""

LOGINS = (*PEOPLE_LOGINS, "public", *SYSTEM_LOGINS)
"""Every login that serves the product; ``migrator`` comes on top for migrations."""


def login_of(kind: Kind) -> str:
    """Return the database login under which members of a tenant of this kind act."""
    return LEVEL_KINDS.get(kind, "assigned")


def key_column(level: str) -> str:
    """Return the name of the key column of a level."""
    return f"{level}_key"
