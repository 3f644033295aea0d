"""Mutations of enterprises: from input to use case and back, nothing else."""

from uuid import UUID

import strawberry

from app.kit import gql
from app.kit.gql.scalars import dump_datetime
from app.kit.uow import WriteContext
from app.modules.enterprises.api.inputs import (
    EnterpriseChangePayload,
    EnterpriseChangeReviewInput,
    EnterpriseChangeStepInput,
    EnterpriseChangeSubmitInput,
    EnterpriseConfirmInput,
    EnterpriseLockFieldsInput,
    EnterprisePayload,
    EnterpriseSetLifecycleInput,
    EnterpriseUpdateInput,
    EnterpriseVerifyInput,
    PersonAddInput,
    PersonPayload,
    PersonUpdateInput,
    PersonVoidInput,
    RegistrationApproveInput,
    RegistrationConfirmClaimInput,
    RegistrationOpenPayload,
    RegistrationPayload,
    RegistrationPhoneRevealInput,
    RegistrationPhoneRevealPayload,
    RegistrationRefuseInput,
    RegistrationSubmitInput,
    RegistrationSubmitPayload,
    SiteAddInput,
    SiteCloseInput,
    SitePayload,
    SiteUpdateInput,
    park_of,
    sent,
    uuid_of,
)
from app.modules.enterprises.service import changes, file, people, registrations, sites

_COMMON = "Errors: NOT_FOUND, NOT_PERMITTED, CONFLICT, WRONG_STATE"
_TEXT = "REQUIRED, TOO_LONG, TEXT_CONTROL"
_PLACE = (
    "DIVISION_UNKNOWN, DIVISION_TOO_WIDE, DIVISION_NO_AUTHORITY, PARK_UNKNOWN, COORDINATE_INVALID, "
    "COORDINATE_SWAPPED, COORDINATE_HALF"
)
_FIELDS = f"{_TEXT}, NUMBER_RANGE, DATE_FUTURE, DATE_ORDER, DIVISION_UNKNOWN, INDUSTRY_UNKNOWN, CODE_UNKNOWN"
_HEAD = ("id", "expected_version", "client_mutation_id")


def _opened(done: registrations.Opened) -> gql.Outcome:
    """Return the outcome with the slip, whose code is never kept."""
    return gql.Outcome(
        done.registration_id,
        {"slip_expires_at": dump_datetime(done.slip.expires_at)},
        {"slip_code": done.slip.code, "slip_qr_svg": done.slip.svg},
    )


@strawberry.type
class RegistrationMutation:
    """Root fields about registrations."""

    @gql.mutation(
        payload=RegistrationSubmitPayload,
        anonymous=True,
        description="企业注册: asks for an enterprise to be let in; without an account. The answer is the same whether "
        f"the code is known or not. Errors: USCC_ and the reason, {_TEXT}, PHONE_INVALID, INDUSTRY_UNKNOWN, {_PLACE}.",
    )
    async def registration_submit(ctx: WriteContext, input: RegistrationSubmitInput) -> gql.Outcome:  # noqa: A002, N805
        """Run ``registrations.submit``; the receipt's id stays inside."""
        values = sent(input, leave=("park", "client_mutation_id"))
        await registrations.submit(ctx, registrations.NewRegistration(**values, park_id=park_of(input.park)))
        return gql.Outcome(None, {"received": True})

    @gql.mutation(
        payload=RegistrationOpenPayload,
        returns="registration",
        description="Approves a registration: opens tenant, file, main site and first user at once, and gives the "
        f"activation slip to print. {_COMMON}, REGISTRATION_CODE_KNOWN, {_PLACE}.",
    )
    async def registration_approve(ctx: WriteContext, input: RegistrationApproveInput) -> gql.Outcome:  # noqa: A002, N805
        """Run ``registrations.approve``."""
        row_id = uuid_of(input.id, "registration")
        park_id = park_of(input.park)
        return _opened(await registrations.approve(ctx, row_id, input.expected_version, park_id=park_id))

    @gql.mutation(
        payload=RegistrationOpenPayload,
        returns="registration",
        description="Confirms a claim of an existing enterprise: its claimant becomes a user and gets the activation "
        f"slip. {_COMMON}, REGISTRATION_NO_ENTERPRISE.",
    )
    async def registration_confirm_claim(
        ctx: WriteContext,  # noqa: N805
        input: RegistrationConfirmClaimInput,  # noqa: A002
    ) -> gql.Outcome:
        """Run ``registrations.confirm_claim``."""
        row_id = uuid_of(input.id, "registration")
        return _opened(await registrations.confirm_claim(ctx, row_id, input.expected_version))

    @gql.mutation(
        payload=RegistrationPayload,
        returns="registration",
        description=f"Refuses a registration or claim with a reason. {_COMMON}, {_TEXT}.",
    )
    async def registration_refuse(ctx: WriteContext, input: RegistrationRefuseInput) -> UUID:  # noqa: A002, N805
        """Run ``registrations.refuse``."""
        row_id = uuid_of(input.id, "registration")
        return await registrations.refuse(ctx, row_id, input.expected_version, input.reason)

    @gql.mutation(
        payload=RegistrationPhoneRevealPayload,
        returns="registration",
        description="Shows the contact's number in full to who decides the registration, to call back before deciding; "
        "the audit log keeps who, when and why, never the number. Errors: NOT_FOUND, NOT_PERMITTED, WRONG_STATE, "
        f"TOO_SHORT, {_TEXT}.",
    )
    async def registration_phone_reveal(ctx: WriteContext, input: RegistrationPhoneRevealInput) -> gql.Outcome:  # noqa: A002, N805
        """Run ``registrations.reveal_phone``; the number is never kept."""
        row_id = uuid_of(input.id, "registration")
        number = await registrations.reveal_phone(ctx, row_id, input.reason)
        return gql.Outcome(row_id, once={"contact_phone": number})


@strawberry.type
class FileMutation:
    """Root fields about files and change sets."""

    @gql.mutation(
        payload=EnterprisePayload,
        returns="enterprise",
        description="Changes fields of your file that apply at once; size class, duties and completeness follow. "
        f"{_COMMON}, FIELD_REVIEWED, FIELD_LOCKED, PHONE_INVALID, {_FIELDS}.",
    )
    async def enterprise_update(ctx: WriteContext, input: EnterpriseUpdateInput) -> UUID:  # noqa: A002, N805
        """Run ``file.update_file``."""
        values = sent(input, leave=(*_HEAD, "reason"))
        row_id = uuid_of(input.id, "enterprise")
        return await file.update_file(ctx, row_id, input.expected_version, values, input.reason)

    @gql.mutation(
        payload=EnterpriseChangePayload,
        returns="enterprise_change",
        description="Submits changes of name, credit code, legal representative, industry or registered address to "
        f"the county; one set at a time. {_COMMON}, NOTHING_CHANGED, CHANGE_OPEN, FIELD_LOCKED, USCC_ and the reason, "
        f"INDUSTRY_UNKNOWN, {_TEXT}.",
    )
    async def enterprise_change_submit(ctx: WriteContext, input: EnterpriseChangeSubmitInput) -> UUID:  # noqa: A002, N805
        """Run ``changes.submit``."""
        row_id = uuid_of(input.id, "enterprise")
        return await changes.submit(
            ctx, row_id, input.expected_version, sent(input.changes), input.reason, draft=input.draft
        )

    @gql.mutation(
        payload=EnterpriseChangePayload,
        returns="enterprise_change",
        description=f"Hands a draft to the county. {_COMMON}.",
    )
    async def enterprise_change_send(ctx: WriteContext, input: EnterpriseChangeStepInput) -> UUID:  # noqa: A002, N805
        """Run ``changes.send``."""
        return await changes.send(ctx, uuid_of(input.id, "enterprise_change"), input.expected_version)

    @gql.mutation(
        payload=EnterpriseChangePayload,
        returns="enterprise_change",
        description=f"Takes a change set back before the county has decided. {_COMMON}.",
    )
    async def enterprise_change_withdraw(ctx: WriteContext, input: EnterpriseChangeStepInput) -> UUID:  # noqa: A002, N805
        """Run ``changes.withdraw``."""
        return await changes.withdraw(ctx, uuid_of(input.id, "enterprise_change"), input.expected_version)

    @gql.mutation(
        payload=EnterpriseChangePayload,
        returns="enterprise_change",
        description="Accepts a change set, which applies it, or returns it with a reason; the county does. "
        f"{_COMMON}, CHANGE_OUTDATED, CREDIT_CODE_TAKEN, FIELD_LOCKED, {_TEXT}.",
    )
    async def enterprise_change_review(ctx: WriteContext, input: EnterpriseChangeReviewInput) -> UUID:  # noqa: A002, N805
        """Run ``changes.review``."""
        row_id = uuid_of(input.id, "enterprise_change")
        return await changes.review(ctx, row_id, input.expected_version, accept=input.accept, reason=input.reason)

    @gql.mutation(
        payload=EnterprisePayload,
        returns="enterprise",
        description="Verifies a claimed file, as the county; from then on reviewed fields change by review only. "
        f"{_COMMON}, TOO_LONG.",
    )
    async def enterprise_verify(ctx: WriteContext, input: EnterpriseVerifyInput) -> UUID:  # noqa: A002, N805
        """Run ``file.verify``."""
        return await file.verify(ctx, uuid_of(input.id, "enterprise"), input.expected_version, input.note)

    @gql.mutation(
        payload=EnterprisePayload,
        returns="enterprise",
        description=f"Confirms that your file is right as it stands, every quarter. {_COMMON}.",
    )
    async def enterprise_confirm(ctx: WriteContext, input: EnterpriseConfirmInput) -> UUID:  # noqa: A002, N805
        """Run ``file.confirm``."""
        return await file.confirm(ctx, uuid_of(input.id, "enterprise"), input.expected_version)

    @gql.mutation(
        payload=EnterprisePayload,
        returns="enterprise",
        description="Suspends or resumes your enterprise, or closes one as its county. " + f"{_COMMON}, {_TEXT}.",
    )
    async def enterprise_set_lifecycle(ctx: WriteContext, input: EnterpriseSetLifecycleInput) -> UUID:  # noqa: A002, N805
        """Run ``file.set_lifecycle``."""
        row_id = uuid_of(input.id, "enterprise")
        return await file.set_lifecycle(ctx, row_id, input.expected_version, input.action.value, input.reason)

    @gql.mutation(
        payload=EnterprisePayload,
        returns="enterprise",
        description="Locks or unlocks fields of a file, as a city or province; what a higher authority locked, a "
        f"lower one leaves. {_COMMON}, LOCK_HIGHER, {_TEXT}.",
    )
    async def enterprise_lock_fields(ctx: WriteContext, input: EnterpriseLockFieldsInput) -> UUID:  # noqa: A002, N805
        """Run ``file.lock_fields``."""
        return await file.lock_fields(
            ctx,
            uuid_of(input.id, "enterprise"),
            input.expected_version,
            lock=[field.value for field in input.lock],
            unlock=[field.value for field in input.unlock],
            reason=input.reason,
        )


@strawberry.type
class SiteMutation:
    """Root fields about sites and people."""

    @gql.mutation(
        payload=SitePayload,
        returns="site",
        description="Adds a site to your enterprise. A point outside its division is accepted and shown as "
        f"`positionWarningM`. {_COMMON}, NUMBER_RANGE, {_TEXT}, {_PLACE}.",
    )
    async def site_add(ctx: WriteContext, input: SiteAddInput) -> UUID:  # noqa: A002, N805
        """Run ``sites.add``."""
        values = sent(input, leave=("park", "client_mutation_id"))
        return await sites.add(ctx, sites.NewSite(**values, park_id=park_of(input.park)))

    @gql.mutation(
        payload=SitePayload,
        returns="site",
        description="Changes a site; when it moves to another county, that county sees it from then on. "
        f"{_COMMON}, SITE_IS_MAIN, NUMBER_RANGE, {_TEXT}, {_PLACE}.",
    )
    async def site_update(ctx: WriteContext, input: SiteUpdateInput) -> UUID:  # noqa: A002, N805
        """Run ``sites.edit``."""
        values = sent(input, leave=(*_HEAD, "park"))
        if input.park is not strawberry.UNSET:
            values["park_id"] = park_of(input.park)
        return await sites.edit(ctx, uuid_of(input.id, "site"), input.expected_version, values)

    @gql.mutation(
        payload=SitePayload,
        returns="site",
        description=f"Closes a site; the main one only when no other is left. {_COMMON}, SITE_IS_MAIN, {_TEXT}.",
    )
    async def site_close(ctx: WriteContext, input: SiteCloseInput) -> UUID:  # noqa: A002, N805
        """Run ``sites.close``."""
        return await sites.close(ctx, uuid_of(input.id, "site"), input.expected_version, input.reason)

    @gql.mutation(
        payload=PersonPayload,
        returns="person",
        description="Adds a person whose post or certificate the law asks for to your enterprise. "
        f"{_COMMON}, PHONE_INVALID, DATE_ORDER, {_TEXT}.",
    )
    async def person_add(ctx: WriteContext, input: PersonAddInput) -> UUID:  # noqa: A002, N805
        """Run ``people.add``."""
        return await people.add(ctx, people.NewPerson(**sent(input, leave=("client_mutation_id",))))

    @gql.mutation(
        payload=PersonPayload,
        returns="person",
        description="Changes a person's entry, for instance the last day in the post. "
        f"{_COMMON}, PHONE_INVALID, DATE_ORDER, {_TEXT}.",
    )
    async def person_update(ctx: WriteContext, input: PersonUpdateInput) -> UUID:  # noqa: A002, N805
        """Run ``people.edit``."""
        row_id = uuid_of(input.id, "enterprise_person")
        return await people.edit(ctx, row_id, input.expected_version, sent(input, leave=_HEAD))

    @gql.mutation(
        payload=PersonPayload,
        returns="person",
        description=f"Voids a wrong entry, as somebody else than who wrote it last. {_COMMON}, OTHER_PERSON, {_TEXT}.",
    )
    async def person_void(ctx: WriteContext, input: PersonVoidInput) -> UUID:  # noqa: A002, N805
        """Run ``people.void``."""
        row_id = uuid_of(input.id, "enterprise_person")
        return await people.void(ctx, row_id, input.expected_version, input.reason)
