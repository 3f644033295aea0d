"""Appendix B, row "enterprise file"; decisions 11 (place), 41 (registrations); typed by hand."""

from tests.matrix.words import BELOW, CHILD, OF_FIRMS, Edge, Rows, Sheet, Type, values

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
        values("kind state creditCode name divisionCode address longitude latitude contactName")
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
    **{f"registration{step}": "changes Registration" for step in ("Approve", "ConfirmClaim", "Refuse", "PhoneReveal")},
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
    **{f"registration{step}.id": "Registration" for step in ("Approve", "ConfirmClaim", "Refuse", "PhoneReveal")},
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

_READERS = frozenset({"LEADER", "OFFICER", "STATISTICIAN", "ADMIN"})
SHEETS = {
    "enterprises": Sheet(
        "enterprises",
        "Enterprise",
        {
            "PROVINCE": _READERS,
            "CITY": _READERS,
            "COUNTY": _READERS | {"ACCEPTOR"},
            "PARK": frozenset({"LEADER", "OFFICER", "DUTY", "ADMIN"}),
            "ENTERPRISE": frozenset({"HEAD", "SAFETY_MANAGER", "WORKER", "ADMIN"}),
            "RESCUE_TEAM": frozenset({"CAPTAIN", "DUTY", "MEMBER", "ADMIN"}),
            "AGENCY": frozenset({"EXPERT", "ADMIN"}),
        },
        {"COUNTY": frozenset({"ACCEPTOR"})},
        CHILD,
        ("credit_code", "name", "legal_representative", "registered_address", "contact_name"),
        ("legal_representative", "registered_address"),
    )
}
"""Appendix B, row "enterprise file": the county registers; who reads the file takes it out; the township has no right."""

_FIRM = "ENTERPRISE=HEAD,SAFETY_MANAGER,ADMIN"
STEPS = {
    # decision 41: what comes of a registration is decided on the county's page
    "REGISTRATION": """
        RECEIVED  registration.approve       APPROVED         registration.decide  COUNTY=ACCEPTOR
        RECEIVED  registration.refuse        REFUSED          registration.decide  COUNTY=ACCEPTOR
        RECEIVED  registration.confirmClaim  CLAIM_CONFIRMED  registration.decide  COUNTY=ACCEPTOR
        RECEIVED  registration.revealPhone   RECEIVED         registration.decide  COUNTY=ACCEPTOR
    """,
    # the file: province R (lock), city R, county R A(verify), enterprise C U
    "STATUS": """
        UNVERIFIED  enterprise.claim   CLAIMED   registration.decide  COUNTY=ACCEPTOR
        CLAIMED     enterprise.claim   CLAIMED   registration.decide  COUNTY=ACCEPTOR
        VERIFIED    enterprise.claim   VERIFIED  registration.decide  COUNTY=ACCEPTOR
        CLAIMED     enterprise.verify  VERIFIED  enterprise.verify    COUNTY=ACCEPTOR
    """,
    # a county's ledger by Excel: opens files as an approval does, mends what nobody works with
    "IMPORT": """
        NEW         enterprise.import  UNVERIFIED  registration.decide  COUNTY=ACCEPTOR
        UNVERIFIED  enterprise.import  UNVERIFIED  registration.decide  COUNTY=ACCEPTOR
    """,
    "LIFECYCLE": f"""
        ACTIVE     enterprise.edit        ACTIVE     enterprise.edit    {_FIRM}
        SUSPENDED  enterprise.edit        SUSPENDED  enterprise.edit    {_FIRM}
        ACTIVE     enterprise.confirm     ACTIVE     enterprise.submit  {_FIRM}
        SUSPENDED  enterprise.confirm     SUSPENDED  enterprise.submit  {_FIRM}
        ACTIVE     enterprise.lockFields  ACTIVE     enterprise.lock    PROVINCE=LEADER CITY=LEADER
        SUSPENDED  enterprise.lockFields  SUSPENDED  enterprise.lock    PROVINCE=LEADER CITY=LEADER
        ACTIVE     enterprise.suspend     SUSPENDED  enterprise.submit  {_FIRM}
        SUSPENDED  enterprise.resume      ACTIVE     enterprise.submit  {_FIRM}
        ACTIVE     enterprise.close       CLOSED     enterprise.verify  COUNTY=ACCEPTOR
        SUSPENDED  enterprise.close       CLOSED     enterprise.verify  COUNTY=ACCEPTOR
    """,
    "CHANGE": f"""
        DRAFT      change.submit    SUBMITTED  enterprise.submit  {_FIRM}
        DRAFT      change.withdraw  WITHDRAWN  enterprise.submit  {_FIRM}
        SUBMITTED  change.withdraw  WITHDRAWN  enterprise.submit  {_FIRM}
        SUBMITTED  change.accept    ACCEPTED   enterprise.verify  COUNTY=ACCEPTOR
        SUBMITTED  change.return    RETURNED   enterprise.verify  COUNTY=ACCEPTOR
    """,
    "SITE": f"""
        ACTIVE  site.edit   ACTIVE  enterprise.edit  {_FIRM}
        ACTIVE  site.close  CLOSED  enterprise.edit  {_FIRM}
    """,
    # decision 23: VOID with a second person
    "PERSON": f"""
        ACTIVE  person.edit  ACTIVE  enterprise.edit  {_FIRM}
        ACTIVE  person.void  VOID    enterprise.edit  {_FIRM} other
    """,
}
"""Who may take which step; :mod:`tests.modules.steps` says how to read it."""
