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

__all__ = [
    "PROVISION",
    "SYNC_JOB",
    "FirstMember",
    "NewGrant",
    "NewMember",
    "Redemption",
    "Slip",
    "Status",
    "approve",
    "attributes_of",
    "change_roles",
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
