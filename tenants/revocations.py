"""Sessions that were ended before their tokens expired (identity study 1.7, step 4).

Whoever ends a session writes a row of ``revoked_session`` with :func:`revoke`; every process finds it
with :class:`RevokedSessions`. The insert notifies the channel ``membership``, on which web servers
forget whom they know, so that the next request with such a token is refused.
"""

import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from datetime import timedelta

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from infra.db.port import Database
from tenants.models import RevokedSession

LOGIN = "sys_identity"
NEGATIVE_SECONDS = 5.0
"""How long a session that was good is taken for good without asking again."""
TOKEN_LIFE = timedelta(seconds=3600 + 60)
"""No token is accepted for longer: the verifier's largest lifetime, its leeway, and clocks that differ."""
CACHE_SIZE = 20_000
_ASK = """
SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 FROM app.revoked_session
 WHERE issuer = $1 AND sid = $2 AND expires_at > clock_timestamp()"""


class RevokedSessions:
    """Answers for ``infra.identity.port.Revocations`` from the database; one per process."""

    def __init__(self, db: Database, names: Mapping[str, str]) -> None:
        """Ask ``db``.

        Args:
            db: the database.
            names: value of ``iss`` to the short name of the trusted issuer, under which rows are kept.
        """
        self._db, self._names = db, names
        self._known: OrderedDict[tuple[str, str], tuple[bool, float]] = OrderedDict()
        self._round = 0

    async def revoked(self, issuer: str, sid: str) -> bool:
        """Return True when tokens of this session are no longer accepted.

        Args:
            issuer: ``iss`` of a trusted issuer.
            sid: the session.

        Raises:
            KeyError: the issuer is none of ours; the verifier has refused it before it asks.
        """
        key = (self._names[issuer], sid)
        known = self._known.get(key)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        asked_in = self._round
        asked_at = time.monotonic()
        left: float | None = await self._db.reader(LOGIN).fetchval(_ASK, *key)
        # A "no" that was on its way while somebody's session ended may be older than that end.
        if left is not None or asked_in == self._round:
            self._known[key] = (left is not None, asked_at + (NEGATIVE_SECONDS if left is None else left))
            self._known.move_to_end(key)
            while len(self._known) > CACHE_SIZE:
                self._known.popitem(last=False)
        return left is not None

    def evict(self) -> None:
        """Forget every "no": some session may have ended."""
        self._round += 1
        self._known = OrderedDict((key, known) for key, known in self._known.items() if known[0])


async def revoke(session: AsyncSession, issuer_name: str, sids: Collection[str]) -> None:
    """Have the tokens of these sessions refused from the commit on; repeating it changes nothing.

    Args:
        session: a transaction of ``sys_jobs``.
        issuer_name: short name of the issuer (``gov``, ``ent``), as people are kept with it.
        sids: the sessions that ended.
    """
    if not sids:
        return
    expires_at = func.now() + TOKEN_LIFE
    rows = [{"issuer": issuer_name, "sid": sid, "expires_at": expires_at} for sid in sorted(sids)]
    await session.execute(insert(RevokedSession).values(rows).on_conflict_do_nothing())


async def forget_expired(db: Database) -> int:
    """Remove sessions none of whose tokens can live any more; returns how many."""
    async with db.write("sys_retention", {}) as session:
        gone = await session.execute(
            RevokedSession.__table__.delete()  # type: ignore[attr-defined]
            .where(RevokedSession.expires_at < func.now())
            .returning(RevokedSession.sid)
        )
        return len(gone.all())
