"""Cells and what became of them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

SHOWN = 200


class Cell(NamedTuple):
    """One claim: who reads a field of a row that stands in this relation to him, on this way."""

    kind: str
    field: str
    actor: str
    relation: str
    path: str


@dataclass
class Report:
    """What was to be tested, what was, and what was wrong."""

    wanted: set[Cell] = field(default_factory=set)
    tested: dict[Cell, bool] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    holes: list[str] = field(default_factory=list)
    """What has no expectation, or an expectation without a row that could show it."""
    requests: int = 0

    def want(self, kind: str, fields: Iterable[str], actor: str, relation: str, path: str) -> None:
        """Declare cells."""
        self.wanted.update(Cell(kind, one, actor, relation, path) for one in fields)

    def saw(self, cell: Cell, *, ok: bool, detail: str = "") -> None:
        """Record an observation; a cell is as good as its worst one."""
        self.tested[cell] = self.tested.get(cell, True) and ok
        if not ok:
            self.failures.append(f"{cell.kind}.{cell.field} {cell.actor} {cell.relation} {cell.path}: {detail}")

    @property
    def empty(self) -> list[str]:
        """What has no test, in words."""
        untested = sorted(self.wanted - self.tested.keys())
        return [
            *self.holes,
            *(f"cell {cell.kind}.{cell.field} {cell.actor} {cell.relation} {cell.path}" for cell in untested),
        ]

    def as_json(self, kinds: dict[str, str], reads: dict[tuple[str, str], set[str]]) -> dict[str, Any]:
        """Return the report, by kind of actor and type.

        Args:
            kinds: actor to kind.
            reads: (kind, type) to the relations in which something is read.
        """
        by: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(lambda: dict.fromkeys(_WORDS, 0)))
        for cell in self.wanted | self.tested.keys():
            entry = by[kinds[cell.actor]][cell.kind]
            entry["cells"] += 1
            entry["tested"] += cell in self.tested
            entry["empty"] += cell not in self.tested
            entry["failed"] += not self.tested.get(cell, True)
        total = dict.fromkeys(_WORDS, 0)
        shown: dict[str, Any] = {}
        for kind, types in sorted(by.items()):
            own = {word: sum(entry[word] for entry in types.values()) for word in _WORDS}
            for word in _WORDS:
                total[word] += own[word]
            shown[kind] = {
                **own,
                "types": {
                    name: {**entry, "reads": sorted(reads.get((kind, name), ()))}
                    for name, entry in sorted(types.items())
                },
            }
        total["cells"] += len(self.holes)
        total["empty"] += len(self.holes)
        return {
            **total,
            "byKind": shown,
            "requests": self.requests,
            "holes": self.empty[:SHOWN],
            "failures": self.failures[:SHOWN],
        }


_WORDS = ("cells", "tested", "empty", "failed")
