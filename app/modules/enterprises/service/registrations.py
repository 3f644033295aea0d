"""From a citizen's request to a working tenant: receive, call back, approve, refuse, confirm a claim (US-04)."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from app.kit.errors import Fault, FaultGroup, require
from app.kit.ids import uuid4, uuid7
from app.kit.rules import uscc
from app.kit.sortkey import sort_key
from app.kit.texts import mask
from app.kit.transitions import step
from app.kit.uow import WriteContext
from app.modules.audit import public as audit
from app.modules.enterprises import errors, policies
from app.modules.enterprises.models import Enterprise, Registration, Site
from app.modules.enterprises.service import file
from app.modules.enterprises.service.common import NAME_LIMIT, announce, change, clean, locked, phone, record
from app.modules.enterprises.service.fields import check_industry
from app.modules.enterprises.service.placing import Place, check_park, check_point, find_place
from app.modules.members import public as members
from tenants.kinds import Kind
from tenants.roles import ADMIN

FIRST_ROLES = (ADMIN, "HEAD")
"""Roles of the first user of an enterprise."""
REASON_LEAST, REASON_LIMIT = 2, 200
"""Characters of the reason for which a number is revealed."""

_RECEIVE = text(
    "SELECT app.registration_receive(:id, :credit_code, :name, :county_code, :division_code, :address, "
    "cast(:longitude AS double precision), cast(:latitude AS double precision), :contact_name, :contact_phone, "
    ":phone_masked, :industry_code, cast(:park_id AS uuid))"
)
_GATHER = text("SELECT app.registration_gather(:credit_code)")
# Written as text: the mapper would send its defaults, and the county may not name those columns.
_TENANT = text(
    "INSERT INTO app.tenant (id, kind, name, name_sort, credit_code, parent_id, home_park_id) "
    "VALUES (:id, :kind, :name, :name_sort, :credit_code, :parent_id, :home_park_id) "
    "ON CONFLICT DO NOTHING RETURNING key"
)
_MEMBER = text(
    "INSERT INTO app.membership (id, owner_key, name, post, phone_masked, roles, state, valid_from, proposed_by, "
    "proposed_by_name, slip_hash, slip_expires_at, is_primary) VALUES (:id, :owner_key, :name, '', :phone_masked, "
    ":roles, 'PENDING', :valid_from, :proposed_by, :proposed_by_name, :slip_hash, :slip_expires_at, true)"
)


@dataclass(frozen=True)
class NewRegistration:
    """What a citizen fills in."""

    credit_code: str
    name: str
    division_code: str
    address: str
    contact_name: str
    contact_phone: str
    industry_code: str | None = None
    park_id: UUID | None = None
    longitude: float | None = None
    latitude: float | None = None


@dataclass(frozen=True)
class Opened:
    """A decided registration with the slip for the first user."""

    registration_id: UUID
    enterprise_id: UUID
    slip: members.Slip


async def submit(ctx: WriteContext, new: NewRegistration) -> UUID:
    """Receive a registration; whether the code is known does not show in the answer (decision 41).

    Returns:
        The receipt: a random id that says nothing.

    Raises:
        FaultGroup: every fault of the form at once.
    """
    checked = _Form()
    credit_code = checked(lambda: uscc.check(new.credit_code).require("creditCode"))
    name = checked(lambda: clean(new.name, ("name",), limit=NAME_LIMIT))
    address = checked(lambda: clean(new.address, ("address",)))
    contact_name = checked(lambda: clean(new.contact_name, ("contactName",), limit=NAME_LIMIT))
    number = checked(lambda: phone(new.contact_phone, ("contactPhone",)))
    place = await _place(ctx, new, checked)
    industry = await _industry(ctx, new, checked)
    checked.done()
    if place is None or number is None:
        raise TypeError("a checked form has its place and number")
    registration_id = uuid4()
    await ctx.session.execute(
        _RECEIVE,
        {
            "id": registration_id,
            "credit_code": credit_code,
            "name": name,
            "county_code": place.county_code,
            "division_code": place.division.code,
            "address": address,
            "longitude": new.longitude,
            "latitude": new.latitude,
            "contact_name": contact_name,
            "contact_phone": number,
            "phone_masked": mask(number),
            "industry_code": industry,
            "park_id": new.park_id,
        },
    )
    return registration_id


class _Form:
    """Collects the faults of a form, so that the citizen sees them all at once."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def __call__(self, check: Callable[[], str]) -> str | None:
        try:
            return check()
        except Fault as fault:
            self.faults.append(fault)
            return None

    def done(self) -> None:
        if self.faults:
            raise FaultGroup(self.faults)


async def _place(ctx: WriteContext, new: NewRegistration, form: _Form) -> Place | None:
    try:
        place = await find_place(ctx, new.division_code, "divisionCode")
        check_point(new.longitude, new.latitude, place.division)
        if new.park_id is not None:
            await check_park(ctx, new.park_id, place.county_id, "park")
    except Fault as fault:
        form.faults.append(fault)
        return None
    return place


async def _industry(ctx: WriteContext, new: NewRegistration, form: _Form) -> str | None:
    if not new.industry_code:
        return None
    try:
        return await check_industry(ctx, new.industry_code, "industryCode")
    except Fault as fault:
        form.faults.append(fault)
        return None


async def approve(
    ctx: WriteContext, registration_id: UUID, expected_version: int, *, park_id: UUID | None = None
) -> Opened:
    """Open a tenant for a registration, in one transaction: tenant, file, main site, first user, slip.

    Args:
        ctx: the county's context.
        registration_id: the registration.
        expected_version: what the county read.
        park_id: park in which the whole premises lie; the one that the citizen named when omitted.

    Raises:
        Fault: ``REGISTRATION_CODE_KNOWN``: this is a claim; ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.REGISTRATION, policies.APPROVE, ctx.acting)
    registration = await locked(ctx, Registration, registration_id, expected_version)
    decision = step(policies.REGISTRATION, registration.state, policies.APPROVE, ctx.acting)
    place = await _own_place(ctx, registration)
    park = park_id or registration.park_id
    if park is not None:
        await check_park(ctx, park, place.authority_id, "park")
    enterprise_id, owner_key = await _open_tenant(ctx, registration, place, park)
    await _open_file(ctx, registration, place, enterprise_id, owner_key)
    await _open_site(ctx, registration, place, enterprise_id=enterprise_id, owner_key=owner_key, park_id=park)
    enterprise = await locked(ctx, Enterprise, enterprise_id, None)
    await record(ctx, enterprise, "CREATE", {}, {"name": registration.name, "credit_code": registration.credit_code})
    await file.refresh(ctx, enterprise)
    slip = await _new_user(ctx, registration, owner_key)
    await _decided(ctx, registration, decision.target, enterprise_id=enterprise_id, kind="NEW")
    for moved in (await ctx.session.scalars(_GATHER, {"credit_code": registration.credit_code})).all():
        await audit.record(ctx, "registration-gather", "registration", moved, details={})
    await announce(ctx, "enterprise.approved", enterprise_id, owner_key=owner_key)
    return Opened(registration_id, enterprise_id, slip)


async def confirm_claim(ctx: WriteContext, registration_id: UUID, expected_version: int) -> Opened:
    """Give a claimant of an existing enterprise a membership and a slip.

    Raises:
        Fault: ``REGISTRATION_NO_ENTERPRISE``: nothing to claim here; ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.REGISTRATION, policies.CONFIRM_CLAIM, ctx.acting)
    registration = await locked(ctx, Registration, registration_id, expected_version)
    decision = step(policies.REGISTRATION, registration.state, policies.CONFIRM_CLAIM, ctx.acting)
    enterprise = await _claimed(ctx, registration)
    if enterprise is None:
        raise Fault(errors.REGISTRATION_NO_ENTERPRISE, ("id",), creditCode=registration.credit_code)
    entry = step(policies.STATUS, enterprise.status, policies.CLAIM, ctx.acting)
    if enterprise.status != entry.target:
        await record(ctx, enterprise, "EDIT", {"status": enterprise.status}, {"status": entry.target})
        await change(ctx, enterprise, status=entry.target, claimed_at=ctx.now)
    slip = await _new_user(ctx, registration, enterprise.owner_key)
    await _decided(ctx, registration, decision.target, enterprise_id=enterprise.id, kind="CLAIM")
    await announce(ctx, "enterprise.claimed", enterprise.id, owner_key=enterprise.owner_key)
    return Opened(registration_id, enterprise.id, slip)


async def _claimed(ctx: WriteContext, registration: Registration) -> Enterprise | None:
    """Return the enterprise that a claim is about: the one found on arrival, or one opened since."""
    found = Enterprise.id == registration.enterprise_id
    if registration.enterprise_id is None:
        found = Enterprise.credit_code == registration.credit_code
    return (await ctx.session.scalars(select(Enterprise).where(found).with_for_update())).first()


async def refuse(ctx: WriteContext, registration_id: UUID, expected_version: int, reason: str) -> UUID:
    """Refuse a registration or a claim, with the reason.

    Raises:
        Fault: ``REQUIRED`` without a reason; ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.REGISTRATION, policies.REFUSE, ctx.acting)
    registration = await locked(ctx, Registration, registration_id, expected_version)
    decision = step(policies.REGISTRATION, registration.state, policies.REFUSE, ctx.acting)
    await _decided(ctx, registration, decision.target, reason=clean(reason, ("reason",)))
    return registration_id


async def reveal_phone(ctx: WriteContext, registration_id: UUID, reason: str) -> str:
    """Return the contact's number in full, to call back before deciding; the audit log keeps who asked, and why.

    Args:
        ctx: the county's context.
        registration_id: the registration, not decided yet.
        reason: 2 to 200 characters (decision 36; 个人信息保护法 art. 6, 51).

    Raises:
        Fault: ``REQUIRED``, ``TOO_SHORT``, ``TOO_LONG``, ``TEXT_CONTROL``; ``WRONG_STATE``, ``NOT_FOUND``.
    """
    policies.may(policies.REGISTRATION, policies.REVEAL_PHONE, ctx.acting)
    why = clean(reason, ("reason",), limit=REASON_LIMIT)
    require(len(why) >= REASON_LEAST, "TOO_SHORT", ("reason",), limit=REASON_LEAST, length=len(why))
    registration = await locked(ctx, Registration, registration_id, None)
    step(policies.REGISTRATION, registration.state, policies.REVEAL_PHONE, ctx.acting)
    number = registration.contact_phone
    # Somebody who asks again may write the number into the reason; the log never holds it.
    details = {"reason": why.replace(number, registration.phone_masked)}
    await audit.record(ctx, policies.REVEAL_PHONE, "registration", registration_id, details=details)
    return number


async def _own_place(ctx: WriteContext, registration: Registration) -> Place:
    """Return the place that the citizen named; only a claim of an existing enterprise names another county."""
    place = await find_place(ctx, registration.division_code, "id")
    if place.county_id != ctx.acting.tenant_id:
        raise Fault(errors.REGISTRATION_CODE_KNOWN, ("id",), creditCode=registration.credit_code)
    return place


async def _open_tenant(
    ctx: WriteContext, registration: Registration, place: Place, park_id: UUID | None
) -> tuple[UUID, int]:
    tenant_id = uuid7()
    key = await ctx.session.scalar(
        _TENANT,
        {
            "id": tenant_id,
            "kind": Kind.ENTERPRISE,
            "name": registration.name,
            "name_sort": sort_key(registration.name),
            "credit_code": registration.credit_code,
            "parent_id": place.authority_id,
            "home_park_id": park_id,
        },
    )
    if key is None:
        raise Fault(errors.REGISTRATION_CODE_KNOWN, ("id",), creditCode=registration.credit_code)
    return tenant_id, int(key)


async def _open_file(
    ctx: WriteContext, registration: Registration, place: Place, enterprise_id: UUID, owner_key: int
) -> None:
    try:
        await ctx.session.execute(
            insert(Enterprise).values(
                id=enterprise_id,
                owner_key=owner_key,
                credit_code=registration.credit_code,
                name=registration.name,
                name_sort=sort_key(registration.name),
                registered_address=registration.address,
                division_code=place.division.code,
                industry_code=registration.industry_code,
                contact_name=registration.contact_name,
                contact_phone=registration.phone_masked,
                status="CLAIMED",
                claimed_at=ctx.now,
            )
        )
    except IntegrityError as problem:
        raise Fault(errors.REGISTRATION_CODE_KNOWN, ("id",), creditCode=registration.credit_code) from problem


async def _open_site(
    ctx: WriteContext,
    registration: Registration,
    place: Place,
    *,
    enterprise_id: UUID,
    owner_key: int,
    park_id: UUID | None,
) -> None:
    longitude, latitude = registration.longitude, registration.latitude
    await ctx.session.execute(
        insert(Site).values(
            id=uuid7(),
            owner_key=owner_key,
            enterprise_id=enterprise_id,
            enterprise_name=registration.name,
            name=registration.name,
            address=registration.address,
            division_code=place.division.code,
            division_on=ctx.today,
            place_id=place.authority_id,
            park_id=park_id,
            longitude=longitude,
            latitude=latitude,
            position_warning_m=check_point(longitude, latitude, place.division),
            is_main=True,
        )
    )


async def _new_user(ctx: WriteContext, registration: Registration, owner_key: int) -> members.Slip:
    """Add a user who waits for his slip; the county has seen the licence, and an enterprise may have users."""
    slip = members.new_slip(uuid7())
    await ctx.session.execute(
        _MEMBER,
        {
            "id": slip.member_id,
            "owner_key": owner_key,
            "name": registration.contact_name,
            "phone_masked": registration.phone_masked,
            "roles": list(FIRST_ROLES),
            "valid_from": ctx.today,
            "proposed_by": ctx.acting.person_id,
            "proposed_by_name": ctx.acting.actor_name,
            "slip_hash": members.hash_code(slip.code),
            "slip_expires_at": slip.expires_at,
        },
    )
    await announce(ctx, "membership.opened", slip.member_id, owner_key=owner_key)
    return slip


async def _decided(ctx: WriteContext, registration: Registration, state: str, **values: object) -> None:
    await change(
        ctx,
        registration,
        state=state,
        decided_by=ctx.acting.person_id,
        decided_by_name=ctx.acting.actor_name,
        decided_at=ctx.now,
        **values,
    )
