"""Accounts at the issuer, kept in step with memberships; run by jobs under ``sys_jobs``.

The membership is the authority over every right; the account only carries the ceiling: name, home
tenant, roles. No administrator of a tenant ever touches the issuer (identity study 1.6).
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import Uuid, cast, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.kit.events import emit
from app.kit.ids import uuid7
from app.kit.jobs import JobRun
from app.kit.outbox import enqueue
from app.modules.audit.public import Deed, record_duty
from app.modules.members import policies
from app.modules.members.models import excluded
from app.modules.members.service.memberships import SYNC_JOB
from infra.db.session import WriteSession
from infra.identity.port import Account, AccountConflictError, Attributes, Directory, NewAccount, Realm
from tenants.kinds import Kind
from tenants.models import Membership, Person, Tenant
from tenants.revocations import revoke

PROVISION = "members.provision"
ENT_KINDS = frozenset({Kind.ENTERPRISE})
"""Kinds whose people sign in at the Internet's door 企业 (realm ``ent``); all others by 政务 (``gov``)."""
_SUBJECTS = uuid5(NAMESPACE_URL, "urn:anlan:account-of-membership")


@dataclass(frozen=True)
class Redemption:
    """What the definer function ``app.redeem_slip`` queued."""

    membership_id: UUID
    login_name: str
    person_id: UUID | None
    """Whoever was signed in; None: an account is to be made."""
    slip_expires_at: datetime


def realm_of(kind: Kind) -> Realm:
    """Return the realm in which people of a tenant of this kind have their accounts."""
    return "ent" if kind in ENT_KINDS else "gov"


def attributes_of(tenant: Tenant) -> Attributes:
    """Return the attributes of an account whose home is this tenant."""
    return Attributes(tenant.id, tenant.kind.lower(), tenant.division_code, tenant.credit_code)


async def provision(run: JobRun, directory: Directory, redemption: Redemption) -> str:
    """Make the account and the person, and turn the membership ACTIVE; safe to repeat.

    Args:
        run: the attempt, under ``sys_jobs``.
        directory: the issuer's accounts.
        redemption: which slip was redeemed, and how.

    Returns:
        ``ACTIVE``; ``TAKEN`` when the login name is another's, whereupon the slip is usable again;
        ``GONE`` when the membership is not waiting for this slip; ``REALM`` when the person's realm cannot
        carry it; ``EXCLUSIVE`` when the person is another sort of administrator already (三员分立).
    """
    async with run.read() as session:
        found = await _waiting(session, run, redemption)
        person = None if redemption.person_id is None else await session.get(Person, redemption.person_id)
    if found is None:
        return "GONE"
    member, tenant = found
    realm = realm_of(Kind(tenant.kind))
    if redemption.person_id is not None:
        if person is None or person.issuer != realm:
            await _reopen(run, redemption)
            return "REALM"
        outcome = await _activate(run, member, person.person_id)
        if outcome == "EXCLUSIVE":
            await _reopen(run, redemption)
        return outcome
    try:
        account = await _account(run, directory, member, tenant, redemption.login_name)
    except AccountConflictError:
        await _reopen(run, redemption)
        return "TAKEN"
    return await _activate(run, member, None, account)


async def _waiting(session: AsyncSession, run: JobRun, redemption: Redemption) -> tuple[Membership, Tenant] | None:
    """Return the membership whose slip was really used: only ``app.redeem_slip`` makes a message of this id."""
    proof = func.md5(Membership.slip_hash + " " + redemption.login_name)
    row = (
        await session.execute(
            select(Membership, Tenant)
            .join(Tenant, Tenant.key == Membership.owner_key)
            .where(
                Membership.id == redemption.membership_id,
                Membership.state == policies.PENDING,
                Membership.slip_expires_at.is_(None),
                cast(proof, Uuid) == run.message_id,
                Tenant.status == "ACTIVE",
            )
        )
    ).one_or_none()
    return None if row is None else (row[0], row[1])


async def _account(run: JobRun, directory: Directory, member: Membership, tenant: Tenant, login_name: str) -> Account:
    """Return the member's account, made now or by an attempt of this job that did not come to its end.

    Raises:
        AccountConflictError: the name is an account of somebody else.
    """
    realm = realm_of(Kind(tenant.kind))
    wanted = NewAccount(
        realm,
        login_name,
        member.name,
        attributes_of(tenant),
        frozenset(member.roles),
        uuid5(_SUBJECTS, str(member.id)),
    )
    account = await directory.create_user(wanted)
    async with run.read() as session:
        owner = await session.scalar(
            select(Person.person_id).where(Person.issuer == realm, Person.subject == str(account.subject))
        )
    # An account of that name in this very tenant is returned as if it were new: it is only ours if it
    # is nobody's yet and bears the member's name.
    if owner is not None or account.display_name != member.name:
        raise AccountConflictError(login_name)
    return account


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(:person, 0))")
"""Of two slips that one person redeems at once, the second sees the first."""
_EXCLUDED = text(f"SELECT {excluded('cast(:roles AS text[])', 'cast(:person AS uuid)')}")


async def _activate(run: JobRun, member: Membership, person_id: UUID | None, account: Account | None = None) -> str:
    async with run.write() as session:
        if account is not None:
            person_id = await _person(session, account)
        else:
            await session.execute(_ONE_AT_A_TIME, {"person": str(person_id)})
            if await session.scalar(_EXCLUDED, {"person": str(person_id), "roles": member.roles}):
                return "EXCLUSIVE"
        primary = ~select(literal(1)).where(Membership.person_id == person_id, Membership.is_primary).exists()
        changed = await session.execute(
            update(Membership)
            .where(Membership.id == member.id, Membership.state == policies.PENDING)
            .values(
                person_id=person_id,
                state=policies.ACTIVE,
                is_primary=primary,
                version=Membership.version + 1,
                updated_at=func.now(),
            )
            .execution_options(synchronize_session=False)
            .returning(Membership.id)
        )
        if changed.first() is None:
            await run.finish(session)
            return "GONE"
        deed = Deed("membership.activate", "membership", member.id, owner_key=member.owner_key)
        await record_duty(session, PROVISION, deed, str(run.message_id))
        await emit(session, "membership.activate", member.id, owner_key=member.owner_key)
        if account is None:  # the account at hand lacks the new roles, and a token never carries more than it
            by, job = f"system:{PROVISION}", {"person_id": str(person_id), "lost": False}
            await enqueue(session, SYNC_JOB, job, by)
        await run.finish(session)
    return "ACTIVE"


async def _person(session: WriteSession, account: Account) -> UUID:
    values = {
        "person_id": uuid7(),
        "issuer": account.realm,
        "subject": str(account.subject),
        "display_name": account.display_name,
    }
    await session.execute(insert(Person).values(values).on_conflict_do_nothing())
    found = await session.scalar(
        select(Person.person_id).where(Person.issuer == account.realm, Person.subject == str(account.subject))
    )
    if found is None:
        raise LookupError("the person just written is not there")
    return found


async def _reopen(run: JobRun, redemption: Redemption) -> None:
    """Make the slip usable again for what is left of its days."""
    async with run.write() as session:
        await session.execute(
            update(Membership)
            .where(
                Membership.id == redemption.membership_id,
                Membership.state == policies.PENDING,
                Membership.slip_expires_at.is_(None),
                Membership.slip_hash.is_not(None),
            )
            .values(slip_expires_at=redemption.slip_expires_at, version=Membership.version + 1)
            .execution_options(synchronize_session=False)
        )
        await run.finish(session)


_CEILING = text(
    "SELECT p.issuer, p.subject, coalesce((SELECT array_agg(DISTINCT r.role ORDER BY r.role)"
    " FROM app.membership m CROSS JOIN LATERAL unnest(m.roles) AS r(role)"
    " WHERE m.person_id = p.person_id AND m.state = 'ACTIVE'), '{}') AS roles"
    " FROM app.person p WHERE p.person_id = :person"
)


async def sync_account(run: JobRun, directory: Directory, person_id: UUID, *, lost: bool = False) -> str:
    """Give a person's account the roles of the active memberships together; close it when none is left.

    Args:
        run: the attempt, under ``sys_jobs``.
        directory: the issuer's accounts.
        person_id: the person.
        lost: rights were taken away: sessions end and their tokens are refused, also when memberships are left.

    Returns:
        ``OPEN``, ``CLOSED``, or ``GONE`` when there is no such person.
    """
    async with run.read() as session:
        row = (await session.execute(_CEILING, {"person": person_id})).one_or_none()
    if row is None:
        return "GONE"
    realm: Realm = "ent" if row.issuer == "ent" else "gov"
    subject = UUID(row.subject)
    await directory.set_roles(realm, subject, frozenset(row.roles))
    ended: frozenset[str] = frozenset()
    if not row.roles:
        ended = await directory.disable(realm, subject)
    elif lost:
        ended = await directory.end_sessions(realm, subject)
    if row.roles:
        await directory.enable(realm, subject)
    async with run.write() as session:
        await revoke(session, row.issuer, ended)
        await run.finish(session)
    return "OPEN" if row.roles else "CLOSED"
