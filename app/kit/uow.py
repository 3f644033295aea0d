"""The unit of work of a mutation or job: one session, one acting membership, one moment."""

from dataclasses import dataclass
from datetime import date, datetime

from app.kit.errors import NotPermittedFault
from infra.db.session import WriteSession
from tenants.context import Acting, Caller, Visitor


@dataclass(frozen=True)
class WriteContext:
    """What a use case gets: never commits, never opens another session."""

    session: WriteSession
    caller: Caller
    now: datetime
    """Legal time, UTC."""
    today: date
    """Legal day, Asia/Shanghai."""
    request_id: str
    locale: str = "zh-CN"

    @property
    def acting(self) -> Acting:
        """The acting membership.

        Raises:
            NotPermittedFault: the caller has none.
        """
        if isinstance(self.caller, Visitor):
            raise NotPermittedFault("sign-in")
        return self.caller

    def require(self, capability: str) -> Acting:
        """Return the acting membership if it has the capability.

        Raises:
            NotPermittedFault: it has not.
        """
        acting = self.acting
        if capability not in acting.capabilities:
            raise NotPermittedFault(capability)
        return acting
