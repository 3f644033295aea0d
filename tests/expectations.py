"""Who should see what, typed by hand from handbook 0.4 and appendix B and from the decisions.

Nothing here is computed from the product. ``tests/oracle.py`` decides rows with it; tests compare the
declarations of tables and the ``policies.py`` of slices with it, never the other way round. A table or
type without an entry fails the build.
"""

from dataclasses import dataclass, field
from types import MappingProxyType

OFFICES = frozenset({"PROVINCE", "CITY", "COUNTY", "TOWNSHIP", "PARK"})
SUPERVISORS = frozenset({"PROVINCE", "CITY", "COUNTY", "PARK"})
"""Appendix B, row "enterprise file": R R R – R; the township has no right to it."""
OTHERS = frozenset({"NATIONAL", "RESCUE_TEAM", "AGENCY"})
"""Kinds without a level: own rows, and rows named by dated grants (decision 16)."""
EVERY_TENANT = OFFICES | {"ENTERPRISE"} | OTHERS
EVERYBODY = EVERY_TENANT | {"PUBLIC"}


@dataclass(frozen=True)
class Rule:
    """Who reads the rows of one table.

    Args:
        readers: kinds of tenants whose members may read; PUBLIC: without a membership.
        scope: ``all``, ``own person``, ``level`` (the tenants above and below), or ``none`` (system).
        place: what places a row: ``owner``, ``site`` (column ``site_id``), ``self`` (it is a tenant), ``is site``.
        draft: value of ``state`` under which only its author's tenant sees a row.
        agencies_only: never shown to the enterprise; ``column``: where the row says so.
        grantee: the row is a dated grant, shown to the one it names.
        granted: shown to holders of a valid ``scope_grant`` or ``incident_call`` of the enterprise.
        hosted: shown to the host of the county that owns it, while a ``hosting`` is valid.
        system: system logins that read it, with a word for the rows.
    """

    readers: frozenset[str] = frozenset()
    scope: str = "level"
    place: str = "owner"
    draft: str | None = None
    agencies_only: str = "no"
    grantee: bool = False
    granted: bool = False
    hosted: bool = False
    system: dict[str, str] = field(default_factory=dict)


def _all(*logins: str) -> dict[str, str]:
    return dict.fromkeys(logins, "all")


_REFERENCE = Rule(EVERYBODY, "all")
TABLES = MappingProxyType(
    {
        # what all may read (decision 14)
        "agency": _REFERENCE,
        "division": _REFERENCE,
        "standard_table": _REFERENCE,
        "standard_version": _REFERENCE,
        "standard_row": _REFERENCE,
        "calendar_year": _REFERENCE,
        "calendar_day": _REFERENCE,
        "clock_offset": _REFERENCE,
        # one's own (decision 14, class person)
        "person": Rule(EVERYBODY, "own person", system=_all("sys_identity", "sys_seed", "sys_jobs")),
        "job": Rule(EVERY_TENANT, "own person", system=_all("sys_jobs", "sys_retention")),
        "idempotency": Rule(EVERYBODY, "own person", system=_all("sys_retention")),
        # the tree and its people
        "tenant": Rule(
            EVERY_TENANT,
            place="self",
            granted=True,
            hosted=True,
            system=_all("sys_seed", "sys_move", "sys_identity", "sys_intake", "sys_jobs", "sys_audit"),
        ),
        "tenant_change": Rule(EVERY_TENANT, system=_all("sys_seed", "sys_move")),
        "membership": Rule(
            EVERY_TENANT,
            hosted=True,
            system=_all("sys_identity", "sys_seed", "sys_move", "sys_jobs", "sys_intake"),
        ),
        "scope_grant": Rule(EVERY_TENANT, grantee=True, system=_all("sys_seed", "sys_move")),
        "incident_call": Rule(EVERY_TENANT, grantee=True, system=_all("sys_seed", "sys_move")),
        "hosting": Rule(OFFICES | OTHERS, grantee=True, system=_all("sys_seed", "sys_move")),
        # what happened
        "event": Rule(
            EVERY_TENANT,
            place="site",
            draft="DRAFT",
            agencies_only="column",
            system=_all("sys_relay", "sys_audit", "sys_move", "sys_jobs"),
        ),
        "audit_entry": Rule(
            EVERY_TENANT,
            place="site",
            system={
                **_all("sys_audit", "sys_move"),
                "sys_jobs": "nobody's act",
                "sys_identity": "nobody's denial",
            },
        ),
        "audit_head": Rule(EVERY_TENANT, system=_all("sys_audit", "sys_move")),
        # appendix B, row "enterprise file"
        "enterprise": Rule(SUPERVISORS | {"ENTERPRISE"} | OTHERS, granted=True, system=_all("sys_seed", "sys_move")),
        "enterprise_change": Rule(SUPERVISORS | {"ENTERPRISE"}, draft="DRAFT", system=_all("sys_seed", "sys_move")),
        "enterprise_person": Rule(
            SUPERVISORS | {"ENTERPRISE"} | OTHERS, granted=True, system=_all("sys_seed", "sys_move")
        ),
        "site": Rule(
            SUPERVISORS | {"ENTERPRISE"} | OTHERS,
            place="is site",
            granted=True,
            system=_all("sys_seed", "sys_move"),
        ),
        # decision 41: decided on the county's page
        "registration": Rule(
            frozenset({"COUNTY"}), agencies_only="always", system=_all("sys_seed", "sys_move", "sys_retention")
        ),
        # only for duties of the system
        "outbox": Rule(scope="none", system=_all("sys_relay")),
        "event_position": Rule(scope="none", system=_all("sys_relay", "sys_audit")),
        "job_attempt": Rule(scope="none", system=_all("sys_jobs", "sys_relay")),
        "dead_letter": Rule(scope="none", system=_all("sys_jobs", "sys_relay")),
        "actor_done": Rule(scope="none", system=_all("sys_jobs", "sys_relay")),
        "object_version": Rule(scope="none", system=_all("sys_jobs", "sys_retention")),
    }
)

BELOW = frozenset({"own", "child"})
"""A level reads itself and what lies below it (handbook 0.4)."""
RELATIONS = (
    "own",
    "child",
    "parent",
    "sibling",
    "other_province",
    "park_overlap",
    "hosted",
    "called",
    "granted",
    "expired",
    "anonymous",
)
_OVERSIGHT = {
    "PROVINCE": BELOW,
    "CITY": BELOW,
    "COUNTY": BELOW,
    "PARK": BELOW | {"park_overlap"},
    "ENTERPRISE": frozenset({"own"}),
}
_DATED = {"RESCUE_TEAM": frozenset({"own", "called"}), "AGENCY": frozenset({"own", "granted", "hosted"})}
TYPES: MappingProxyType[str, dict[str, frozenset[str]]] = MappingProxyType(
    {
        "Tenant": {**_OVERSIGHT, **_DATED, "TOWNSHIP": BELOW, "NATIONAL": frozenset({"own"})},
        "Membership": {
            **_OVERSIGHT,
            "TOWNSHIP": BELOW,
            "NATIONAL": frozenset({"own"}),
            "RESCUE_TEAM": frozenset({"own"}),
            "AGENCY": frozenset({"own", "hosted"}),
        },
        "Enterprise": {
            **_OVERSIGHT,
            "RESCUE_TEAM": frozenset({"called"}),
            "AGENCY": frozenset({"granted"}),
        },
        "Site": {**_OVERSIGHT, "RESCUE_TEAM": frozenset({"called"}), "AGENCY": frozenset({"granted"})},
        "EnterprisePerson": {**_OVERSIGHT, "RESCUE_TEAM": frozenset({"called"}), "AGENCY": frozenset({"granted"})},
        "EnterpriseChange": dict(_OVERSIGHT),
        "Registration": {"COUNTY": frozenset({"own"})},
        "AuditEntry": {**_OVERSIGHT, "TOWNSHIP": BELOW, **dict.fromkeys(OTHERS, frozenset({"own"}))},
    }
)
"""Type of the API to kind of the actor's tenant to the relations under which he reads it; absent: never."""
