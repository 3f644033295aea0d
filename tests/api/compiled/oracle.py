"""An independent oracle: answers documents over whole tables in plain Python: scope, filter, sort, page.

It reads what a superuser reads and imports nothing from the product but graphql-core's parser.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    parse,
    value_from_ast_untyped,
)
from graphql.language import OperationDefinitionNode

Row = Mapping[str, Any]
Cursors = Mapping[tuple[str, str, UUID], str]

TABLES = {"Firm": "firm", "Place": "place", "Note": "note", "Licence": "licence"}
SCALARS: dict[str, dict[str, Callable[[Row], Any]]] = {
    "Firm": {
        "name": lambda row: row["name"],
        "state": lambda row: row["state"],
        "founded": lambda row: row["founded"] and row["founded"].isoformat(),
        "opened": lambda row: moment(row["opened_at"]),
        "staff": lambda row: row["staff"],
        "big": lambda row: None if row["big"] is None else str(row["big"]),
        "score": lambda row: None if row["score"] is None else format(row["score"], "f"),
        "ratio": lambda row: row["ratio"] if row["ratio"] is not None and math.isfinite(row["ratio"]) else None,
        "active": lambda row: row["active"],
        "tags": lambda row: row["tags"],
        "extra": lambda row: row["extra"],
        "bigStaff": lambda row: None if row["staff"] is None else row["staff"] > 50,
        "nameLength": lambda row: len(row["name"]),
        "version": lambda row: row["version"],
    },
    "Place": {"title": lambda row: row["title"], "area": lambda row: row["area"]},
    "Note": {"code": lambda row: row["code"], "body": lambda row: row["body"]},
    "Licence": {"number": lambda row: row["number"]},
}
SORTS = {
    "NAME": "name",
    "FOUNDED": "founded",
    "OPENED": "opened_at",
    "STAFF": "staff",
    "SCORE": "score",
    "AREA": "area",
}
FILTERS = {"opened": "opened_at", "parent": "parent_id", "firm": "firm_id"}
EDGES = ("parent_id", "firm_id")
ROOT_LISTS = {"firms": "Firm", "openFirms": "Firm", "notes": "Note"}


def moment(value: datetime) -> str:
    """A moment as the API writes it."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Oracle:
    """Answers for one caller."""

    def __init__(self, tables: Mapping[str, list[dict[str, Any]]], login: str, key: int, cursors: Cursors) -> None:
        """Cut the tables down to the caller's scope."""
        self.rows: dict[str, list[Row]] = {}
        for kind, table in TABLES.items():
            column = f"{login}_key"
            self.rows[kind] = [row for row in tables[table] if column in row and row[column] == key]
        self.cursors = cursors
        self.variables: Mapping[str, Any] = {}
        self.fragments: dict[str, FragmentDefinitionNode] = {}

    def answer(self, text: str, variables: Mapping[str, Any]) -> Any:
        """The data of a document."""
        document = parse(text)
        self.variables = variables
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
        return {key: self.root(nodes) for key, nodes in self.collect("Query", [operation]).items()}

    def collect(self, kind: str, owners: list[Any]) -> dict[str, list[FieldNode]]:
        found: dict[str, list[FieldNode]] = {}
        for owner in owners:
            for node in owner.selection_set.selections:
                if not self.included(node):
                    continue
                if isinstance(node, FieldNode):
                    found.setdefault((node.alias or node.name).value, []).append(node)
                    continue
                inner: Any = node if isinstance(node, InlineFragmentNode) else None
                if isinstance(node, FragmentSpreadNode):
                    inner = self.fragments[node.name.value]
                if inner.type_condition is None or inner.type_condition.name.value in (kind, "Node"):
                    for key, nodes in self.collect(kind, [inner]).items():
                        found.setdefault(key, []).extend(nodes)
        return found

    def included(self, node: Any) -> bool:
        for directive in node.directives or ():
            wanted = value_from_ast_untyped(directive.arguments[0].value, dict(self.variables))
            if wanted == (directive.name.value == "skip"):
                return False
        return True

    def arguments(self, node: FieldNode) -> dict[str, Any]:
        made = {a.name.value: value_from_ast_untyped(a.value, dict(self.variables)) for a in node.arguments or ()}
        return {key: value for key, value in made.items() if value is not None and repr(value) != "Undefined"}

    def root(self, nodes: list[FieldNode]) -> Any:
        field, arguments = nodes[0].name.value, self.arguments(nodes[0])
        if field == "__typename":
            return "Query"
        if field == "node":
            return self.by_id(arguments["id"], nodes)
        if field == "nodes":
            return [self.by_id(one, nodes) for one in arguments["ids"]]
        if field == "firm":
            return self.by_id(arguments["id"], nodes, only="Firm")
        if field == "firmCounts":
            return self.counts(arguments, nodes)
        rows = [row for row in self.rows[ROOT_LISTS[field]] if field != "openFirms" or row["state"] == "OPEN"]
        return self.connection(ROOT_LISTS[field], rows, arguments, nodes)

    def by_id(self, given: str, nodes: list[FieldNode], only: str = "") -> Any:
        prefix, _, tail = given.rpartition("_")
        kind = prefix.title()
        for row in self.rows.get(kind, []) if not only or kind == only else []:
            if str(row["id"]) == tail:
                return self.object(kind, row, nodes)
        return None

    def object(self, kind: str, row: Row | None, nodes: list[FieldNode]) -> Any:
        if row is None:
            return None
        return {key: self.field(kind, row, found) for key, found in self.collect(kind, list(nodes)).items()}

    def find(self, kind: str, column: str, value: Any) -> Row | None:
        return next((row for row in self.rows[kind] if value is not None and row[column] == value), None)

    def field(self, kind: str, row: Row, nodes: list[FieldNode]) -> Any:
        field, arguments = nodes[0].name.value, self.arguments(nodes[0])
        if field == "__typename":
            return kind
        if field == "id":
            return f"{kind.lower()}_{row['id']}"
        if field in SCALARS[kind]:
            return SCALARS[kind][field](row)
        if field == "parent":
            return self.object("Firm", self.find("Firm", "id", row["parent_id"]), nodes)
        if field == "firm":
            return self.object("Firm", self.find("Firm", "id", row["firm_id"]), nodes)
        if field == "licence":
            return self.object("Licence", self.find("Licence", "firm_id", row["id"]), nodes)
        if field == "children":
            return self.connection(
                "Firm", [r for r in self.rows["Firm"] if r["parent_id"] == row["id"]], arguments, nodes
            )
        if field == "places":
            return self.connection(
                "Place", [r for r in self.rows["Place"] if r["firm_id"] == row["id"]], arguments, nodes
            )
        rows = [r for r in self.rows["Note"] if r["place_id"] == row["id"] and r["body"] != "hidden"]
        rows = self.sorted("Note", self.filtered("Note", rows, arguments), arguments)
        return [self.object("Note", one, nodes) for one in rows[: arguments.get("first", 3)]]

    def filtered(self, kind: str, rows: list[Row], arguments: Mapping[str, Any]) -> list[Row]:
        for field, operands in (arguments.get("filter") or {}).items():
            column = FILTERS.get(field, field)
            for operator, operand in (operands or {}).items():
                if operand is not None:
                    rows = [row for row in rows if test(field, self.shown(row, column), operator, operand)]
        return rows

    def shown(self, row: Row, column: str) -> Any:
        """A value as the caller sees it: an edge to a row that is not the caller's shows nothing."""
        hidden = column in EDGES and self.find("Firm", "id", row[column]) is None
        return None if hidden else row[column]

    def sorted(self, kind: str, rows: list[Row], arguments: Mapping[str, Any]) -> list[Row]:
        order = arguments.get("order")
        if order is None:
            if kind == "Note":
                return sorted(rows, key=lambda row: row["code"])
            return sorted(rows, key=lambda row: -row["seq"])
        member, _, way = order.rpartition("_")
        column = SORTS[member]
        empty = [row for row in rows if row[column] is None]
        full = [row for row in rows if row[column] is not None]
        made = sorted(full, key=lambda row: (row[column], row["seq"])) + sorted(empty, key=lambda row: row["seq"])
        return made if way == "ASC" else made[::-1]

    def connection(self, kind: str, rows: list[Row], arguments: dict[str, Any], nodes: list[FieldNode]) -> Any:
        order = arguments.get("order", "")
        matching = self.sorted(kind, self.filtered(kind, rows, arguments), arguments)
        everything = self.sorted(kind, list(self.rows[kind]), arguments)
        place = {row["id"]: number for number, row in enumerate(everything)}
        at = {cursor: place[i] for (k, o, i), cursor in self.cursors.items() if (k, o) == (kind, order) and i in place}
        page = [row for row in matching if "after" not in arguments or place[row["id"]] > at[arguments["after"]]]
        page = [row for row in page if "before" not in arguments or place[row["id"]] < at[arguments["before"]]]
        page = page[arguments.get("offset", 0) :]
        backward = "last" in arguments
        size = arguments.get("last", arguments.get("first", 20))
        more = len(page) > size
        page = page[-size:] if backward else page[:size]
        cursor = [self.cursors.get((kind, order, row["id"])) for row in page]
        info = {
            "hasNextPage": "before" in arguments if backward else more,
            "hasPreviousPage": more if backward else "after" in arguments or arguments.get("offset", 0) > 0,
            "startCursor": cursor[0] if cursor else None,
            "endCursor": cursor[-1] if cursor else None,
            "__typename": "PageInfo",
        }
        made: dict[str, Any] = {}
        for key, found in self.collect(f"{kind}Connection", list(nodes)).items():
            match found[0].name.value:
                case "nodes":
                    made[key] = [self.object(kind, row, found) for row in page]
                case "edges":
                    made[key] = [self.edge(kind, *pair, found) for pair in zip(page, cursor, strict=True)]
                case "pageInfo":
                    made[key] = {k: info[n[0].name.value] for k, n in self.collect("PageInfo", list(found)).items()}
                case "totalCount":
                    made[key] = len(matching)
                case "totalCountIsExact":
                    made[key] = True
                case _:
                    made[key] = f"{kind}Connection"
        return made

    def edge(self, kind: str, row: Row, cursor: str | None, nodes: list[FieldNode]) -> Any:
        made: dict[str, Any] = {}
        for key, found in self.collect(f"{kind}Edge", list(nodes)).items():
            match found[0].name.value:
                case "node":
                    made[key] = self.object(kind, row, found)
                case "cursor":
                    made[key] = cursor
                case _:
                    made[key] = f"{kind}Edge"
        return made

    def counts(self, arguments: dict[str, Any], nodes: list[FieldNode]) -> Any:
        column = {"PARENT": "parent_id"}.get(arguments["by"], arguments["by"].lower())
        found = Counter(self.shown(row, column) for row in self.filtered("Firm", self.rows["Firm"], arguments))
        empty = [(None, found.pop(None))] if None in found else []
        ordered = sorted([*sorted(found.items()), *empty], key=lambda pair: -pair[1])
        made = []
        for value, count in ordered:
            key = None if value is None else f"firm_{value}" if isinstance(value, UUID) else text_of(value)
            values = {"key": key, "count": count, "__typename": "GroupCount"}
            made.append({k: values[n[0].name.value] for k, n in self.collect("GroupCount", list(nodes)).items()})
        return made


def text_of(value: Any) -> str:
    """A value as text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def test(field: str, value: Any, operator: str, operand: Any) -> bool:
    """Whether a value meets one operand."""
    if operator == "isNull":
        return bool((value is None) == operand)
    if value is None:
        return False
    if operator == "in":
        return any(test(field, value, "eq", one) for one in operand)
    if field in ("parent", "firm"):
        return bool(f"firm_{value}" == operand)
    if isinstance(value, datetime):
        operand = datetime.fromisoformat(operand)
    elif isinstance(value, date):
        operand = date.fromisoformat(operand)
    elif isinstance(value, int) and not isinstance(value, bool):
        operand = int(operand)
    match operator:
        case "eq":
            return bool(value == operand)
        case "gt":
            return bool(value > operand)
        case "gte":
            return bool(value >= operand)
        case "lt":
            return bool(value < operand)
    return bool(value <= operand)
