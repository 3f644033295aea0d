"""Reads of the tree."""

from typing import Any

import strawberry
from sqlalchemy import select

from app.kit import gql
from app.kit.ids import global_id
from app.modules.members.api.types import (
    Agency,
    Hosting,
    IncidentCall,
    Membership,
    MembershipState,
    ScopeGrant,
    Tenant,
    TenantChange,
    Viewer,
    ViewerMembership,
    ViewerTenant,
)
from tenants.memberships import MembershipView, list_memberships
from tenants.models import Person


async def _viewer(info: strawberry.Info[Any, None]) -> Viewer | None:
    """Answer from the login that alone reads memberships by issuer and subject (decision 14)."""
    context = info.context
    if context.token is None:
        return None
    views = await list_memberships(context.db, context.token.issuer_name, context.token.subject)
    memberships = [_membership(view, usable=view.usable(context.today)) for view in views]
    acting = context.acting
    own = None
    if acting is not None:
        wanted = global_id("membership", acting.membership_id)
        own = next((membership for membership in memberships if membership.id == wanted), None)
    return Viewer(
        name=await _name(context),
        membership=own,
        memberships=memberships,
        tenant=own.tenant if own else None,
        roles=sorted(acting.roles) if acting else [],
        capabilities=sorted(acting.capabilities) if acting else [],
    )


async def _name(context: Any) -> str | None:
    if context.caller.person_id is None:
        return None
    async with context.read_session() as session:
        name: str | None = await session.scalar(
            select(Person.display_name).where(Person.person_id == context.caller.person_id)
        )
    return name


def _membership(view: MembershipView, *, usable: bool) -> ViewerMembership:
    return ViewerMembership(
        id=strawberry.ID(global_id("membership", view.id)),
        tenant=ViewerTenant(
            id=strawberry.ID(global_id("tenant", view.tenant_id)), name=view.tenant_name, kind=view.kind
        ),
        post=view.post,
        roles=list(view.roles),
        state=MembershipState(view.state),
        valid_from=view.valid_from,
        valid_to=view.valid_to,
        is_primary=view.is_primary,
        is_usable=usable,
    )


@strawberry.type
class MembersQuery:
    """Root fields of the slice."""

    tenants: gql.Connection[Tenant] = gql.listing("Tenants that you see: your own and those below it.")
    tenant: Tenant | None = gql.by_id("A tenant.")
    tenant_counts: list[gql.GroupCount] = gql.counts(Tenant, "How many tenants you see, by one of their values.")
    agencies: gql.Connection[Agency] = gql.listing("Names of all authorities and parks; everybody may read them.")
    agency: Agency | None = gql.by_id("An authority or park.")
    memberships: gql.Connection[Membership] = gql.listing("Memberships in the tenants that you see.")
    membership: Membership | None = gql.by_id("A membership.")
    tenant_changes: gql.Connection[TenantChange] = gql.listing("Changes of the tenants that you see, newest first.")
    scope_grants: gql.Connection[ScopeGrant] = gql.listing("Scope grants given by or to tenants that you see.")
    hostings: gql.Connection[Hosting] = gql.listing("Hostings of counties that you see, or by your own agency.")
    incident_calls: gql.Connection[IncidentCall] = gql.listing("Calls to enterprises that you see, or of your team.")
    viewer: Viewer | None = strawberry.field(
        resolver=_viewer, description="Who calls, with which membership and rights; null for anonymous callers."
    )
