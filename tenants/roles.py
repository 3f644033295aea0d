"""Roles per kind of tenant and what each may do (handbook 0.4 and appendix B, as far as slices exist).

A capability is ``object.verb``; slices name theirs in ``policies.py``. Rows are limited by the
database; a capability limits the verb.
"""

from collections.abc import Iterable
from types import MappingProxyType

from tenants.kinds import Kind

ADMIN = "ADMIN"
"""系统管理员: manages users of its own area; granted by four eyes."""
SECURITY = "SECURITY"
"""安全管理员: approves administrators, reads who may see what; never ADMIN or AUDITOR as well."""
AUDITOR = "AUDITOR"
"""审计管理员: reads the audit log; exclusive of ADMIN and SECURITY (三员分立, unverified practice)."""
EXCLUSIVE = frozenset({ADMIN, SECURITY, AUDITOR})

_READ = ("enterprise.read", "member.read", "standard.read", "tenant.read")
_OFFICE_SHARED = {
    "LEADER": (*_READ, "enterprise.lock"),
    "OFFICER": (*_READ,),
    "STATISTICIAN": _READ,
    ADMIN: (
        "member.read",
        "member.propose",
        "member.decide",
        "member.end",
        "tenant.read",
        "tenant.rename",
        "tenant.change",
        "standard.read",
        "enterprise.read",
        "grant.manage",
    ),
    SECURITY: ("member.read", "member.approve", "tenant.read"),
    AUDITOR: ("audit.read", "member.read", "tenant.read"),
}
_HIGHER_OFFICE = {**_OFFICE_SHARED, "STANDARDS": ("standard.read", "standard.publish", "tenant.read")}
_COUNTY = {
    **_OFFICE_SHARED,
    "ACCEPTOR": (*_READ, "registration.decide", "enterprise.verify", "member.slip"),
}

ROLES: MappingProxyType[Kind, MappingProxyType[str, tuple[str, ...]]] = MappingProxyType(
    {
        kind: MappingProxyType(table)
        for kind, table in {
            Kind.NATIONAL: {
                "EXCHANGE": ("standard.read", "standard.publish"),
                AUDITOR: ("audit.read",),
                ADMIN: ("member.read", "member.propose", "member.decide", "member.end"),
                SECURITY: ("member.read", "member.approve"),
            },
            Kind.PROVINCE: _HIGHER_OFFICE,
            Kind.CITY: _OFFICE_SHARED,
            Kind.COUNTY: _COUNTY,
            Kind.TOWNSHIP: {
                "OFFICER": _READ,
                "GRID": ("enterprise.read", "standard.read", "tenant.read"),
                ADMIN: _OFFICE_SHARED[ADMIN],
                SECURITY: _OFFICE_SHARED[SECURITY],
                AUDITOR: _OFFICE_SHARED[AUDITOR],
            },
            Kind.PARK: {
                "LEADER": _READ,
                "OFFICER": _READ,
                "DUTY": ("enterprise.read", "standard.read", "tenant.read"),
                ADMIN: _OFFICE_SHARED[ADMIN],
                SECURITY: _OFFICE_SHARED[SECURITY],
                AUDITOR: _OFFICE_SHARED[AUDITOR],
            },
            Kind.ENTERPRISE: {
                "HEAD": (*_READ, "enterprise.edit", "enterprise.submit", "member.approve"),
                "SAFETY_MANAGER": (*_READ, "enterprise.edit", "enterprise.submit", "grant.manage"),
                "WORKER": ("standard.read", "enterprise.read", "tenant.read"),
                ADMIN: (
                    *_READ,
                    "enterprise.edit",
                    "enterprise.submit",
                    "member.propose",
                    "member.decide",
                    "member.end",
                    "grant.manage",
                ),
                AUDITOR: ("audit.read", "tenant.read"),
            },
            Kind.RESCUE_TEAM: {
                "CAPTAIN": _READ,
                "DUTY": _READ,
                "MEMBER": ("enterprise.read", "tenant.read"),
                ADMIN: _OFFICE_SHARED[ADMIN],
                SECURITY: _OFFICE_SHARED[SECURITY],
            },
            Kind.AGENCY: {"EXPERT": _READ, ADMIN: _OFFICE_SHARED[ADMIN], SECURITY: _OFFICE_SHARED[SECURITY]},
        }.items()
    }
)
"""Kind to role to capabilities."""

PRIVILEGED = EXCLUSIVE | {role for table in ROLES.values() for role, may in table.items() if "member.approve" in may}
"""Roles whose grant needs a second person: administrators, and whoever is such a second person himself."""

KNOWN_ROLES = frozenset(role for table in ROLES.values() for role in table)
"""Every role of any kind; a token that carries another one is refused."""


def capabilities(kind: Kind, roles: Iterable[str]) -> frozenset[str]:
    """Return what these roles allow in a tenant of this kind; unknown roles allow nothing."""
    table = ROLES[kind]
    return frozenset(capability for role in roles for capability in table.get(role, ()))
