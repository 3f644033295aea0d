"""The directory of the embedded issuer: rows of its own schema."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from infra.db.port import Database
from infra.identity.embedded_schema import LOGIN
from infra.identity.issuers import TIERS
from infra.identity.port import (
    Account,
    AccountConflictError,
    Attributes,
    CeilingError,
    NewAccount,
    Realm,
    UnknownAccountError,
)

COLUMNS = "id, realm, username, display_name, tenant_id, tenant_tier, tenant_path, uscc, roles, enabled"
_INSERT = text(
    "INSERT INTO issuer.account (id, realm, username, display_name, tenant_id, tenant_tier, tenant_path, uscc, roles)"
    " SELECT a.id, a.realm, a.username, a.display_name, a.tenant_id, a.tenant_tier, a.tenant_path, a.uscc,"
    " string_to_array(a.roles, ' ')"
    " FROM unnest(cast(:id as uuid[]), cast(:realm as text[]), cast(:username as text[]),"
    " cast(:display_name as text[]), cast(:tenant_id as uuid[]), cast(:tenant_tier as text[]),"
    " cast(:tenant_path as text[]), cast(:uscc as text[]), cast(:roles as text[]))"
    " AS a(id, realm, username, display_name, tenant_id, tenant_tier, tenant_path, uscc, roles)"
    " ON CONFLICT (realm, username) DO NOTHING RETURNING id"
)
_BY_NAME = text(f"SELECT {COLUMNS} FROM issuer.account WHERE realm = :realm AND username = :username")
_BY_ID = text(f"SELECT {COLUMNS} FROM issuer.account WHERE realm = :realm AND id = :id")
_SET_ATTRIBUTES = text(
    "UPDATE issuer.account SET tenant_id = :tenant_id, tenant_tier = :tenant_tier, tenant_path = :tenant_path,"
    f" uscc = :uscc WHERE realm = :realm AND id = :id RETURNING {COLUMNS}"
)
_SET_ROLES = text(f"UPDATE issuer.account SET roles = :roles WHERE realm = :realm AND id = :id RETURNING {COLUMNS}")
_SET_ENABLED = text(
    f"UPDATE issuer.account SET enabled = :enabled WHERE realm = :realm AND id = :id RETURNING {COLUMNS}"
)
_END = text(
    "UPDATE issuer.session SET ended_at = coalesce(ended_at, now()) WHERE account_id = :id"
    " AND (ended_at IS NULL OR ended_at > now() - interval '1 hour') RETURNING cast(sid as text)"
)
_BATCH = 5000


class EmbeddedDirectory:
    """Accounts of the realms ``gov`` and ``ent`` in the embedded issuer."""

    def __init__(self, database: Database) -> None:
        """Reach the rows through the issuer's own login."""
        self._database = database

    async def create_user(self, account: NewAccount) -> Account:
        """Create an account, or return the one of that name if it is of the same tenant."""
        _check_ceiling(account.realm, account.attributes)
        async with self._database.write(LOGIN, {}) as session:
            await session.execute(_INSERT, _columns([account]))
            row = (await session.execute(_BY_NAME, {"realm": account.realm, "username": account.username})).one()
        found = to_account(row)
        if found.attributes.tenant_id != account.attributes.tenant_id:
            raise AccountConflictError("the user name belongs to an account of another tenant")
        return found

    async def create_many(self, accounts: Sequence[NewAccount]) -> int:
        """Create accounts in one transaction; names that exist stay as they are."""
        for account in accounts:
            _check_ceiling(account.realm, account.attributes)
        created = 0
        async with self._database.write(LOGIN, {}) as session:
            for start in range(0, len(accounts), _BATCH):
                rows = await session.execute(_INSERT, _columns(accounts[start : start + _BATCH]))
                created += len(rows.all())
        return created

    async def set_attributes(self, realm: Realm, subject: UUID, attributes: Attributes) -> Account:
        """Replace the attributes."""
        _check_ceiling(realm, attributes)
        async with self._database.write(LOGIN, {}) as session:
            return await _change(session, _SET_ATTRIBUTES, realm, subject, vars(attributes))

    async def set_roles(self, realm: Realm, subject: UUID, roles: frozenset[str]) -> Account:
        """Replace the roles."""
        async with self._database.write(LOGIN, {}) as session:
            return await _change(session, _SET_ROLES, realm, subject, {"roles": sorted(roles)})

    async def disable(self, realm: Realm, subject: UUID) -> frozenset[str]:
        """Close the account and end its sessions."""
        async with self._database.write(LOGIN, {}) as session:
            await _change(session, _SET_ENABLED, realm, subject, {"enabled": False})
            return await _end(session, subject)

    async def enable(self, realm: Realm, subject: UUID) -> Account:
        """Open the account again."""
        async with self._database.write(LOGIN, {}) as session:
            return await _change(session, _SET_ENABLED, realm, subject, {"enabled": True})

    async def end_sessions(self, realm: Realm, subject: UUID) -> frozenset[str]:
        """End the sessions of an account."""
        async with self._database.write(LOGIN, {}) as session:
            await _change(session, _BY_ID, realm, subject, {})
            return await _end(session, subject)

    async def find(self, realm: Realm, *, username: str | None = None, subject: UUID | None = None) -> Account | None:
        """Return the account with this name or subject, or None."""
        if (username is None) == (subject is None):
            raise TypeError("find takes either username or subject")
        statement, values = (_BY_ID, {"id": subject}) if username is None else (_BY_NAME, {"username": username})
        async with self._database.read(LOGIN, {}) as session:
            row = (await session.execute(statement, {"realm": realm, **values})).one_or_none()
        return None if row is None else to_account(row)


def to_account(row: Any) -> Account:
    """Return the account of a row with :data:`COLUMNS`."""
    return Account(
        subject=row.id,
        realm=row.realm,
        username=row.username,
        display_name=row.display_name,
        attributes=Attributes(row.tenant_id, row.tenant_tier, row.tenant_path, row.uscc),
        roles=frozenset(row.roles),
        enabled=row.enabled,
    )


def _check_ceiling(realm: Realm, attributes: Attributes) -> None:
    if attributes.tenant_tier not in TIERS[realm]:
        raise CeilingError(f"realm {realm} may not carry tier {attributes.tenant_tier}")
    if attributes.tenant_id is None and attributes.tenant_tier != "citizen":
        raise CeilingError(f"an account of tier {attributes.tenant_tier} needs a tenant")


def _columns(accounts: Sequence[NewAccount]) -> dict[str, list[Any]]:
    return {
        "id": [account.subject or uuid4() for account in accounts],
        "realm": [account.realm for account in accounts],
        "username": [account.username for account in accounts],
        "display_name": [account.display_name for account in accounts],
        "tenant_id": [account.attributes.tenant_id for account in accounts],
        "tenant_tier": [account.attributes.tenant_tier for account in accounts],
        "tenant_path": [account.attributes.tenant_path for account in accounts],
        "uscc": [account.attributes.uscc for account in accounts],
        "roles": [" ".join(sorted(account.roles)) for account in accounts],
    }


async def _change(
    session: AsyncSession, statement: TextClause, realm: Realm, subject: UUID, values: Mapping[str, Any]
) -> Account:
    row = (await session.execute(statement, {"realm": realm, "id": subject, **values})).one_or_none()
    if row is None:
        raise UnknownAccountError(f"no such account in realm {realm}")
    return to_account(row)


async def _end(session: AsyncSession, subject: UUID) -> frozenset[str]:
    return frozenset((await session.execute(_END, {"id": subject})).scalars())
