"""Who reads the audit log: auditors, of their own tenant and those below it (decision 36); typed by hand."""

from tests.matrix.words import BELOW, OVERSIGHT, OWN, Edge, Type, values

TYPES = {
    "AuditEntry": Type(
        "audit_entry",
        "audit_entry",
        {**OVERSIGHT, "TOWNSHIP": BELOW, "NATIONAL": OWN, "RESCUE_TEAM": OWN, "AGENCY": OWN},
        values("action objectType objectId outcome reason actorName actorPost actorAgency requestId details at")
        | values("position hash sealedAt")
        | {"tenant": Edge("Tenant", "owner_key", "key")},
        roles=frozenset({"AUDITOR"}),
    ),
}

ROOTS = {
    "auditEntries": "list AuditEntry",
    "auditEntry": "by id AuditEntry",
    "auditVerify": "plain",
}

IDS = {"auditVerify.tenant": "Tenant"}
