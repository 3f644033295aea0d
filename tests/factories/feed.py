"""Events that have happened and have their positions."""

from app.relay import LOGIN, Relay
from tests.conftest import Clone


async def number_all(clone: Clone) -> int:
    """Number every committed event, as the relay does; return how many."""
    relay = Relay(clone.db, None, clone.settings, duties=[])  # type: ignore[arg-type] - sends nothing here
    count = 0
    async with clone.db.connect(LOGIN) as connection:
        while found := await relay.number(connection):
            count += found
    return count
