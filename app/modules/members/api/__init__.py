"""GraphQL of tenants, memberships, users and dated grants."""

import strawberry

from app.modules.members.api.mutations import GrantMutation, MembershipMutation, TreeMutation
from app.modules.members.api.queries import MembersQuery

__all__ = ["MembersMutation", "MembersQuery"]


@strawberry.type
class MembersMutation(MembershipMutation, GrantMutation, TreeMutation):
    """Root fields of changes."""
