"""The path ``feed`` of the matrix: every page of events as every actor, with the object that each event names."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.matrix.report import Cell
from tests.matrix.run import Matrix
from tests.matrix.truth import Row
from tests.world import Actor

EVENT = "Event"
PAGE = 7
_FEED = "query($after:BigInt){{events(after:$after,first:{}){{cursor hasMore head events{{{} node{{id}}}}}}}}"


class FeedPath:
    """Reads the feed as actors and judges what it shows, on this path or on another one that shows events."""

    def __init__(self, matrix: Matrix, path: str = "feed") -> None:
        """Take what is expected."""
        self.matrix, self.path = matrix, path
        self.kind = matrix.kinds[EVENT]

    def want(self, actors: Iterable[Actor]) -> None:
        """Declare every cell that a whole run must fill."""
        truth = self.matrix.truth
        for actor in actors:
            for row in truth.rows(EVENT):
                relation = truth.relation(EVENT, row, actor)
                fields = (*self.kind.leaves, *self.kind.anything)
                self.matrix.report.want(EVENT, fields, actor.name, relation, self.path)

    async def run(self, actor: Actor) -> None:
        """Walk through the whole feed."""
        found: list[dict[str, Any]] = []
        after, more = None, True
        while more:
            page = (await self.matrix.ask(actor, _FEED.format(PAGE, self.kind.selection), {"after": after}))["events"]
            found += page["events"]
            more, after = page["hasMore"], page["cursor"]
            assert len(page["events"]) == PAGE if more else page["cursor"] == page["head"]
        self.judge(actor, found)

    def judge(self, actor: Actor, found: list[dict[str, Any]]) -> None:
        """Compare the events that an actor got, in their order, with those that he may see."""
        positions = [int(one["position"]) for one in found]
        if positions != sorted(set(positions)):
            self.matrix.report.failures.append(f"{self.path} {actor.name}: not in order, or twice")
        by_id = {one["id"]: one for one in found}
        self.matrix._strangers(by_id.keys(), EVENT, f"{self.path} {actor.name}")
        for row in self.matrix.truth.rows(EVENT):
            answer = by_id.get(self.matrix.truth.gid(EVENT, row))
            self.matrix._judge(actor, self.kind, row, answer, self.path)
            self._node(actor, row, answer)

    def _node(self, actor: Actor, row: Row, answer: Mapping[str, Any] | None) -> None:
        """The object of an event shows itself to whoever may see it, and to nobody else."""
        truth = self.matrix.truth
        prefix = row["type"].partition(".")[0]
        name = next(name for name, kind in truth.expected.types.items() if kind.prefix == prefix)
        gid = f"{prefix}_{row['object_id']}"
        wanted = {"id": gid} if gid in truth.visible(name, actor) else None
        right = answer is None or answer["node"] == wanted
        cell = Cell(EVENT, "node", actor.name, truth.relation(EVENT, row, actor), self.path)
        self.matrix.report.saw(cell, ok=right, detail=f"{gid}: {answer and answer['node']}, not {wanted}")
