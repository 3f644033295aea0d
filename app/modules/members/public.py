"""What other slices, the command line and the start page call of members."""

from app.modules.members.service import FirstMember, Slip, first_member, new_slip
from app.modules.members.service.activation import hash_code
from app.modules.members.service.demo import DemoTenant, account_in, demo_accounts, tenant_id, tree

__all__ = [
    "DemoTenant",
    "FirstMember",
    "Slip",
    "account_in",
    "demo_accounts",
    "first_member",
    "hash_code",
    "new_slip",
    "tenant_id",
    "tree",
]
