"""Changes of memberships and grants: inputs to calls of the service, nothing else."""

from uuid import UUID

import strawberry

from app.kit import gql
from app.kit.gql.scalars import dump_datetime
from app.kit.gql.types import Outcome
from app.kit.ids import global_id
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
    TenantChangePayload,
    TenantCloseInput,
    TenantMoveInput,
    TenantRenameInput,
    TenantTakeOverInput,
    uuid_of,
)
from tenants.changes import ChangeKind
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
    return service.NewGrant(
        _given(input_.owner),
        uuid_of(input_.grantee, "tenant"),
        input_.purpose,
        input_.valid_from,
        input_.valid_to,
        input_.document,
        input_.incident if isinstance(input_, IncidentCallInput) else None,
    )


_CHANGE = (
    "Made by an administrator of the tier above; both ends lie in its sight. Errors: NOT_FOUND, NOT_PERMITTED, "
    "CONFLICT, TENANT_NOT_ABOVE, GRANT_OUTSIDE, CHANGE_TENANT_CLOSED, CHANGE_DATE_INVALID, TOO_LONG"
)
_TreeInput = TenantRenameInput | TenantMoveInput | TenantTakeOverInput | TenantCloseInput


@strawberry.type
class TreeMutation:
    """Root fields about the tree."""

    @gql.mutation(
        payload=TenantChangePayload,
        returns="tenant_change",
        description=f"Gives a tenant another name from a day on. {_CHANGE}, REQUIRED, TENANT_NAME_SAME.",
    )
    async def tenant_rename(ctx: WriteContext, input: TenantRenameInput) -> Outcome:  # noqa: A002, N805
        """Run ``service.change_tenant``."""
        return await _change(ctx, ChangeKind.RENAME, input, name=input.name)

    @gql.mutation(
        payload=TenantChangePayload,
        returns="tenant_change",
        description="Moves a tenant, and all that lies below it, to another place in the tree from a day on. "
        f"{_CHANGE}, CHANGE_TARGET_INVALID.",
    )
    async def tenant_move(ctx: WriteContext, input: TenantMoveInput) -> Outcome:  # noqa: A002, N805
        """Run ``service.change_tenant``."""
        parent, park = _given(input.parent), _given(input.home_park)
        return await _change(ctx, ChangeKind.MOVE, input, parent_id=parent, home_park_id=park)

    @gql.mutation(
        payload=TenantChangePayload,
        returns="tenant_change",
        description="Closes a tenant whose children, and the sight of whose rows, go to another of its kind, from a "
        f"day on. {_CHANGE}, CHANGE_TARGET_INVALID.",
    )
    async def tenant_merge(ctx: WriteContext, input: TenantTakeOverInput) -> Outcome:  # noqa: A002, N805
        """Run ``service.change_tenant``."""
        return await _change(ctx, ChangeKind.MERGE, input, other_id=_given(input.other))

    @gql.mutation(
        payload=TenantChangePayload,
        returns="tenant_change",
        description="Closes an enterprise, team or agency whose business another carries on, from a day on. "
        f"{_CHANGE}, CHANGE_TARGET_INVALID.",
    )
    async def tenant_succeed(ctx: WriteContext, input: TenantTakeOverInput) -> Outcome:  # noqa: A002, N805
        """Run ``service.change_tenant``."""
        return await _change(ctx, ChangeKind.SUCCEED, input, other_id=_given(input.other))

    @gql.mutation(
        payload=TenantChangePayload,
        returns="tenant_change",
        description=f"Closes a tenant from a day on; its rows stay. {_CHANGE}.",
    )
    async def tenant_close(ctx: WriteContext, input: TenantCloseInput) -> Outcome:  # noqa: A002, N805
        """Run ``service.change_tenant``."""
        return await _change(ctx, ChangeKind.CLOSE, input)


def _given(value: strawberry.ID | None) -> UUID | None:
    # An id that was given and is none is unknown, not left out.
    return None if value is None else uuid_of(value, "tenant") or UUID(int=0)


async def _change(
    ctx: WriteContext,
    kind: ChangeKind,
    input_: _TreeInput,
    *,
    name: str | None = None,
    parent_id: UUID | None = None,
    home_park_id: UUID | None = None,
    other_id: UUID | None = None,
) -> Outcome:
    new = service.NewChange(
        uuid_of(input_.id, "tenant"),
        input_.expected_version,
        kind,
        input_.valid_from,
        input_.document,
        name,
        parent_id,
        home_park_id,
        other_id,
    )
    recorded = await service.change_tenant(ctx, new)
    return Outcome(recorded.change_id, {"job": global_id("job", recorded.job_id)})
