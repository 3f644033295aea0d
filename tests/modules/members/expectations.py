"""Who reads what of the tree: handbook 0.4 and appendix B, decisions 14 and 16; typed by hand."""

from tests.matrix.words import BELOW, CHILD, OF_FIRMS, OVERSIGHT, OWN, SHARED, Edge, Rows, Type, Value, values

_NAMED = frozenset({"named"})
_OFFICES = {**OVERSIGHT, "TOWNSHIP": BELOW}
_GIVEN = values("granteeName purpose validFrom validTo document version createdAt") | {
    "owner": Edge("Tenant", "owner_key", "key")
}

TYPES = {
    "Tenant": Type(
        "tenant",
        "tenant",
        {
            **_OFFICES,
            "NATIONAL": OWN,
            "RESCUE_TEAM": OWN | {"called"},
            "AGENCY": OWN | {"granted", "hosted"},
        },
        values("kind name divisionCode creditCode status version createdAt")
        | {
            "parent": Edge("Tenant", "parent_id"),
            "homePark": Edge("Tenant", "home_park_id"),
            "children": Rows("Tenant", "parent_id"),
            "memberships": Rows("Membership", "owner_key", "key"),
            "changes": Rows("TenantChange", "owner_key", "key"),
        },
    ),
    "Agency": Type(
        "agency",
        "agency",
        SHARED,
        values("kind name divisionCode status")
        | {"parent": Edge("Agency", "parent_id"), "children": Rows("Agency", "parent_id")},
    ),
    "Membership": Type(
        "membership",
        "membership",
        {**_OFFICES, "NATIONAL": OWN, "RESCUE_TEAM": OWN, "AGENCY": OWN | {"hosted"}},
        values("name post phoneMasked roles state validFrom validTo isPrimary proposedByName approvedByName endReason")
        | values("slipExpiresAt version createdAt")
        | {"tenant": Edge("Tenant", "owner_key", "key")},
        # Not those who only work here: worker, grid member, duty officer of a park, member of a team, clerk of standards.
        roles=frozenset(
            {"LEADER", "OFFICER", "STATISTICIAN", "ADMIN", "SECURITY", "AUDITOR", "ACCEPTOR", "HEAD"}
            | {"SAFETY_MANAGER", "CAPTAIN", "EXPERT", "RESCUE_TEAM DUTY"}
        ),
    ),
    "TenantChange": Type(
        "tenant_change",
        "tenant_change",
        {**_OFFICES, "NATIONAL": OWN, "RESCUE_TEAM": OWN, "AGENCY": OWN},
        values("kind before after validFrom document actorName actorPost actorAgency createdAt")
        | {"other": Value("other_id", "tenant"), "tenant": Edge("Tenant", "owner_key", "key")},
    ),
    "ScopeGrant": Type(
        "scope_grant",
        "scope_grant",
        {**OF_FIRMS, "TOWNSHIP": CHILD, "AGENCY": OWN | _NAMED, "RESCUE_TEAM": _NAMED},
        _GIVEN,
    ),
    "Hosting": Type(
        "hosting",
        "hosting",
        {
            "PROVINCE": CHILD,
            "CITY": CHILD,
            "COUNTY": BELOW,
            "TOWNSHIP": OWN,
            "PARK": OWN,
            "AGENCY": _NAMED,
            "RESCUE_TEAM": OWN,
        },
        _GIVEN,
    ),
    "IncidentCall": Type(
        "incident_call",
        "incident_call",
        {**OF_FIRMS, "TOWNSHIP": CHILD, "RESCUE_TEAM": _NAMED, "AGENCY": OWN},
        _GIVEN,
    ),
}

ROOTS = {
    "tenants": "list Tenant",
    "tenant": "by id Tenant",
    "tenantCounts": "counts Tenant",
    "agencies": "list Agency",
    "agency": "by id Agency",
    "memberships": "list Membership",
    "membership": "by id Membership",
    "tenantChanges": "list TenantChange",
    "scopeGrants": "list ScopeGrant",
    "hostings": "list Hosting",
    "incidentCalls": "list IncidentCall",
    "viewer": "plain",
    "membershipPropose": "changes Membership",
    "membershipApprove": "changes Membership",
    "membershipRefuse": "changes Membership",
    "membershipSuspend": "changes Membership",
    "membershipResume": "changes Membership",
    "membershipEnd": "changes Membership",
    "membershipChangeRoles": "changes Membership",
    "membershipIssueSlip": "changes Membership",
    "activationRedeem": "plain",
    "scopeGrantGive": "changes ScopeGrant",
    "scopeGrantEnd": "changes ScopeGrant",
    "hostingStart": "changes Hosting",
    "hostingEnd": "changes Hosting",
    "incidentCallOpen": "changes IncidentCall",
    "incidentCallEnd": "changes IncidentCall",
    **{f"tenant{step}": "changes Tenant" for step in ("Rename", "Move", "Merge", "Succeed", "Close")},
}

IDS = {
    "membershipPropose.tenant": "Tenant",
    **{
        f"membership{step}.id": "Membership"
        for step in ("Approve", "Refuse", "Suspend", "Resume", "End", "ChangeRoles", "IssueSlip")
    },
    **{f"{name}.{end}": "Tenant" for name in ("scopeGrantGive", "hostingStart") for end in ("owner", "grantee")},
    **{f"incidentCallOpen.{end}": "Tenant" for end in ("owner", "grantee")},
    "scopeGrantEnd.id": "ScopeGrant",
    "hostingEnd.id": "Hosting",
    "incidentCallEnd.id": "IncidentCall",
    **{f"tenant{step}.id": "Tenant" for step in ("Rename", "Move", "Merge", "Succeed", "Close")},
    "tenantMove.parent": "Tenant",
    "tenantMove.homePark": "Tenant",
    "tenantMerge.other": "Tenant",
    "tenantSucceed.other": "Tenant",
}

_FOUR_EYES = " ".join(
    f"{kind}=SECURITY"
    for kind in ("NATIONAL", "PROVINCE", "CITY", "COUNTY", "TOWNSHIP", "PARK", "RESCUE_TEAM", "AGENCY")
)
STEPS = {
    # identity study 1.6 and handbook 0.4; PENDING becomes ACTIVE by the slip alone, nobody takes that step
    "MEMBERSHIP": f"""
        NEW        propose       PROPOSED   member.propose  EVERY=ADMIN
        PROPOSED   approve       PENDING    member.approve  {_FOUR_EYES} ENTERPRISE=HEAD other
        PROPOSED   refuse        REFUSED    member.approve  {_FOUR_EYES} ENTERPRISE=HEAD other
        PROPOSED   end           ENDED      member.end      EVERY=ADMIN
        PENDING    issue-slip    PENDING    member.propose  EVERY=ADMIN
        PENDING    issue-slip    PENDING    member.approve  {_FOUR_EYES} ENTERPRISE=HEAD
        PENDING    issue-slip    PENDING    member.slip     COUNTY=ACCEPTOR
        PENDING    end           ENDED      member.end      EVERY=ADMIN
        ACTIVE     suspend       SUSPENDED  member.decide   EVERY=ADMIN
        ACTIVE     change-roles  ACTIVE     member.decide   EVERY=ADMIN
        ACTIVE     end           ENDED      member.end      EVERY=ADMIN
        SUSPENDED  resume        ACTIVE     member.decide   EVERY=ADMIN
        SUSPENDED  end           ENDED      member.end      EVERY=ADMIN
    """,
}
"""Who may take which step; :mod:`tests.modules.steps` says how to read it."""

GIVERS = {
    # sort of grant: who gives it, whose rows it opens, who reads by it (decision 16)
    "scope_grant": ("ENTERPRISE COUNTY", "ENTERPRISE", "AGENCY"),
    "incident_call": ("COUNTY CITY PROVINCE", "ENTERPRISE", "RESCUE_TEAM"),
    "hosting": ("COUNTY CITY", "COUNTY", "AGENCY"),
}
