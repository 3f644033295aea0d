"""Changes of memberships and grants: inputs to calls of the service, nothing else."""

from uuid import UUID

import strawberry

from app.kit import gql
from app.kit.gql.scalars import dump_datetime
from app.kit.gql.types import Outcome
from app.kit.uow import WriteContext
from app.modules.members import service
from app.modules.members.api.inputs import (
    ActivationRedeemInput,
    ActivationRedeemPayload,
    GrantEndInput,
    GrantInput,
    HostingPayload,
    IncidentCallInput,
    IncidentCallPayload,
    MembershipChangeRolesInput,
    MembershipIssueSlipPayload,
    MembershipPayload,
    MembershipProposeInput,
    MembershipReasonInput,
    MembershipStepInput,
    ScopeGrantPayload,
    uuid_of,
)
from tenants.models import Hosting, IncidentCall, ScopeGrant

_COMMON = "Errors: NOT_FOUND, NOT_PERMITTED, CONFLICT, WRONG_STATE"
_GRANT = "GRANT_NOT_ADMIN, GRANT_OUTSIDE, GRANT_ABOVE, GRANT_SELF"
_ROLES = "GRANT_NO_ROLE, GRANT_UNKNOWN_ROLE, GRANT_EXCLUSIVE"
_DATED = "GRANT_OWNER_KIND, GRANT_GRANTEE_UNKNOWN, GRANT_GRANTEE_KIND, GRANT_DATES, GRANT_LIMIT, REQUIRED, TOO_LONG"


def _member(input_: MembershipStepInput | MembershipReasonInput | MembershipChangeRolesInput) -> UUID | None:
    return uuid_of(input_.id, "membership")


@strawberry.type
class MembershipMutation:
    """Root fields about memberships."""

    @gql.mutation(
        payload=MembershipPayload,
        returns="membership",
        description="Proposes a membership in your tenant or one below it. ADMIN, SECURITY and AUDITOR wait for a "
        f"second person, others for the activation. Errors: NOT_FOUND, NOT_PERMITTED, {_GRANT}, {_ROLES}, "
        "MEMBER_TENANT_INACTIVE, MEMBER_DATES, MEMBER_PHONE, REQUIRED, TOO_LONG.",
    )
    async def membership_propose(ctx: WriteContext, input: MembershipProposeInput) -> UUID:  # noqa: A002, N805
        """Run ``service.propose``."""
        new = service.NewMember(
            uuid_of(input.tenant, "tenant"),
            input.name,
            input.roles,
            input.post,
            input.phone,
            input.valid_from,
            input.valid_to,
        )
        return await service.propose(ctx, new)

    @gql.mutation(
        payload=MembershipPayload,
        returns="membership",
        description="Approves a proposed membership, as a security officer who did not propose it. "
        f"{_COMMON}, OTHER_PERSON, APPROVE_SAME_PERSON, GRANT_OUTSIDE.",
    )
    async def membership_approve(ctx: WriteContext, input: MembershipStepInput) -> UUID:  # noqa: A002, N805
        """Run ``service.approve``."""
        return await service.approve(ctx, _member(input), input.expected_version)

    @gql.mutation(
        payload=MembershipPayload,
        returns="membership",
        description="Refuses a proposed membership, as a security officer who did not propose it. "
        f"{_COMMON}, OTHER_PERSON, APPROVE_SAME_PERSON, MEMBER_REASON_REQUIRED.",
    )
    async def membership_refuse(ctx: WriteContext, input: MembershipReasonInput) -> UUID:  # noqa: A002, N805
        """Run ``service.refuse``."""
        return await service.refuse(ctx, _member(input), input.expected_version, input.reason)

    @gql.mutation(
        payload=MembershipPayload,
        returns="membership",
        description=f"Takes a member's rights away for a time. {_COMMON}, {_GRANT}, MEMBER_REASON_REQUIRED.",
    )
    async def membership_suspend(ctx: WriteContext, input: MembershipReasonInput) -> UUID:  # noqa: A002, N805
        """Run ``service.suspend``."""
        return await service.suspend(ctx, _member(input), input.expected_version, input.reason)

    @gql.mutation(
        payload=MembershipPayload,
        returns="membership",
        description=f"Gives a suspended member the rights back. {_COMMON}, {_GRANT}.",
    )
    async def membership_resume(ctx: WriteContext, input: MembershipStepInput) -> UUID:  # noqa: A002, N805
        """Run ``service.resume``."""
        return await service.resume(ctx, _member(input), input.expected_version)

    @gql.mutation(
        payload=MembershipPayload,
        returns="membership",
        description=f"Ends a membership for good; the row stays. {_COMMON}, {_GRANT}, MEMBER_REASON_REQUIRED.",
    )
    async def membership_end(ctx: WriteContext, input: MembershipReasonInput) -> UUID:  # noqa: A002, N805
        """Run ``service.end``."""
        return await service.end(ctx, _member(input), input.expected_version, input.reason)

    @gql.mutation(
        payload=MembershipPayload,
        returns="membership",
        description="Gives a member other roles. ADMIN, SECURITY and AUDITOR are memberships of their own, by "
        f"`membershipPropose`. {_COMMON}, {_GRANT}, {_ROLES}, MEMBER_NEEDS_PROPOSAL.",
    )
    async def membership_change_roles(
        ctx: WriteContext,  # noqa: N805
        input: MembershipChangeRolesInput,  # noqa: A002
    ) -> UUID:
        """Run ``service.change_roles``."""
        return await service.change_roles(ctx, _member(input), input.expected_version, input.roles, input.post)

    @gql.mutation(
        payload=MembershipIssueSlipPayload,
        returns="membership",
        description="Makes an activation slip for a member who has not activated: one use, 7 days; an older slip stops "
        f"working. Print it and hand it over in person. {_COMMON}, GRANT_OUTSIDE.",
    )
    async def membership_issue_slip(ctx: WriteContext, input: MembershipStepInput) -> Outcome:  # noqa: A002, N805
        """Run ``service.issue_slip``."""
        slip = await service.issue_slip(ctx, _member(input), input.expected_version)
        return Outcome(
            slip.member_id,
            {"expires_at": dump_datetime(slip.expires_at)},
            {"code": slip.code, "qr_svg": slip.svg},
        )

    @gql.mutation(
        payload=ActivationRedeemPayload,
        anonymous=True,
        description="Redeems an activation slip. Anonymous: makes an account with the chosen user name. Signed in: "
        "adds the membership to the account at hand. The answer comes before the account is made; ask again with the "
        "same code and name until it says ACTIVE. Wrong, used and expired codes get the same error. Errors: "
        "MEMBER_SLIP_INVALID, MEMBER_LOGIN_INVALID, MEMBER_LOGIN_TAKEN.",
    )
    async def activation_redeem(ctx: WriteContext, input: ActivationRedeemInput) -> Outcome:  # noqa: A002, N805
        """Run ``service.redeem``."""
        return Outcome(None, {"state": str(await service.redeem(ctx, input.code, input.login_name))})


@strawberry.type
class GrantMutation:
    """Root fields about dated grants."""

    @gql.mutation(
        payload=ScopeGrantPayload,
        returns="scope_grant",
        description="Lets a service agency read what an enterprise owns, for a time: by the enterprise, or by its "
        f"county. Errors: NOT_FOUND, NOT_PERMITTED, {_DATED}.",
    )
    async def scope_grant_give(ctx: WriteContext, input: GrantInput) -> UUID:  # noqa: A002, N805
        """Run ``service.give_grant``."""
        return await service.give_grant(ctx, ScopeGrant, _grant(input))

    @gql.mutation(
        payload=ScopeGrantPayload, returns="scope_grant", description=f"Ends a scope grant at once. {_COMMON}."
    )
    async def scope_grant_end(ctx: WriteContext, input: GrantEndInput) -> UUID:  # noqa: A002, N805
        """Run ``service.end_grant``."""
        return await service.end_grant(ctx, ScopeGrant, uuid_of(input.id, "scope_grant"), input.expected_version)

    @gql.mutation(
        payload=HostingPayload,
        returns="hosting",
        description="Lets an information centre see a county's members, for a time: by the county, or by its city. "
        f"Errors: NOT_FOUND, NOT_PERMITTED, {_DATED}.",
    )
    async def hosting_start(ctx: WriteContext, input: GrantInput) -> UUID:  # noqa: A002, N805
        """Run ``service.give_grant``."""
        return await service.give_grant(ctx, Hosting, _grant(input))

    @gql.mutation(payload=HostingPayload, returns="hosting", description=f"Ends a hosting at once. {_COMMON}.")
    async def hosting_end(ctx: WriteContext, input: GrantEndInput) -> UUID:  # noqa: A002, N805
        """Run ``service.end_grant``."""
        return await service.end_grant(ctx, Hosting, uuid_of(input.id, "hosting"), input.expected_version)

    @gql.mutation(
        payload=IncidentCallPayload,
        returns="incident_call",
        description="Calls a rescue team to an incident of an enterprise, whose rows it may then read until the call "
        f"ends: by county, city or province. Errors: NOT_FOUND, NOT_PERMITTED, {_DATED}.",
    )
    async def incident_call_open(ctx: WriteContext, input: IncidentCallInput) -> UUID:  # noqa: A002, N805
        """Run ``service.give_grant``."""
        return await service.give_grant(ctx, IncidentCall, _grant(input))

    @gql.mutation(payload=IncidentCallPayload, returns="incident_call", description=f"Ends a call at once. {_COMMON}.")
    async def incident_call_end(ctx: WriteContext, input: GrantEndInput) -> UUID:  # noqa: A002, N805
        """Run ``service.end_grant``."""
        return await service.end_grant(ctx, IncidentCall, uuid_of(input.id, "incident_call"), input.expected_version)


def _grant(input_: GrantInput | IncidentCallInput) -> service.NewGrant:
    # An id that was given and is none must not fall back to the caller's own tenant.
    owner_id = None if input_.owner is None else uuid_of(input_.owner, "tenant") or UUID(int=0)
    return service.NewGrant(
        owner_id,
        uuid_of(input_.grantee, "tenant"),
        input_.purpose,
        input_.valid_from,
        input_.valid_to,
        input_.document,
        input_.incident if isinstance(input_, IncidentCallInput) else None,
    )
