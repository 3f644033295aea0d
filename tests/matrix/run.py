"""Asks every actor's questions on every path and compares each answer with the truth."""

import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

from graphql import get_named_type

from tests.matrix.plan import BATCH, Catalogue, Kind
from tests.matrix.report import Cell, Report
from tests.matrix.truth import CANARY, Row, Truth
from tests.matrix.words import ALL_KINDS, Edge, Rows, Value
from tests.world import ACTORS, Actor

Ask = Callable[[Actor, str, Mapping[str, Any]], Awaitable[tuple[str, dict[str, Any]]]]
"""Sends a document as an actor; returns the body as it came, and its ``data``."""
ALIASES = 10
"""Root fields of one document."""
PAGE = 30
"""Rows of a page of a listing: small, so that listings have several."""
NESTED_PAGE = 100
SAMPLE = 2
"""Rows per actor and relation on paths that read one row at a time."""
_PUBLIC_BATCH = 12


class Matrix:
    """One run of the matrix over a stack."""

    def __init__(self, catalogue: Catalogue, truth: Truth, ask: Ask) -> None:
        """Take what the schema holds, what is true, and how to ask."""
        self.catalogue, self.truth, self._ask = catalogue, truth, ask
        self.report = Report(holes=catalogue.empty(truth.expected) + witnesses(catalogue, truth))
        self.kinds = {name: kind for name, kind in catalogue.kinds.items() if self._complete(name, kind)}

    def _complete(self, name: str, kind: Kind) -> bool:
        wanted = self.truth.expected.types.get(name)
        return wanted is not None and all(field in wanted.fields or field == "id" for field in kind.fields)

    async def run(self, actors: Iterable[Actor] = ACTORS) -> Report:
        """Run every path for these actors."""
        for actor in actors:
            for name, kind in self.kinds.items():
                await self._direct(actor, kind)
                await self._single(actor, kind, "node", "node")
                for root in (root for root, target in self.catalogue.by_id.items() if target == name):
                    await self._single(actor, kind, root, "by_id")
                for root in (root for root, target in self.catalogue.lists.items() if target == name):
                    await self._list(actor, kind, root)
                await self._nested(actor, kind)
            for root in self.catalogue.counts:
                await self._counts(actor, root)
        return self.report

    async def ask(self, actor: Actor, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Ask, and look for canaries that the actor must not meet."""
        body, data = await self._ask(actor, query, variables)
        self.report.requests += 1
        strange = set(CANARY.findall(body)) - self.truth.canaries(actor)
        if strange:
            self.report.failures.append(f"{actor.name} meets canaries of {sorted(strange)}: {query[:200]}")
        return data

    async def _direct(self, actor: Actor, kind: Kind) -> None:
        query = f"query($ids:[ID!]!){{nodes(ids:$ids){{... on {kind.name}{{{kind.selection}}}}}}}"
        for batch in _batches(self.truth.rows(kind.name), BATCH):
            ids = [self.truth.gid(kind.name, row) for row in batch]
            data = await self.ask(actor, query, {"ids": ids})
            for row, answer in zip(batch, data["nodes"], strict=True):
                self._judge(actor, kind, row, answer, "nodes")

    async def _single(self, actor: Actor, kind: Kind, root: str, path: str) -> None:
        """Read rows one at a time, several in a document: batches of aliases are one way to leak."""
        spread = f"... on {kind.name}{{{kind.selection}}}" if root == "node" else kind.selection
        for batch in _batches(list(self._sample(actor, kind.name)), ALIASES):
            names = ",".join(f"$i{n}:ID!" for n in range(len(batch)))
            fields = " ".join(f"a{n}:{root}(id:$i{n}){{{spread}}}" for n in range(len(batch)))
            ids = {f"i{n}": self.truth.gid(kind.name, row) for n, row in enumerate(batch)}
            data = await self.ask(actor, f"query({names}){{{fields}}}", ids)
            for n, row in enumerate(batch):
                self._judge(actor, kind, row, data[f"a{n}"], path)

    def _sample(self, actor: Actor, name: str) -> Iterator[Row]:
        taken: Counter[str] = Counter()
        for row in self.truth.rows(name):
            relation = self.truth.relation(name, row, actor)
            taken[relation] += 1
            if taken[relation] <= SAMPLE:
                yield row

    async def _list(self, actor: Actor, kind: Kind, root: str) -> None:
        query = (
            f"query($after:String){{{root}(first:{PAGE},after:$after){{totalCount totalCountIsExact "
            f"edges{{node{{{kind.selection}}}}} pageInfo{{hasNextPage endCursor}}}}}}"
        )
        found: dict[str, Any] = {}
        visible = self.truth.visible(kind.name, actor)
        after, pages, total = None, 0, None
        while pages == 0 or after is not None:
            page = (await self.ask(actor, query, {"after": after}))[root]
            ids = [edge["node"]["id"] for edge in page["edges"]]
            if len(set(ids)) < len(ids) or not found.keys().isdisjoint(ids) or pages > len(visible):
                self.report.failures.append(f"{root} {actor.name}: a row twice, or pages without end")
                break
            found |= {edge["node"]["id"]: edge["node"] for edge in page["edges"]}
            after, pages, total = page["pageInfo"]["endCursor"], pages + 1, page["totalCount"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        self._strangers(found.keys(), kind.name, f"{root} {actor.name}")
        for row in self.truth.rows(kind.name):
            self._judge(actor, kind, row, found.get(self.truth.gid(kind.name, row)), "list")
        cell = Cell(kind.name, "totalCount", actor.name, "own" if visible else "anonymous", "aggregate")
        self.report.saw(cell, ok=total == len(visible), detail=f"{root} counts {total}, not {len(visible)}")

    async def _counts(self, actor: Actor, root: str) -> None:
        name = self.truth.expected.roots.get(root, "").removeprefix("counts ")
        if name not in self.kinds:
            return
        rows = list(self.truth.visible(name, actor).values())
        for member in self.catalogue.counts[root]:
            field = _camel(member)
            shows = self.truth.expected.types[name].fields[field]
            prefix, column = "", ""
            if isinstance(shows, Value):
                prefix, column = shows.prefix, shows.column
            elif isinstance(shows, Edge):
                prefix, column = self.truth.expected.types[shows.target].prefix, shows.own
            data = await self.ask(actor, f"query{{{root}(by:{member}){{key count}}}}", {})
            answer = {one["key"]: one["count"] for one in data[root]}
            wanted = dict(self.truth.groups(column, prefix, rows))
            cell = Cell(name, field, actor.name, "own" if rows else "anonymous", "aggregate")
            self.report.saw(cell, ok=answer == wanted, detail=f"{root} {answer}, not {wanted}")

    async def _nested(self, actor: Actor, kind: Kind) -> None:
        visible = list(self.truth.visible(kind.name, actor).items())
        size = BATCH if actor.signed_in else _PUBLIC_BATCH
        for field, target in (*kind.edges.items(), *((key, pair[0]) for key, pair in kind.rows.items())):
            if target not in self.kinds:
                continue
            query = self._nested_query(kind, field, target)
            for batch in _batches(visible, size):
                data = await self.ask(actor, query, {"ids": [gid for gid, _ in batch]})
                for (gid, row), answer in zip(batch, data["nodes"], strict=True):
                    if answer is None:
                        self.report.failures.append(f"{kind.name} {actor.name}: {gid} is gone")
                    else:
                        self._judge_nested(actor, kind, field, row, answer[field])

    def _nested_query(self, kind: Kind, field: str, target: str) -> str:
        selection = self.kinds[target].selection
        inner = f"{{{selection}}}"
        if field in kind.rows:
            size = f"(first:{NESTED_PAGE})"
            inner = f"{size}{{totalCount nodes{{{selection}}}}}" if kind.rows[field][1] else f"{size}{{{selection}}}"
        return f"query($ids:[ID!]!){{nodes(ids:$ids){{... on {kind.name}{{{field}{inner}}}}}}}"

    def _judge_nested(self, actor: Actor, kind: Kind, field: str, row: Row, answer: Any) -> None:
        """Compare an edge or a list of a row that the actor reads with the rows that it leads to."""
        shows = self.truth.expected.types[kind.name].fields[field]
        assert isinstance(shows, Edge | Rows)
        target = self.kinds[shows.target]
        there = self.truth.joined(shows, row)
        if isinstance(shows, Edge):
            found = [answer] if answer is not None else []
        else:
            found = answer["nodes"] if isinstance(answer, dict) else answer
        by_id = {one["id"]: one for one in found}
        wanted = self.truth.visible(target.name, actor)
        ids = {self.truth.gid(target.name, one) for one in there}
        mine = self.truth.relation(kind.name, row, actor)
        right = by_id.keys() == (ids & wanted.keys()) and len(found) == len(by_id)
        if isinstance(answer, dict) and "totalCount" in answer:
            right = right and answer["totalCount"] == len(ids & wanted.keys())
        self.report.saw(
            Cell(kind.name, field, actor.name, mine, "nested"), ok=right, detail=f"{sorted(by_id)} of {sorted(ids)}"
        )
        for one in there:
            self._judge(actor, target, one, by_id.get(self.truth.gid(target.name, one)), "nested")

    def _judge(self, actor: Actor, kind: Kind, row: Row, answer: Any, path: str) -> None:
        """Compare one row's answer, field by field; ``answer`` is None where nothing was shown."""
        gid = self.truth.gid(kind.name, row)
        relation = self.truth.relation(kind.name, row, actor)
        visible = gid in self.truth.visible(kind.name, actor)
        wanted = self.truth.expected.types[kind.name]
        schema = self.catalogue.schema.type_map[kind.name].fields  # type: ignore[attr-defined]
        for field in kind.leaves:
            cell = Cell(kind.name, field, actor.name, relation, path)
            if answer is None or not answer or not visible:
                self.report.saw(cell, ok=visible is bool(answer), detail=f"{gid} {'hidden' if visible else 'shown'}")
                continue
            value = self.truth.value(wanted, field, row, get_named_type(schema[field].type).name)
            said = f"{gid} shows {answer[field]!r}, not {value!r}"
            self.report.saw(cell, ok=value is ... or answer[field] == value, detail=said)

    def _strangers(self, ids: Iterable[str], name: str, where: str) -> None:
        known = {self.truth.gid(name, row) for row in self.truth.rows(name)}
        if strange := set(ids) - known:
            self.report.failures.append(f"{where}: rows that no table holds: {sorted(strange)[:5]}")

    def want(self, actors: Iterable[Actor] = ACTORS) -> None:
        """Declare every cell that a whole run must fill."""
        for actor in actors:
            for name, kind in self.kinds.items():
                relations = {self.truth.relation(name, row, actor) for row in self.truth.rows(name)}
                paths = ["nodes", "node"]
                paths += ["by_id"] if name in self.catalogue.by_id.values() else []
                paths += ["list"] if name in self.catalogue.lists.values() else []
                paths += ["job"] if actor.tenant is not None else []
                for relation in relations:
                    for path in paths:
                        fields = kind.leaves if path != "job" else self.job_fields(name)
                        self.report.want(name, fields, actor.name, relation, path)
                visible = self.truth.visible(name, actor)
                for row in visible.values():
                    relation = self.truth.relation(name, row, actor)
                    self.report.want(name, (*kind.edges, *kind.rows), actor.name, relation, "nested")

    def job_fields(self, name: str) -> list[str]:
        """Return the fields of a type that show a column, which a job reads."""
        return [key for key, shows in self.truth.expected.types[name].fields.items() if isinstance(shows, Value)]

    def judge_job(self, actor: Actor, name: str, found: Mapping[str, Row]) -> None:
        """Compare the rows that a job of an actor reads, with the truth; an ended membership reads none."""
        seen = self.truth.in_table(name, actor) if actor.acts else set()
        expected = self.truth.expected.types[name]
        for row in self.truth.rows(name):
            key = str(row[expected.key])
            relation = self.truth.relation(name, row, actor)
            for field in self.job_fields(name):
                shows = expected.fields[field]
                assert isinstance(shows, Value)
                cell = Cell(name, field, actor.name, relation, "job")
                right = (key in found) is (key in seen)
                if right and key in found:
                    right = _plain(found[key][shows.column]) == _plain(row[shows.column])
                self.report.saw(cell, ok=right, detail=f"job reads {key}: {key in found}")

    def as_json(self) -> dict[str, Any]:
        """Return the report."""
        kinds = {actor.name: self.truth.world.kind(actor) for actor in ACTORS}
        reads: dict[tuple[str, str], set[str]] = defaultdict(set)
        for name, wanted in self.truth.expected.types.items():
            for kind, words in wanted.readers.items():
                reads[(kind, name)] |= {" ".join((word, *sorted(wanted.roles))) for word in words}
        return self.report.as_json(kinds, reads)


def witnesses(catalogue: Catalogue, truth: Truth) -> list[str]:
    """Return promises that no row of the world can show: a kind reads in a relation, and nobody stands so."""
    actors = {kind: [actor for actor in ACTORS if truth.world.kind(actor) == kind] for kind in ALL_KINDS}
    said = [f"kind {kind} has no actor" for kind, found in actors.items() if not found]
    named = catalogue.schema.type_map.get("TenantKind")
    said += [f"kind {kind} is unknown to the matrix" for kind in getattr(named, "values", {}) if kind not in ALL_KINDS]
    for name, wanted in truth.expected.types.items():
        for kind, words in wanted.readers.items():
            there = {truth.relation(name, row, actor) for actor in actors.get(kind, ()) for row in truth.rows(name)}
            said += [f"{name}: no row is {word} to a {kind}" for word in sorted(words - there)]
    return said


def _batches(rows: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _plain(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value.startswith(("{", "[")) else value


def _camel(member: str) -> str:
    head, *tail = member.lower().split("_")
    return head + "".join(part.title() for part in tail)
