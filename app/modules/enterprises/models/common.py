"""Words and declarations that the tables of this slice share."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint

from tenants.access import Access

READERS = ("province", "city", "county", "park", "enterprise")
"""Levels that read files, sites and people; the township has no grant (handbook appendix B)."""
SIZE_CLASSES = ("LARGE", "MEDIUM", "SMALL", "MICRO")
STATUSES = ("UNVERIFIED", "CLAIMED", "VERIFIED")
LIFECYCLES = ("ACTIVE", "SUSPENDED", "CLOSED")
REGISTRATION_STATES = ("RECEIVED", "APPROVED", "REFUSED", "CLAIM_CONFIRMED")
CHANGE_KINDS = ("EDIT", "REVIEW", "VERIFY", "LOCK", "CONFIRM", "CREATE")
CHANGE_STATES = ("DRAFT", "SUBMITTED", "ACCEPTED", "RETURNED", "WITHDRAWN")
PERSON_ROLES = ("HEAD", "SAFETY_DIRECTOR", "SAFETY_MANAGER", "SAFETY_ENGINEER", "OPERATOR")
"""主要负责人, 安全总监, 安全生产管理人员, 注册安全工程师, 特种作业人员."""

REVIEWED = ("name", "credit_code", "legal_representative", "industry_code", "registered_address")
"""Fields whose change the county reviews; every other field applies at once and is recorded."""
OWN = (
    "established_on",
    "capital_wan",
    "division_code",
    "employees",
    "revenue_wan",
    "assets_wan",
    "supervision_categories",
    "standardization_grade",
    "contact_name",
    "contact_phone",
    "safety_licence_no",
    "hazchem_licence_no",
    "liability_policy_no",
)
"""Fields that the enterprise edits by itself."""
FIRST = ("legal_representative", "industry_code", "registered_address")
COMPUTED = ("size_class", "size_class_as_of", "size_basis", "duties", "completeness", "version", "updated_at")
SYSTEM = {"sys_seed": "true", "sys_move": "true"}
SYSTEM_WRITE = {"sys_seed": ("INSERT",), "sys_move": ("UPDATE",)}


def one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    """Return the check that a column holds one of these words."""
    return CheckConstraint(f"{column} IN ({', '.join(map(repr, values))})", name=column)


def of_enterprise(access: Access) -> tuple[Any, ...]:
    """Return key, composite foreign key and declaration of a table whose rows belong to a file."""
    return (
        UniqueConstraint("owner_key", "id"),
        ForeignKeyConstraint(["owner_key", "enterprise_id"], ["app.enterprise.owner_key", "app.enterprise.id"]),
        {"info": {"access": access}},
    )
