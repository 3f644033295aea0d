"""People of an enterprise whose post or certificate the law asks for: add, change, void."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import insert

from app.kit.errors import require
from app.kit.ids import uuid7
from app.kit.texts import mask
from app.kit.transitions import step
from app.kit.uow import WriteContext
from app.modules.enterprises import errors, policies
from app.modules.enterprises.models import EnterprisePerson
from app.modules.enterprises.service import file
from app.modules.enterprises.service.common import NAME_LIMIT, announce, change, clean, locked, phone, values_of
from app.modules.enterprises.service.fields import CODE_LIMIT
from app.modules.enterprises.service.sites import own_file

_MASKED = {"phone": "phone_masked", "certificate_no": "certificate_no_masked"}
"""What is sent in full and stored masked."""
_PLAIN = ("name", "role", "appointed_on", "left_on", "certificate_type", "certificate_expires_on")


@dataclass(frozen=True)
class NewPerson:
    """What describes a person; phone and certificate number are stored masked."""

    name: str
    role: str
    appointed_on: date | None = None
    left_on: date | None = None
    phone: str | None = None
    certificate_type: str | None = None
    certificate_no: str | None = None
    certificate_expires_on: date | None = None


async def add(ctx: WriteContext, new: NewPerson) -> UUID:
    """Add a person to the acting enterprise's file.

    Raises:
        Fault: ``REQUIRED``, ``TOO_LONG``, ``PHONE_INVALID``, ``DATE_ORDER``.
    """
    policies.may(policies.PERSON, policies.PERSON_EDIT, ctx.acting)
    enterprise = await own_file(ctx)
    step(policies.LIFECYCLE, enterprise.lifecycle, policies.EDIT, ctx.acting)
    person_id = uuid7()
    sent = {name: getattr(new, name) for name in (*_PLAIN, *_MASKED)}
    values = _checked(sent, {})
    await ctx.session.execute(
        insert(EnterprisePerson).values(
            {**values, "id": person_id, "enterprise_id": enterprise.id, "written_by": ctx.acting.person_id}
        )
    )
    await file.refresh(ctx, enterprise)
    await announce(ctx, "enterprise_person.added", person_id, owner_key=enterprise.owner_key)
    return person_id


async def edit(ctx: WriteContext, person_id: UUID, expected_version: int, sent: Mapping[str, Any]) -> UUID:
    """Change a person's entry, for instance the last day in the post.

    Args:
        ctx: the enterprise's context.
        person_id: the entry.
        expected_version: what the caller read.
        sent: field of :class:`NewPerson` to new value, only what is to change.

    Raises:
        Fault: as :func:`add`; ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.PERSON, policies.PERSON_EDIT, ctx.acting)
    row = await locked(ctx, EnterprisePerson, person_id, expected_version)
    step(policies.PERSON, row.state, policies.PERSON_EDIT, ctx.acting)
    await change(ctx, row, **_checked(sent, values_of(row, _PLAIN)), written_by=ctx.acting.person_id)
    await file.refresh(ctx, await own_file(ctx))
    await announce(ctx, "enterprise_person.changed", person_id, owner_key=row.owner_key)
    return person_id


async def void(ctx: WriteContext, person_id: UUID, expected_version: int, reason: str) -> UUID:
    """Void a wrong entry; somebody else than who wrote it last must do that (decision 23).

    Raises:
        Fault: ``OTHER_PERSON``, ``REQUIRED``, ``WRONG_STATE``, ``CONFLICT``, ``NOT_FOUND``.
    """
    policies.may(policies.PERSON, policies.PERSON_VOID, ctx.acting)
    row = await locked(ctx, EnterprisePerson, person_id, expected_version)
    entry = step(policies.PERSON, row.state, policies.PERSON_VOID, ctx.acting, (row.written_by,))
    await change(
        ctx,
        row,
        state=entry.target,
        void_reason=clean(reason, ("reason",)),
        voided_by=ctx.acting.person_id,
        voided_by_name=ctx.acting.actor_name,
    )
    await file.refresh(ctx, await own_file(ctx))
    await announce(ctx, "enterprise_person.voided", person_id, owner_key=row.owner_key)
    return person_id


def _checked(sent: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, object]:
    """Return the columns to write; stored values take part in checks that look at two fields."""
    values: dict[str, object] = {name: sent[name] for name in _PLAIN if name in sent}
    if "name" in sent:
        values["name"] = clean(sent["name"], ("name",), limit=NAME_LIMIT)
    if "role" in sent:
        require(sent["role"], "REQUIRED", ("role",))
    if "certificate_type" in sent:
        text = clean(sent["certificate_type"], ("certificateType",), limit=NAME_LIMIT, required=False)
        values["certificate_type"] = text or None
    if "phone" in sent:
        values["phone_masked"] = mask(phone(sent["phone"], ("phone",))) if sent["phone"] else None
    if "certificate_no" in sent:
        number = clean(sent["certificate_no"], ("certificateNo",), limit=CODE_LIMIT, required=False)
        values["certificate_no_masked"] = mask(number) if number else None
    both = {**stored, **values}
    appointed, left = both.get("appointed_on"), both.get("left_on")
    require(
        appointed is None or left is None or left >= appointed,
        errors.DATE_ORDER,
        ("leftOn",),
        earliest=appointed.isoformat() if appointed else "",
    )
    return values
