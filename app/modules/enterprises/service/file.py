"""The file of an enterprise: edits that apply at once, what is computed from it, confirming, verifying, locking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select, update

from app.kit.errors import Fault, FaultGroup, require
from app.kit.transitions import step
from app.kit.uow import WriteContext
from app.modules.enterprises import errors, policies
from app.modules.enterprises.models import OWN, REVIEWED, Enterprise, EnterprisePerson, Site
from app.modules.enterprises.service.common import announce, camel, change, clean, locked, plain, record, values_of
from app.modules.enterprises.service.fields import check_fields
from app.modules.standards import public as standards
from tenants.kinds import TIERS, Kind

FIELDS = (*REVIEWED, *OWN)
_INDICATORS = {"从业人员": "employees", "营业收入": "revenue_wan", "资产总额": "assets_wan"}
"""Indicators of the size classes to columns."""
_ASKED = {
    "credit_code": "credit_code",
    "name": "name",
    "legal_representative": "legal_representative",
    "established_on": "established_on",
    "registered_address": "registered_address",
    "division_code": "division_code",
    "industry_code": "industry_code",
    "employees": "employees",
    "annual_revenue": "revenue_wan",
    "supervision_categories": "supervision_categories",
    "contact_phone": "contact_phone",
    "safety_licence": "safety_licence_no",
    "hazchem_licence": "hazchem_licence_no",
    "liability_insurance": "liability_policy_no",
    "standardization_grade": "standardization_grade",
}
"""Codes of the table ``completeness_weight`` to columns; sites and people are asked as well."""
_SAFETY_OFFICERS = ("SAFETY_MANAGER", "SAFETY_DIRECTOR")


@dataclass(frozen=True)
class People:
    """What the completeness score asks about sites and people."""

    sites: int
    placed: int
    roles: frozenset[str]


async def update_file(
    ctx: WriteContext, enterprise_id: UUID, expected_version: int, sent: Mapping[str, Any], reason: str | None = None
) -> UUID:
    """Change fields that need no review; fields that the county reviews may only be filled while empty.

    Args:
        ctx: the enterprise's context.
        enterprise_id: the file.
        expected_version: what the caller read.
        sent: column to new value, only what is to change.
        reason: why, for the history.

    Raises:
        Fault: ``FIELD_REVIEWED``, ``FIELD_LOCKED``, faults of the fields, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.LIFECYCLE, policies.EDIT, ctx.acting)
    row = await locked(ctx, Enterprise, enterprise_id, expected_version)
    step(policies.LIFECYCLE, row.lifecycle, policies.EDIT, ctx.acting)
    checked = await check_fields(ctx, sent)
    changed = {name: value for name, value in checked.items() if value != getattr(row, name)}
    refuse_locked(row, changed)
    faults = [
        Fault(errors.FIELD_REVIEWED, (camel(name),), field=camel(name)) for name in changed if needs_review(row, name)
    ]
    if faults:
        raise FaultGroup(faults)
    if changed:
        note = clean(reason, ("reason",), required=False) or None
        await record(ctx, row, "EDIT", values_of(row, tuple(changed)), changed, reason=note)
        await apply(ctx, row, changed)
        await announce(ctx, "enterprise.changed", row.id, owner_key=row.owner_key)
    return enterprise_id


def needs_review(row: Enterprise, name: str) -> bool:
    """Say whether the county must review a change of this field; the database holds the same rule."""
    return name in REVIEWED and (getattr(row, name) is not None or row.status == "VERIFIED")


def refuse_locked(row: Enterprise, changed: Mapping[str, object], *prefix: str) -> None:
    """Raise ``FIELD_LOCKED`` for each field that a higher authority has locked."""
    faults = []
    for name in changed:
        if name in row.locked_fields:
            holder = row.locks.get(name)
            authority = holder.get("agency", "") if isinstance(holder, dict) else ""
            faults.append(Fault(errors.FIELD_LOCKED, (*prefix, camel(name)), field=camel(name), authority=authority))
    if faults:
        raise FaultGroup(faults)


async def apply(ctx: WriteContext, row: Enterprise, changed: Mapping[str, object], **more: object) -> None:
    """Write fields together with everything that is computed from them."""
    await change(ctx, row, **changed, **more, **await computed(ctx, row, changed))


async def computed(ctx: WriteContext, row: Enterprise, changed: Mapping[str, object]) -> dict[str, object]:
    """Return size class, duties and completeness as of today.

    Args:
        ctx: the use case's context.
        row: the file as stored.
        changed: columns that are about to change.
    """
    file = {**values_of(row, FIELDS), **changed}
    categories: list[str] = list(file["supervision_categories"])
    size_class, basis = await size_of(ctx, file)
    flags = await standards.flags_on(ctx.session, categories, file["employees"], ctx.today)
    return {
        "size_class": size_class,
        "size_class_as_of": ctx.today if size_class else None,
        "size_basis": basis,
        "duties": [_duty(flag) for flag in flags if flag.applies is not False],
        "completeness": await completeness_of(ctx, row.id, file),
    }


def _duty(flag: standards.Flag) -> dict[str, object]:
    return {
        "code": flag.rule.code,
        "applies": flag.applies,
        "because": list(flag.because),
        "legalBasis": flag.rule.legal_basis,
        "mark": flag.rule.mark,
    }


async def size_of(ctx: WriteContext, file: Mapping[str, Any]) -> tuple[str | None, dict[str, object]]:
    """Return the size class by its rule and what it rests on (工信部联企业〔2011〕300号)."""
    if file["industry_code"] is None:
        return None, {"missing": ["industryCode"]}
    numbers: dict[str, Decimal | None] = {
        indicator: None if file[name] is None else Decimal(file[name]) for indicator, name in _INDICATORS.items()
    }
    result = await standards.size_class_on(ctx.session, file["industry_code"], numbers, ctx.today)
    if result is None:
        return None, {"industry": None}
    return result.size_class, {
        "industry": result.industry_zh,
        "asOf": ctx.today.isoformat(),
        "missing": [camel(_INDICATORS[indicator]) for indicator in result.missing],
        "tests": [
            {
                "sizeClass": test.size_class,
                "indicator": test.indicator,
                "unit": test.unit,
                "value": str(test.value),
                "minimum": str(test.minimum),
                "passed": test.passed,
            }
            for test in result.tests
        ],
    }


async def completeness_of(ctx: WriteContext, enterprise_id: UUID, file: Mapping[str, Any]) -> int:
    """Return the completeness score of a file, sites and people included, by the weights in force."""
    people = await _people(ctx, enterprise_id)
    values: dict[str, object] = {code: file[name] for code, name in _ASKED.items()}
    values |= {
        "sites": people.sites or None,
        "site_coordinates": (people.sites and people.placed == people.sites) or None,
        "head": "HEAD" in people.roles or None,
        "safety_officer": not people.roles.isdisjoint(_SAFETY_OFFICERS) or None,
    }
    score = await standards.completeness_on(ctx.session, values, file["supervision_categories"], ctx.today)
    return score.percent


async def _people(ctx: WriteContext, enterprise_id: UUID) -> People:
    sites = (
        await ctx.session.execute(
            select(Site.longitude).where(Site.enterprise_id == enterprise_id, Site.state == "ACTIVE")
        )
    ).all()
    roles = await ctx.session.scalars(
        select(EnterprisePerson.role).where(
            EnterprisePerson.enterprise_id == enterprise_id,
            EnterprisePerson.state == "ACTIVE",
            EnterprisePerson.left_on.is_(None) | (EnterprisePerson.left_on >= ctx.today),
        )
    )
    return People(len(sites), sum(1 for (longitude,) in sites if longitude is not None), frozenset(roles))


async def refresh(ctx: WriteContext, row: Enterprise) -> None:
    """Compute again after a site or person changed; the file's version stays, nobody edited it."""
    await ctx.session.execute(
        update(Enterprise)
        .where(Enterprise.id == row.id)
        .values(**await computed(ctx, row, {}))
        .execution_options(synchronize_session=False)
    )


async def confirm(ctx: WriteContext, enterprise_id: UUID, expected_version: int) -> UUID:
    """Confirm that the file is right as it stands (every quarter).

    Raises:
        Fault: ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.LIFECYCLE, policies.CONFIRM, ctx.acting)
    row = await locked(ctx, Enterprise, enterprise_id, expected_version)
    step(policies.LIFECYCLE, row.lifecycle, policies.CONFIRM, ctx.acting)
    await record(ctx, row, "CONFIRM", {"confirmed_on": row.confirmed_on}, {"confirmed_on": ctx.today})
    await change(ctx, row, confirmed_on=ctx.today, **await computed(ctx, row, {}))
    return enterprise_id


async def verify(ctx: WriteContext, enterprise_id: UUID, expected_version: int, note: str | None = None) -> UUID:
    """Verify a claimed file as the county; from now on its reviewed fields change by review only.

    Raises:
        Fault: ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.STATUS, policies.VERIFY, ctx.acting)
    row = await locked(ctx, Enterprise, enterprise_id, expected_version)
    entry = step(policies.STATUS, row.status, policies.VERIFY, ctx.acting)
    text = clean(note, ("note",), required=False) or None
    await record(ctx, row, "VERIFY", {"status": row.status}, {"status": entry.target}, reason=text)
    await change(ctx, row, status=entry.target, verified_at=ctx.now, verified_by_name=ctx.acting.actor_name)
    await announce(ctx, "enterprise.verified", row.id, owner_key=row.owner_key)
    return enterprise_id


async def set_lifecycle(
    ctx: WriteContext, enterprise_id: UUID, expected_version: int, action: str, reason: str
) -> UUID:
    """Suspend, resume (the enterprise) or close (the county).

    Args:
        ctx: context of the enterprise or of its county.
        enterprise_id: the file.
        expected_version: what the caller read.
        action: ``policies.SUSPEND``, ``RESUME`` or ``CLOSE``.
        reason: why.

    Raises:
        Fault: ``REQUIRED``, ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.LIFECYCLE, action, ctx.acting)
    row = await locked(ctx, Enterprise, enterprise_id, expected_version)
    entry = step(policies.LIFECYCLE, row.lifecycle, action, ctx.acting)
    text = clean(reason, ("reason",))
    await record(ctx, row, "EDIT", {"lifecycle": row.lifecycle}, {"lifecycle": entry.target}, reason=text)
    await change(ctx, row, lifecycle=entry.target)
    await announce(ctx, "enterprise.lifecycle", row.id, owner_key=row.owner_key, payload={"state": entry.target})
    return enterprise_id


async def lock_fields(
    ctx: WriteContext,
    enterprise_id: UUID,
    expected_version: int,
    *,
    lock: Sequence[str],
    unlock: Sequence[str],
    reason: str,
) -> UUID:
    """Lock or unlock fields as a city or province; what a higher tier locked, a lower one leaves.

    Args:
        ctx: the authority's context.
        enterprise_id: the file.
        expected_version: what the caller read.
        lock: columns that neither enterprise nor county may change any more.
        unlock: columns that they may change again.
        reason: why.

    Raises:
        Fault: ``FIELD_UNKNOWN``, ``LOCK_HIGHER``, ``REQUIRED``, ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.LIFECYCLE, policies.LOCK, ctx.acting)
    row = await locked(ctx, Enterprise, enterprise_id, expected_version)
    step(policies.LIFECYCLE, row.lifecycle, policies.LOCK, ctx.acting)
    text = clean(reason, ("reason",))
    for path, names in (("lock", lock), ("unlock", unlock)):
        for name in names:
            require(name in FIELDS, errors.FIELD_UNKNOWN, (path,), field=name)
    locks = dict(row.locks)
    holder = {"kind": str(ctx.acting.kind), "agency": ctx.acting.tenant_name}
    for path, name in [*(("lock", n) for n in lock), *(("unlock", n) for n in unlock)]:
        held = locks.get(name)
        if isinstance(held, dict) and TIERS[Kind(str(held["kind"]))] < TIERS[ctx.acting.kind]:
            raise Fault(errors.LOCK_HIGHER, (path,), field=camel(name), authority=held["agency"])
        if path == "lock":
            locks[name] = holder
        else:
            locks.pop(name, None)
    fields = [name for name in FIELDS if name in locks]
    before, after = {"locked_fields": row.locked_fields}, {"locked_fields": fields}
    await record(ctx, row, "LOCK", before, after, reason=text)
    await change(ctx, row, locked_fields=fields, locks=plain(locks))
    return enterprise_id
