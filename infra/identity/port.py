"""The identity port: two halves that never know which issuer is behind them.

*Verifier* turns an access token into facts that may be trusted; it is our own code for every
issuer, embedded or Keycloak. *Directory* creates and changes the accounts of an issuer; there is
one adapter per kind of issuer. A token is a ceiling: what a person may do is the intersection with
the memberships in the database, which live above this port.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

Realm = Literal["gov", "ent"]
"""``gov`` 政务: officials, parks, rescue teams; ``ent`` 企业: staff of enterprises and citizens."""


class TokenRefused(Exception):  # noqa: N818 - the name of the outcome, not of a fault
    """The token is not accepted; the caller answers 401.

    ``reason`` is a short code of ours (``expired``, ``audience`` …): it never holds anything taken
    from the token, so that it may be logged.
    """

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.reason = reason


class DirectoryError(Exception):
    """Base of the expected failures of a directory."""


class UnknownAccountError(DirectoryError):
    """There is no such account in that realm."""


class AccountConflictError(DirectoryError):
    """The user name is taken by an account of another tenant."""


class CeilingError(DirectoryError):
    """The realm may not carry this tier, or the tier needs a tenant."""


@dataclass(frozen=True)
class VerifiedToken:
    """What a verified access token says (claims of the access token, nothing from the database)."""

    issuer: str
    """``iss``, exactly as configured."""
    issuer_name: str
    """Short configured name of the issuer; (issuer_name, subject) names a person's login."""
    realm_tier_ceiling: frozenset[str]
    """Tiers that this issuer may speak for; an acting membership must be of one of them."""
    subject: str
    """``sub``: the account at the issuer."""
    client: str
    """``azp``: the registered client that asked for the token."""
    sid: str | None
    """Session at the issuer; None for machine clients."""
    acr: str | None
    """``1`` one factor, ``2`` two factors."""
    auth_time: int | None
    """Seconds since 1970 (UTC) of the login; None for machine clients."""
    tenant_id: UUID | None
    """``tenant.id``: the home tenant; it only names the primary membership."""
    tenant_tier: str
    """``tenant.tier``; within ``realm_tier_ceiling``."""
    roles: frozenset[str]
    """Role names granted at the issuer; a ceiling for the roles of memberships."""
    expires_at: int
    """``exp``: seconds since 1970 (UTC)."""
    token_hash: str
    """SHA-256 of the token in hexadecimal: the key of caches, fit for logs."""


@dataclass(frozen=True)
class EndedSession:
    """What a verified logout token says: this session's tokens are no longer accepted."""

    issuer: str
    """``iss``, exactly as configured."""
    sid: str
    """Session at the issuer."""


class Verifier(Protocol):
    """Checks access tokens of the configured issuers."""

    async def verify(self, token: str) -> VerifiedToken:
        """Check a token completely.

        Args:
            token: the bearer token as it came, without the word ``Bearer``.

        Raises:
            TokenRefused: for whatever is wrong with it; nothing else is raised for any input.
        """

    async def verify_logout(self, token: str) -> EndedSession:
        """Check a logout token that an issuer posted (OpenID Connect Back-Channel Logout 1.0, 2.6).

        The caller puts the session where :class:`Revocations` finds it, for one hour: the life of a token.

        Raises:
            TokenRefused: as for :meth:`verify`.
        """


class Revocations(Protocol):
    """Answers whether a session has been ended before its tokens expired."""

    async def revoked(self, issuer: str, sid: str) -> bool:
        """Return True when tokens of this session are no longer accepted."""


@dataclass(frozen=True)
class Attributes:
    """Attributes of an account that become claims of its tokens."""

    tenant_id: UUID | None
    """Home tenant; None only for tier ``citizen``."""
    tenant_tier: str
    """A tier within the realm's ceiling."""
    tenant_path: str | None = None
    """Hint for front ends (``61/6101/610116``); the server never trusts it."""
    uscc: str | None = None
    """Unified social credit code 统一社会信用代码 of an enterprise, 18 characters."""


@dataclass(frozen=True)
class NewAccount:
    """An account to be created."""

    realm: Realm
    username: str
    """Unique within the realm; 1 to 64 lower-case letters, digits, ``.``, ``_``, ``-``."""
    display_name: str
    attributes: Attributes
    roles: frozenset[str] = frozenset()
    subject: UUID | None = None
    """Proposed ``sub``; an issuer that chooses its own ids ignores it, so use the answer's."""


@dataclass(frozen=True)
class Account:
    """An account as the issuer keeps it."""

    subject: UUID
    """``sub`` of its tokens."""
    realm: Realm
    username: str
    display_name: str
    attributes: Attributes
    roles: frozenset[str]
    enabled: bool


class Directory(Protocol):
    """Creates and changes accounts. Every operation may be repeated: the second call changes nothing."""

    async def create_user(self, account: NewAccount) -> Account:
        """Create an account, or return the one of that name if it is of the same tenant.

        Raises:
            AccountConflictError: the name belongs to an account of another tenant.
            CeilingError: the realm may not carry the tier.
        """

    async def create_many(self, accounts: Sequence[NewAccount]) -> int:
        """Create accounts in bulk; names that exist stay as they are. Returns how many are new.

        Raises:
            CeilingError: a realm may not carry a tier; then none is created.
        """

    async def set_attributes(self, realm: Realm, subject: UUID, attributes: Attributes) -> Account:
        """Replace the attributes; tokens issued from now on carry them.

        Raises:
            UnknownAccountError: no such account.
            CeilingError: the realm may not carry the tier.
        """

    async def set_roles(self, realm: Realm, subject: UUID, roles: frozenset[str]) -> Account:
        """Replace the roles.

        Raises:
            UnknownAccountError: no such account.
        """

    async def disable(self, realm: Realm, subject: UUID) -> frozenset[str]:
        """Close the account and end its sessions; returns the ``sid`` of each whose tokens may still live.

        The caller puts them where its verifier looks (:class:`Revocations`), so that tokens which
        have not expired are refused, too. Sessions that ended within the hour before are among them, so
        that a caller who died before it kept them gets them again.

        Raises:
            UnknownAccountError: no such account.
        """

    async def enable(self, realm: Realm, subject: UUID) -> Account:
        """Open the account again.

        Raises:
            UnknownAccountError: no such account.
        """

    async def end_sessions(self, realm: Realm, subject: UUID) -> frozenset[str]:
        """End the sessions of an account; returns the ``sid`` of each, as :meth:`disable`.

        Raises:
            UnknownAccountError: no such account.
        """

    async def find(self, realm: Realm, *, username: str | None = None, subject: UUID | None = None) -> Account | None:
        """Return the account with this name or subject (exactly one is given), or None."""
