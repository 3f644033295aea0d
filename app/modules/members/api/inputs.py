"""Inputs and payloads of the mutations."""

from datetime import date, datetime
from uuid import UUID

import strawberry

from app.kit import gql
from app.kit.ids import parse_global_id
from app.modules.members.api.types import Hosting, IncidentCall, Membership, ScopeGrant, TenantChange

_ATTEMPT = "Id of this attempt, 1 to 64 characters: a repeat with the same id does nothing again."
_VERSION = "`version` of the object as you saw it."


def uuid_of(value: strawberry.ID | None, prefix: str) -> UUID | None:
    """Return the UUID of a global id; None when it is none of this type, which is then not found."""
    found = parse_global_id(str(value), prefix) if value is not None else None
    return found[1] if found else None


@strawberry.input(description="A new member of a tenant.")
class MembershipProposeInput:
    """Input of ``membershipPropose``."""

    tenant: strawberry.ID = strawberry.field(description="The tenant: your own, or one below it.")
    name: str = strawberry.field(description="Name as in the identity document, at most 64 characters.")
    roles: list[str] = strawberry.field(description="Roles of the tenant's kind.")
    post: str = strawberry.field(default="", description="Title.")
    phone: str | None = strawberry.field(default=None, description="Phone number; kept with its middle hidden.")
    valid_from: date | None = strawberry.field(default=None, description="First day; today when omitted.")
    valid_to: date | None = strawberry.field(default=None, description="Last day; without end when omitted.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A step of a membership that needs no further word.")
class MembershipStepInput:
    """Input of ``membershipApprove``, ``membershipResume`` and ``membershipIssueSlip``."""

    id: strawberry.ID = strawberry.field(description="The membership.")
    expected_version: int = strawberry.field(description=_VERSION)
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A step of a membership with its reason.")
class MembershipReasonInput:
    """Input of ``membershipRefuse``, ``membershipSuspend`` and ``membershipEnd``."""

    id: strawberry.ID = strawberry.field(description="The membership.")
    expected_version: int = strawberry.field(description=_VERSION)
    reason: str = strawberry.field(description="Why, at most 500 characters.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="Other roles of a member.")
class MembershipChangeRolesInput:
    """Input of ``membershipChangeRoles``."""

    id: strawberry.ID = strawberry.field(description="The membership.")
    expected_version: int = strawberry.field(description=_VERSION)
    roles: list[str] = strawberry.field(
        description="All roles that it has from now on; none of ADMIN, SECURITY, AUDITOR."
    )
    post: str | None = strawberry.field(default=None, description="New title; unchanged when omitted.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A slip to be redeemed.")
class ActivationRedeemInput:
    """Input of ``activationRedeem``."""

    code: str = strawberry.field(description="Code of the slip; case, spaces and hyphens do not matter.")
    login_name: str = strawberry.field(
        description="User name for signing in: 3 to 64 small letters, digits, `.`, `_`, `-`. Who is signed in keeps "
        "the account at hand; the name then only marks this attempt."
    )
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A dated grant.")
class GrantInput:
    """Input of ``scopeGrantGive`` and ``hostingStart``."""

    owner: strawberry.ID | None = strawberry.field(
        default=None, description="Tenant whose rows are opened; your own when omitted."
    )
    grantee: strawberry.ID = strawberry.field(description="Tenant that reads them: a service agency.")
    purpose: str = strawberry.field(description="Why, at most 500 characters.")
    valid_from: date = strawberry.field(description="First day.")
    valid_to: date = strawberry.field(description="Last day, within 366 days.")
    document: str | None = strawberry.field(default=None, description="Number of the decision or contract.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A call of a rescue team.")
class IncidentCallInput:
    """Input of ``incidentCallOpen``."""

    owner: strawberry.ID = strawberry.field(description="The enterprise.")
    grantee: strawberry.ID = strawberry.field(description="The rescue team.")
    incident: UUID = strawberry.field(description="The incident.")
    purpose: str = strawberry.field(description="Why, at most 500 characters.")
    valid_from: date = strawberry.field(description="First day.")
    valid_to: date = strawberry.field(description="Last day, within 366 days.")
    document: str | None = strawberry.field(default=None, description="Number of the order.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="The end of a dated grant.")
class GrantEndInput:
    """Input of ``scopeGrantEnd``, ``hostingEnd`` and ``incidentCallEnd``."""

    id: strawberry.ID = strawberry.field(description="The grant.")
    expected_version: int = strawberry.field(description=_VERSION)
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.type(description="Outcome of a step of a membership.")
class MembershipPayload(gql.Payload):
    """Payload with a membership."""

    membership: Membership | None = gql.result("The membership as it is now.")


@strawberry.type(description="Outcome of `membershipIssueSlip`.")
class MembershipIssueSlipPayload(gql.Payload):
    """Payload with a slip."""

    membership: Membership | None = gql.result("The membership as it is now.")
    code: str | None = strawberry.field(
        default=None, description="The code, shown this once: a repeat with the same `clientMutationId` gives null."
    )
    qr_svg: str | None = strawberry.field(default=None, description="The code as a QR picture (SVG), for printing.")
    expires_at: datetime | None = strawberry.field(default=None, description="Until when it may be used.")


@strawberry.type(description="Outcome of `activationRedeem`.")
class ActivationRedeemPayload(gql.Payload):
    """Payload with the state of an activation."""

    state: str | None = strawberry.field(
        default=None, description="RECEIVED: the account is being made; ACTIVE: you can sign in."
    )


@strawberry.type(description="Outcome of a step of a scope grant.")
class ScopeGrantPayload(gql.Payload):
    """Payload with a scope grant."""

    scope_grant: ScopeGrant | None = gql.result("The grant as it is now.")


@strawberry.type(description="Outcome of a step of a hosting.")
class HostingPayload(gql.Payload):
    """Payload with a hosting."""

    hosting: Hosting | None = gql.result("The hosting as it is now.")


@strawberry.type(description="Outcome of a step of an incident call.")
class IncidentCallPayload(gql.Payload):
    """Payload with a call."""

    incident_call: IncidentCall | None = gql.result("The call as it is now.")


@strawberry.input(description="A new name of a tenant.")
class TenantRenameInput:
    """Input of ``tenantRename``."""

    id: strawberry.ID = strawberry.field(description="The tenant; below your own.")
    expected_version: int = strawberry.field(description=_VERSION)
    name: str = strawberry.field(description="New name, at most 100 characters.")
    valid_from: date = strawberry.field(description="First day; a past day holds at once.")
    document: str | None = strawberry.field(default=None, description="Number of the decision.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A new place of a tenant in the tree.")
class TenantMoveInput:
    """Input of ``tenantMove``."""

    id: strawberry.ID = strawberry.field(description="The tenant; below your own.")
    expected_version: int = strawberry.field(description=_VERSION)
    parent: strawberry.ID | None = strawberry.field(
        default=None, description="Tenant above it from then on; your own or below it; unchanged when omitted."
    )
    home_park: strawberry.ID | None = strawberry.field(
        default=None, description="Park in which the whole enterprise then lies; none when omitted."
    )
    valid_from: date = strawberry.field(description="First day; a past day holds at once.")
    document: str | None = strawberry.field(default=None, description="Number of the decision.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="Another tenant takes over.")
class TenantTakeOverInput:
    """Input of ``tenantMerge`` and ``tenantSucceed``."""

    id: strawberry.ID = strawberry.field(description="The tenant that closes; below your own.")
    expected_version: int = strawberry.field(description=_VERSION)
    other: strawberry.ID = strawberry.field(description="Tenant of the same kind that takes over; below your own.")
    valid_from: date = strawberry.field(description="First day; a past day holds at once.")
    document: str | None = strawberry.field(default=None, description="Number of the decision.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A tenant closes.")
class TenantCloseInput:
    """Input of ``tenantClose``."""

    id: strawberry.ID = strawberry.field(description="The tenant; below your own.")
    expected_version: int = strawberry.field(description=_VERSION)
    valid_from: date = strawberry.field(description="First day on which it is closed; a past day holds at once.")
    document: str | None = strawberry.field(default=None, description="Number of the decision.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.type(description="Outcome of a change of a tenant.")
class TenantChangePayload(gql.Payload):
    """Payload with a change."""

    tenant_change: TenantChange | None = gql.result("The recorded change; the tenant follows when the job is done.")
    job: strawberry.ID | None = strawberry.field(default=None, description="The job that applies it on its day.")
