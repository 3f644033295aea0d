"""Appendix B, row "enterprise file"; decisions 11 (place), 41 (registrations); typed by hand."""

from tests.matrix.words import BELOW, OF_FIRMS, Edge, Rows, Type, values

_DATED = {"RESCUE_TEAM": frozenset({"called"}), "AGENCY": frozenset({"own", "granted"})}
"""Without a level: the own file (a service agency is a company, too), and what dated grants open (decision 16)."""
_FILE = {"enterprise": Edge("Enterprise", "enterprise_id")}

TYPES = {
    "Enterprise": Type(
        "enterprise",
        "enterprise",
        {**OF_FIRMS, **_DATED},
        values("creditCode name nameSort formerNames legalRepresentative establishedOn capitalWan registeredAddress")
        | values("divisionCode industryCode employees revenueWan assetsWan sizeClass sizeClassAsOf sizeBasis duties")
        | values("supervisionCategories standardizationGrade contactName contactPhone safetyLicenceNo")
        | values("hazchemLicenceNo liabilityPolicyNo status lifecycle completeness confirmedOn claimedAt verifiedAt")
        | values("verifiedByName lockedFields locks version createdAt updatedAt")
        | {
            "tenant": Edge("Tenant", "id"),
            "sites": Rows("Site", "enterprise_id"),
            "people": Rows("EnterprisePerson", "enterprise_id"),
            "changes": Rows("EnterpriseChange", "enterprise_id"),
        },
    ),
    "Site": Type(
        "site",
        "site",
        {**OF_FIRMS, **_DATED},
        values("enterpriseName name address divisionCode divisionOn longitude latitude isMain state closedOn")
        | values("closeReason version createdAt areaM2 positionWarningM")
        | _FILE
        | {"place": Edge("Agency", "place_id"), "park": Edge("Agency", "park_id")},
    ),
    "EnterprisePerson": Type(
        "enterprise_person",
        "enterprise_person",
        {**OF_FIRMS, **_DATED},
        values("name role appointedOn leftOn phoneMasked certificateType certificateNoMasked certificateExpiresOn")
        | values("state voidReason voidedByName version createdAt")
        | _FILE,
    ),
    "EnterpriseChange": Type(
        "enterprise_change",
        "enterprise_change",
        {**OF_FIRMS, "COUNTY": BELOW},  # own: the drafts that it writes
        values("kind state before after reason madeOn actorName actorPost actorAgency submittedAt reviewedByName")
        | values("reviewedByPost reviewedByAgency reviewedAt reviewReason version createdAt")
        | _FILE,
    ),
    "Registration": Type(
        "registration",
        "registration",
        {"COUNTY": frozenset({"own"})},
        values("kind state creditCode name divisionCode address longitude latitude contactName contactPhone")
        | values("phoneMasked industryCode decidedByName decidedAt reason version createdAt")
        | _FILE
        | {"park": Edge("Agency", "park_id")},
    ),
}

ROOTS = {
    "enterprises": "list Enterprise",
    "enterprise": "by id Enterprise",
    "enterpriseCounts": "counts Enterprise",
    "sites": "list Site",
    "site": "by id Site",
    "siteCounts": "counts Site",
    "enterprisePeople": "list EnterprisePerson",
    "enterprisePerson": "by id EnterprisePerson",
    "enterpriseChanges": "list EnterpriseChange",
    "enterpriseChange": "by id EnterpriseChange",
    "registrations": "list Registration",
    "registration": "by id Registration",
    "registrationCounts": "counts Registration",
    "registrationSubmit": "plain",
    **{f"registration{step}": "changes Registration" for step in ("Approve", "ConfirmClaim", "Refuse")},
    **{
        f"enterprise{step}": "changes Enterprise"
        for step in ("Update", "Verify", "Confirm", "SetLifecycle", "LockFields")
    },
    **{f"enterpriseChange{step}": "changes EnterpriseChange" for step in ("Submit", "Send", "Withdraw", "Review")},
    **{f"site{step}": "changes Site" for step in ("Add", "Update", "Close")},
    **{f"person{step}": "changes EnterprisePerson" for step in ("Add", "Update", "Void")},
}

IDS = {
    "registrationSubmit.park": "Agency",
    "registrationApprove.park": "Agency",
    **{f"registration{step}.id": "Registration" for step in ("Approve", "ConfirmClaim", "Refuse")},
    **{
        f"enterprise{step}.id": "Enterprise"
        for step in ("Update", "Verify", "Confirm", "SetLifecycle", "LockFields", "ChangeSubmit")
    },
    **{f"enterpriseChange{step}.id": "EnterpriseChange" for step in ("Send", "Withdraw", "Review")},
    "siteAdd.park": "Agency",
    "siteUpdate.park": "Agency",
    **{f"site{step}.id": "Site" for step in ("Update", "Close")},
    **{f"person{step}.id": "EnterprisePerson" for step in ("Update", "Void")},
}
