"""What the use cases share: locked rows, snapshots of who acts, checks of plain values."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import insert, select, update

from app.kit import texts
from app.kit.errors import ConflictFault, NotFoundFault, require
from app.kit.events import emit
from app.kit.ids import uuid7
from app.kit.uow import WriteContext
from app.modules.audit import public as audit
from app.modules.enterprises import errors
from app.modules.enterprises.models import Enterprise, EnterpriseChange, EnterprisePerson, Registration, Site
from tenants.context import Acting

Row = TypeVar("Row", Registration, Enterprise, EnterpriseChange, Site, EnterprisePerson)
NAME_LIMIT = 120
TEXT_LIMIT = 500
_MOBILE = re.compile(r"1[3-9]\d{9}\Z")
_LANDLINE = re.compile(r"0\d{2,3}-?\d{7,8}(-\d{1,5})?\Z")
AMOUNT_LIMIT = Decimal(10) ** 14
_AMOUNT_DIGITS = 4


async def locked(ctx: WriteContext, model: type[Row], row_id: UUID, expected_version: int | None) -> Row:
    """Return a row that the caller may see, locked for this transaction.

    Raises:
        NotFoundFault: unknown, or not the caller's.
        ConflictFault: changed since the caller read it.
    """
    query = select(model).where(model.id == row_id).with_for_update().execution_options(populate_existing=True)
    row = (await ctx.session.scalars(query)).first()
    if row is None:
        raise NotFoundFault("id")
    if expected_version is not None and row.version != expected_version:
        raise ConflictFault(row.version)
    return row


async def change(ctx: WriteContext, row: Row, **values: object) -> None:
    """Update a locked row and raise its version."""
    model = type(row)
    statement = (
        update(model)
        .where(model.id == row.id)
        .values(**values, version=row.version + 1, updated_at=ctx.now)
        .execution_options(synchronize_session=False)
    )
    await ctx.session.execute(statement)


async def record(
    ctx: WriteContext,
    row: Enterprise,
    kind: str,
    before: Mapping[str, object],
    after: Mapping[str, object],
    *,
    reason: str | None = None,
) -> UUID:
    """Write an entry of the file's history that is in force at once."""
    change_id = uuid7()
    await ctx.session.execute(
        insert(EnterpriseChange).values(
            id=change_id,
            owner_key=row.owner_key,
            enterprise_id=row.id,
            kind=kind,
            state="ACCEPTED",
            before=plain(before),
            after=plain(after),
            reason=reason,
            made_on=ctx.today,
            **snapshot(ctx.acting),
        )
    )
    return change_id


async def announce(
    ctx: WriteContext,
    what: str,
    object_id: UUID,
    *,
    owner_key: int,
    site_id: UUID | None = None,
    payload: Mapping[str, str] | None = None,
) -> None:
    """Write the audit row under the object's keys, and the event.

    Args:
        ctx: the use case's context.
        what: ``object.happened``; the first word is the prefix of the object's id.
        object_id: the object.
        owner_key: the tenant whose record it is.
        site_id: the site that places it, when a site does.
        payload: states and codes; never personal data.
    """
    kind = what.partition(".")[0]
    await audit.record(ctx, what, kind, object_id, owner_key=owner_key, site_id=site_id, details=payload)
    await emit(ctx.session, what, object_id, owner_key=owner_key, site_id=site_id, payload=payload)


def snapshot(acting: Acting) -> dict[str, object]:
    """Return the columns that keep who acted, as he was then (decision 19)."""
    return {
        "actor_id": acting.person_id,
        "actor_name": acting.actor_name,
        "actor_post": acting.post,
        "actor_agency": acting.tenant_name,
    }


def plain(values: Mapping[str, object]) -> dict[str, object]:
    """Return values as JSON holds them: exact decimals and days as text."""
    return {key: value if _is_json(value) else str(value) for key, value in values.items()}


def _is_json(value: object) -> bool:
    return value is None or isinstance(value, bool | int | str | list | dict)


def camel(name: str) -> str:
    """Return a column's name as the API writes it."""
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)


def clean(value: str | None, field: Sequence[str], *, limit: int = TEXT_LIMIT, required: bool = True) -> str:
    """Return a text as :func:`app.kit.texts.clean` does, of at most 500 characters unless told otherwise."""
    return texts.clean(value, field, limit=limit, required=required)


def phone(value: str | None, field: Sequence[str]) -> str:
    """Return a telephone number of the mainland without blanks.

    Raises:
        Fault: ``REQUIRED``, ``PHONE_INVALID``.
    """
    text = re.sub(r"[\s+]", "", unicodedata.normalize("NFKC", clean(value, field, limit=30)))
    text = text.removeprefix("86") if _MOBILE.match(text.removeprefix("86")) else text
    require(_MOBILE.match(text) or _LANDLINE.match(text), errors.PHONE_INVALID, field)
    return text


def amount(value: Decimal, field: Sequence[str]) -> Decimal:
    """Return an amount in 万元: not negative, at most four decimals.

    Raises:
        Fault: ``NUMBER_RANGE``.
    """
    exponent = value.normalize().as_tuple().exponent
    fits = isinstance(exponent, int) and -exponent <= _AMOUNT_DIGITS
    require(fits and 0 <= value < AMOUNT_LIMIT, errors.NUMBER_RANGE, field, low=0, high="99999999999999.9999")
    return value


def values_of(row: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return these columns of a row."""
    return {name: getattr(row, name) for name in names}
