"""Use cases of memberships, activation, tenants and grants."""

from app.modules.members.service import demo
from app.modules.members.service.accounts import (
    PROVISION,
    Redemption,
    attributes_of,
    provision,
    realm_of,
    sync_account,
)
from app.modules.members.service.activation import (
    FirstMember,
    Slip,
    Status,
    first_member,
    issue_slip,
    new_slip,
    redeem,
)
from app.modules.members.service.grants import NewGrant, end_grant, give_grant
from app.modules.members.service.memberships import (
    SYNC_JOB,
    NewMember,
    approve,
    change_roles,
    end,
    propose,
    refuse,
    resume,
    suspend,
)
from app.modules.members.service.tree import APPLY_JOB, NewChange, Recorded, apply_change, change_tenant

__all__ = [
    "APPLY_JOB",
    "PROVISION",
    "SYNC_JOB",
    "FirstMember",
    "NewChange",
    "NewGrant",
    "NewMember",
    "Recorded",
    "Redemption",
    "Slip",
    "Status",
    "apply_change",
    "approve",
    "attributes_of",
    "change_roles",
    "change_tenant",
    "demo",
    "end",
    "end_grant",
    "first_member",
    "give_grant",
    "issue_slip",
    "new_slip",
    "propose",
    "provision",
    "realm_of",
    "redeem",
    "refuse",
    "resume",
    "suspend",
    "sync_account",
]
