"""What each role may do, and who administers whom: typed by hand from handbook 0.4 and appendix B, study 1.6.

Nothing here comes from the product; ``tests/tenants/test_role_tables.py`` compares it with ``tenants.roles`` and
``tenants.delegation``.
"""

from collections.abc import Mapping

READ = "enterprise.read member.read standard.read tenant.read"
ADMINISTERS = (
    "member.read member.propose member.decide member.end tenant.read tenant.rename tenant.change standard.read "
    "enterprise.read grant.manage"
)
APPROVES = "member.read member.approve tenant.read"
AUDITS = "audit.read member.read tenant.read"
LOOKS = "enterprise.read standard.read tenant.read"
FILES = "enterprise.edit enterprise.submit"
OFFICE = f"""
    LEADER        {READ} enterprise.lock
    OFFICER       {READ}
    STATISTICIAN  {READ}
    ADMIN         {ADMINISTERS}
    SECURITY      {APPROVES}
    AUDITOR       {AUDITS}
"""
_TYPED = {
    "NATIONAL": """
    EXCHANGE      standard.read standard.publish
    AUDITOR       audit.read
    ADMIN         member.read member.propose member.decide member.end
    SECURITY      member.read member.approve
""",
    "PROVINCE": f"{OFFICE}    STANDARDS     standard.read standard.publish tenant.read",
    "CITY": OFFICE,
    "COUNTY": f"{OFFICE}    ACCEPTOR      {READ} registration.decide enterprise.verify member.slip",
    "TOWNSHIP": f"""
    OFFICER       {READ}
    GRID          {LOOKS}
    ADMIN         {ADMINISTERS}
    SECURITY      {APPROVES}
    AUDITOR       {AUDITS}
""",
    "PARK": f"""
    LEADER        {READ}
    OFFICER       {READ}
    DUTY          {LOOKS}
    ADMIN         {ADMINISTERS}
    SECURITY      {APPROVES}
    AUDITOR       {AUDITS}
""",
    "ENTERPRISE": f"""
    HEAD            {READ} {FILES} member.approve
    SAFETY_MANAGER  {READ} {FILES} grant.manage
    WORKER          {LOOKS}
    ADMIN           {READ} {FILES} member.propose member.decide member.end grant.manage
    AUDITOR         audit.read tenant.read
""",
    "RESCUE_TEAM": f"""
    CAPTAIN       {READ}
    DUTY          {READ}
    MEMBER        enterprise.read tenant.read
    ADMIN         {ADMINISTERS}
    SECURITY      {APPROVES}
""",
    "AGENCY": f"""
    EXPERT        {READ}
    ADMIN         {ADMINISTERS}
    SECURITY      {APPROVES}
""",
}


def _roles(lines: str) -> dict[str, frozenset[str]]:
    return {role: frozenset(names) for role, *names in (line.split() for line in lines.strip().splitlines())}


ROLES: Mapping[str, Mapping[str, frozenset[str]]] = {kind: _roles(lines) for kind, lines in _TYPED.items()}
"""Kind to role to what it may do."""

CAPABILITIES = frozenset(name for roles in ROLES.values() for names in roles.values() for name in names)
"""Everything that anybody may do."""

BELOW: Mapping[str, str] = {
    "PROVINCE": "CITY COUNTY TOWNSHIP PARK ENTERPRISE RESCUE_TEAM AGENCY",
    "CITY": "COUNTY TOWNSHIP PARK ENTERPRISE RESCUE_TEAM AGENCY",
    "COUNTY": "TOWNSHIP PARK ENTERPRISE RESCUE_TEAM AGENCY",
    "TOWNSHIP": "ENTERPRISE RESCUE_TEAM AGENCY",
    "PARK": "ENTERPRISE RESCUE_TEAM AGENCY",
}
"""Kind to the kinds whose people its administrators administer, where those lie below it; all others only their own."""

ABOVE: Mapping[str, str] = {
    "PROVINCE": "NATIONAL",
    "CITY": "NATIONAL PROVINCE",
    "COUNTY": "NATIONAL PROVINCE CITY",
    "TOWNSHIP": "NATIONAL PROVINCE CITY COUNTY",
    "PARK": "NATIONAL PROVINCE CITY COUNTY",
    "ENTERPRISE": "NATIONAL PROVINCE CITY COUNTY TOWNSHIP PARK",
    "RESCUE_TEAM": "NATIONAL PROVINCE CITY COUNTY TOWNSHIP PARK",
    "AGENCY": "NATIONAL PROVINCE CITY COUNTY TOWNSHIP PARK",
}
"""Kind to the kinds above it, whose people it never administers."""

GRANTS: Mapping[str, str] = {"ADMIN": "every role of the tenant's kind"}
"""Role to what it may grant; no other role grants anything."""

TWO_PERSONS = frozenset({"ADMIN", "SECURITY", "AUDITOR", "HEAD"})
"""Roles that a second person must approve."""

APART = frozenset({"ADMIN", "SECURITY", "AUDITOR"})
"""Roles of which a person holds one at most (三员分立)."""
