"""Who acts: one membership per request, and the claims that it puts on a transaction."""

from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from tenants.kinds import Kind, login_of


@dataclass(frozen=True)
class Acting:
    """The acting membership of a request or job; memberships never add up (decision 30).

    ``capabilities`` is what the token and the membership's roles both allow.
    """

    membership_id: UUID
    person_id: UUID
    tenant_id: UUID
    tenant_key: int
    tenant_name: str
    kind: Kind
    roles: frozenset[str]
    capabilities: frozenset[str]
    actor_name: str
    post: str
    client: str = ""
    token_expires: int = 0
    locale: str = field(default="zh-CN")

    @property
    def login(self) -> str:
        """The database login of this membership's tenant."""
        return login_of(self.kind)

    def claims(self, today: date) -> dict[str, str]:
        """Return the claims of a transaction.

        Args:
            today: the legal day, of our clock; policies with validity compare with it.
        """
        return {
            "app.key": str(self.tenant_key),
            "app.person": str(self.person_id),
            "app.membership": str(self.membership_id),
            "app.today": today.isoformat(),
        }


@dataclass(frozen=True)
class Visitor:
    """Nobody, or somebody signed in without a membership: acts as the public."""

    person_id: UUID | None = None
    locale: str = "zh-CN"
    login: str = "public"
    capabilities: frozenset[str] = frozenset()

    def claims(self, today: date) -> dict[str, str]:
        """Return the claims of a transaction of the public."""
        claims = {"app.today": today.isoformat()}
        if self.person_id is not None:
            claims["app.person"] = str(self.person_id)
        return claims


Caller = Acting | Visitor
"""Whoever makes a request."""
