"""Totals, counts, filters and orders tell nothing of hidden rows: a filter on what only a hidden row has finds none."""

from collections.abc import Iterator
from typing import Any

from graphql import GraphQLEnumType, GraphQLInputObjectType, get_named_type

from tests.matrix.plan import Catalogue
from tests.matrix.run import Ask
from tests.matrix.truth import Row, Truth
from tests.matrix.words import Value
from tests.world import Actor

PER_FIELD = 2


class SideQuestions:
    """Asks an actor's side questions about each listing."""

    def __init__(self, catalogue: Catalogue, truth: Truth, ask: Ask) -> None:
        """Take what the schema holds, what is true, and how to ask."""
        self.catalogue, self.truth, self.ask = catalogue, truth, ask
        self.asked = 0

    async def told(self, actor: Actor) -> list[str]:
        """Return what the answers tell an actor of rows that are hidden from him."""
        found: list[str] = []
        for root, name in self.catalogue.lists.items():
            for condition, rows in self._conditions(root, name, actor):
                found += await self._filtered(actor, root, condition, rows)
            for order in self._orders(root):
                query = f"{{{root}(first:100,order:{order}){{totalCount nodes{{id}}}}}}"
                _, data = await self.ask(actor, query, {})
                self.asked += 1
                ids = {node["id"] for node in data[root]["nodes"]}
                visible = self.truth.visible(name, actor).keys()
                if not ids <= visible or data[root]["totalCount"] != len(visible):
                    found.append(f"{root} {order}: {len(ids - visible)} hidden rows")
        return found

    def _conditions(self, root: str, name: str, actor: Actor) -> Iterator[tuple[dict[str, Any], set[str]]]:
        """Yield filters on values that hidden rows have, each with the visible rows that have them, too."""
        query = self.catalogue.schema.query_type
        assert query is not None
        argument = query.fields[root].args.get("filter")
        kind = get_named_type(argument.type) if argument else None
        if not isinstance(kind, GraphQLInputObjectType):
            return
        expected, visible = self.truth.expected.types[name], self.truth.visible(name, actor)
        hidden = [row for row in self.truth.rows(name) if self.truth.gid(name, row) not in visible]
        for field in kind.fields:
            if not isinstance(expected.fields.get(field), Value):
                continue
            values = {str(value): value for row in hidden if (value := self._value(name, field, row)) is not None}
            for value in list(values.values())[:PER_FIELD]:
                same = {gid for gid, row in visible.items() if self._value(name, field, row) == value}
                yield {field: {"eq": value}}, same

    def _value(self, name: str, field: str, row: Row) -> Any:
        schema = self.catalogue.schema.type_map[name].fields  # type: ignore[attr-defined]
        return self.truth.value(self.truth.expected.types[name], field, row, get_named_type(schema[field].type).name)

    async def _filtered(self, actor: Actor, root: str, condition: dict[str, Any], rows: set[str]) -> list[str]:
        query = self.catalogue.schema.query_type
        assert query is not None
        kind = query.fields[root].args["filter"].type
        text = f"query($f:{kind}){{{root}(first:100,filter:$f){{totalCount nodes{{id}} pageInfo{{hasNextPage}}}}}}"
        _, data = await self.ask(actor, text, {"f": condition})
        self.asked += 1
        page = data[root]
        ids = {node["id"] for node in page["nodes"]}
        right = ids == rows and page["totalCount"] == len(rows) and not page["pageInfo"]["hasNextPage"]
        return [] if right else [f"{root} {condition}: {page['totalCount']} rows, not {len(rows)}"]

    def _orders(self, root: str) -> list[str]:
        query = self.catalogue.schema.query_type
        assert query is not None
        argument = query.fields[root].args.get("order")
        kind = get_named_type(argument.type) if argument else None
        return list(kind.values) if isinstance(kind, GraphQLEnumType) else []
