"""Events that have happened and have their positions."""

from collections.abc import Sequence

from app.relay import LOGIN, Relay
from infra.queue.port import DeadLetter, Outgoing
from tests.conftest import Clone


class Unused:
    """A queue for relays that only number."""

    def send(self, messages: Sequence[Outgoing]) -> None:
        raise AssertionError(messages)

    def serve(self, *_: object) -> None: ...
    def dead_letters(self) -> Sequence[DeadLetter]:
        return []

    def depth(self) -> int:
        return 0

    def ping(self) -> None: ...
    def close(self) -> None: ...


async def number_all(clone: Clone) -> int:
    """Number every committed event, as the relay does; return how many."""
    relay = Relay(clone.db, Unused(), clone.settings, duties=[])
    count = 0
    async with clone.db.connect(LOGIN) as connection:
        while found := await relay.number(connection):
            count += found
    return count
