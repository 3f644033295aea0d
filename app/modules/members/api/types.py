"""Types of the tree: tenants, agencies, memberships, changes, dated grants. Rows of tables, nothing else."""

import enum
from datetime import date, datetime
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from app.kit import gql
from app.modules.members import policies
from tenants import models
from tenants.isolation import acting_may
from tenants.kinds import Kind

_HERE = "app.modules.members.api.types"


strawberry.enum(
    Kind, name="TenantKind", description="What a tenant is; the first four are administrative tiers, highest first."
)


@strawberry.enum(description="Whether a tenant works: CLOSED and SUSPENDED open nothing to their members.")
class TenantStatus(enum.Enum):
    """See :class:`tenants.models.Tenant`."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"


@strawberry.enum(
    description="Life of a membership: PROPOSED waits for a second person, PENDING for the person's activation."
)
class MembershipState(enum.Enum):
    """See :data:`app.modules.members.policies.MEMBERSHIP`."""

    PROPOSED = "PROPOSED"
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    ENDED = "ENDED"
    REFUSED = "REFUSED"


@strawberry.enum(description="What happened to a tenant on a day.")
class TenantChangeKind(enum.Enum):
    """See :class:`tenants.models.TenantChange`."""

    RENAME = "RENAME"
    MOVE = "MOVE"
    MERGE = "MERGE"
    SUCCEED = "SUCCEED"
    CLOSE = "CLOSE"


@gql.bound(
    models.Tenant,
    prefix="tenant",
    order="seq",
    description="One isolated party: an authority, a park, an enterprise, a rescue team or an agency (租户). "
    "You see your own, those below it, and those that a dated grant opens to you.",
)
class Tenant(gql.Node):
    """A tenant."""

    kind: Kind = gql.column("What it is.", filterable=True, groupable=True)
    name: str = gql.column("Its name today; earlier ones are in `changes`.", filterable=True)
    division_code: str | None = gql.column(
        "GB/T 2260 code of its division (行政区划代码): 2, 4, 6 or 9 digits; null for parks, enterprises and teams.",
        filterable=True,
    )
    credit_code: str | None = gql.column(
        "Unified social credit code (统一社会信用代码) of an enterprise.", filterable=True
    )
    status: TenantStatus = gql.column("Whether it works.", filterable=True, groupable=True)
    parent: Annotated["Tenant", strawberry.lazy(_HERE)] | None = gql.one(
        models.Tenant.parent_id, "The tenant above it; null when that is not yours to see.", filterable=True
    )
    home_park: Annotated["Tenant", strawberry.lazy(_HERE)] | None = gql.one(
        models.Tenant.home_park_id, "Park in which the whole enterprise lies.", filterable=True
    )
    children: gql.Connection[Annotated["Tenant", strawberry.lazy(_HERE)]] = gql.connection(
        models.Tenant.parent_id, "Tenants directly below it."
    )
    memberships: gql.Connection[Annotated["Membership", strawberry.lazy(_HERE)]] = gql.connection(
        models.Membership.owner_key, "Its people, past ones as well."
    )
    changes: gql.Connection[Annotated["TenantChange", strawberry.lazy(_HERE)]] = gql.connection(
        models.TenantChange.owner_key, "Renames, moves, mergers, successions and its closing."
    )
    version: int = gql.column("For `expectedVersion`.")
    created_at: datetime = gql.column("When it was entered.")


@gql.bound(
    models.Agency,
    prefix="agency",
    order="name_sort",
    description="Name of an authority or park, which everybody may read; same row as its tenant, other id prefix.",
)
class Agency(gql.Node):
    """The public face of an authority."""

    kind: Kind = gql.column("What it is.", filterable=True, groupable=True)
    name: str = gql.column("Its name today.", filterable=True)
    division_code: str | None = gql.column("GB/T 2260 code of its division; null for parks.", filterable=True)
    status: TenantStatus = gql.column("Whether it works.", filterable=True)
    parent: Annotated["Agency", strawberry.lazy(_HERE)] | None = gql.one(
        models.Agency.parent_id, "The authority above it.", filterable=True
    )
    children: gql.Connection[Annotated["Agency", strawberry.lazy(_HERE)]] = gql.connection(
        models.Agency.parent_id, "Authorities and parks directly below it."
    )


@gql.bound(
    models.Membership,
    prefix="membership",
    description="A person's place in a tenant: post, roles, validity. Rights come from here and nowhere else. "
    "Read with the capability `member.read`; one's own are in `viewer.memberships`.",
    where=acting_may(policies.READ),
)
class Membership(gql.Node):
    """A membership."""

    tenant: Tenant | None = gql.one(models.Membership.owner_key, "Where.")
    name: str = gql.column("Name of the person.", filterable=True)
    post: str = gql.column("Title; empty when none was given.")
    phone_masked: str | None = gql.column("Phone number with its middle hidden.")
    roles: list[str] = gql.column("Roles of the tenant's kind, such as ADMIN or ACCEPTOR.")
    state: MembershipState = gql.column("Where its life stands.", filterable=True, groupable=True)
    valid_from: date = gql.column("First day.", filterable=True)
    valid_to: date | None = gql.column("Last day; null: without end.", filterable=True)
    is_primary: bool = gql.column("Whether its person acts with it unless another is chosen.")
    proposed_by_name: str | None = gql.column("Who proposed it.")
    approved_by_name: str | None = gql.column("Who approved or refused it, when it needed a second person.")
    end_reason: str | None = gql.column("Why it was refused, suspended or ended.")
    slip_expires_at: datetime | None = gql.column("Until when the activation slip at hand may be used; null: none is.")
    version: int = gql.column("For `expectedVersion`.")
    created_at: datetime = gql.column("When it was proposed.")


@gql.bound(
    models.TenantChange,
    prefix="tenant_change",
    description="A dated change of a tenant; never altered afterwards.",
)
class TenantChange(gql.Node):
    """A change of the tree."""

    tenant: Tenant | None = gql.one(models.TenantChange.owner_key, "Whose.")
    kind: TenantChangeKind = gql.column("What happened.", filterable=True, groupable=True)
    before: JSON = gql.column("What it was: an object with the changed values, such as `name` or `parentId`.")
    after: JSON = gql.column("What it is from `validFrom` on, likewise.")
    valid_from: date = gql.column("First day on which it holds.", filterable=True)
    document: str | None = gql.column("Number of the decision behind it.")
    other: strawberry.ID | None = gql.column(
        "The other tenant of a merger or succession, or the new parent of a move.", attr="other_id", prefix="tenant"
    )
    actor_name: str | None = gql.column("Who entered it, as named then.")
    actor_post: str | None = gql.column("That person's post then.")
    actor_agency: str | None = gql.column("That person's authority then.")
    created_at: datetime = gql.column("When it was entered.")


@gql.bound(
    models.ScopeGrant,
    prefix="scope_grant",
    description="A dated grant: a service agency or expert reads what an enterprise owns, until it ends by itself.",
)
class ScopeGrant(gql.Node):
    """A scope grant."""

    owner: Tenant | None = gql.one(models.ScopeGrant.owner_key, "Whose rows it opens.")
    grantee_name: str = gql.column("Who reads them.")
    purpose: str = gql.column("Why.")
    valid_from: date = gql.column("First day.", filterable=True)
    valid_to: date = gql.column("Last day; before `validFrom`: ended before it began.", filterable=True)
    document: str | None = gql.column("Number of the decision or contract behind it.")
    version: int = gql.column("For `expectedVersion`.")
    created_at: datetime = gql.column("When it was given.")


@gql.bound(
    models.Hosting,
    prefix="hosting",
    description="A county hosted in another's information centre: the host's operators see its members, nothing else.",
)
class Hosting(gql.Node):
    """A hosting."""

    owner: Tenant | None = gql.one(models.Hosting.owner_key, "The hosted county.")
    grantee_name: str = gql.column("The host.")
    purpose: str = gql.column("Why.")
    valid_from: date = gql.column("First day.", filterable=True)
    valid_to: date = gql.column("Last day; before `validFrom`: ended before it began.", filterable=True)
    document: str | None = gql.column("Number of the decision or contract behind it.")
    version: int = gql.column("For `expectedVersion`.")
    created_at: datetime = gql.column("When it began to be entered.")


@gql.bound(
    models.IncidentCall,
    prefix="incident_call",
    description="A rescue team called to an incident of an enterprise reads that enterprise's rows until it ends.",
)
class IncidentCall(gql.Node):
    """An incident call."""

    owner: Tenant | None = gql.one(models.IncidentCall.owner_key, "The enterprise.")
    grantee_name: str = gql.column("The team.")
    purpose: str = gql.column("Why.")
    valid_from: date = gql.column("First day.", filterable=True)
    valid_to: date = gql.column("Last day; before `validFrom`: ended before it began.", filterable=True)
    document: str | None = gql.column("Number of the order behind it.")
    version: int = gql.column("For `expectedVersion`.")
    created_at: datetime = gql.column("When the team was called.")


@strawberry.type(description="The tenant of one of the caller's own memberships.")
class ViewerTenant:
    """What a person may always know of an own membership's tenant."""

    id: strawberry.ID = strawberry.field(description="For `tenant(id)`.")
    name: str = strawberry.field(description="Its name.")
    kind: Kind = strawberry.field(description="What it is.")


@strawberry.type(description="One of the caller's own memberships.")
class ViewerMembership:
    """An own membership."""

    id: strawberry.ID = strawberry.field(description="Value of the header `Anlan-Membership` to act with it.")
    tenant: ViewerTenant = strawberry.field(description="Where.")
    post: str = strawberry.field(description="Title.")
    roles: list[str] = strawberry.field(description="Roles.")
    state: MembershipState = strawberry.field(description="Where its life stands.")
    valid_from: date = strawberry.field(description="First day.")
    valid_to: date | None = strawberry.field(description="Last day; null: without end.")
    is_primary: bool = strawberry.field(description="Whether it acts unless another is chosen.")
    is_usable: bool = strawberry.field(description="Whether one can act with it today.")


@strawberry.type(description="Who calls.")
class Viewer:
    """The caller."""

    name: str | None = strawberry.field(description="Name; null for somebody who has never activated a membership.")
    membership: ViewerMembership | None = strawberry.field(
        description="The membership that acts in this request; null: acts as the public."
    )
    memberships: list[ViewerMembership] = strawberry.field(description="All own memberships, the primary one first.")
    tenant: ViewerTenant | None = strawberry.field(description="The acting membership's tenant.")
    roles: list[str] = strawberry.field(description="Roles of the acting membership that the token allows.")
    capabilities: list[str] = strawberry.field(
        description="What the acting membership may do, `object.verb`; which rows, the database decides."
    )
