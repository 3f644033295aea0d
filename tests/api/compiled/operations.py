"""Random operations over the toy schema: text and variables."""

import json
import random
from typing import Any

ORDERS = {
    "Firm": [f"{m}_{w}" for m in ("NAME", "FOUNDED", "OPENED", "STAFF", "SCORE") for w in ("ASC", "DESC")],
    "Place": ["AREA_ASC", "AREA_DESC"],
    "Note": [],
}
SCALARS = {
    "Firm": [
        "id",
        "name",
        "state",
        "founded",
        "opened",
        "staff",
        "big",
        "score",
        "ratio",
        "active",
        "tags",
        "extra",
        "bigStaff",
        "nameLength",
        "version",
        "__typename",
    ],
    "Place": ["id", "title", "area", "__typename"],
    "Note": ["id", "code", "body", "__typename"],
    "Licence": ["id", "number", "__typename"],
}
EDGES = {
    "Firm": {"parent": "Firm", "licence": "Licence"},
    "Place": {"firm": "Firm"},
    "Note": {},
    "Licence": {"firm": "Firm"},
}
LISTS = {"Firm": {"children": "Firm", "places": "Place"}, "Place": {}, "Note": {}, "Licence": {}}


class Writer:
    """Writes one operation."""

    def __init__(
        self, rng: random.Random, values: dict[str, list[Any]], cursors: dict[tuple[str, str], list[str]]
    ) -> None:
        """Draw from ``rng``; ``values`` are ids and column values that exist, ``cursors`` by type and order."""
        self.rng, self.values, self.cursors = rng, values, cursors
        self.variables: dict[str, Any] = {}
        self.defaults: dict[str, Any] = {}
        self.declared: list[str] = []
        self.fragments: list[str] = []

    def operation(self) -> tuple[str, dict[str, Any]]:
        """Text and variables."""
        fields = [self.root(number) for number in range(self.rng.randint(1, 3))]
        head = f"query Q({', '.join(self.declared)})" if self.declared else "query"
        return f"{head} {{ {' '.join(fields)} }} {' '.join(self.fragments)}", self.variables

    def variable(self, kind: str, value: Any) -> str:
        name = f"v{len(self.declared)}"
        default = " = 3" if kind == "Int" and self.rng.random() < 0.3 else ""
        self.declared.append(f"${name}: {kind}{default}")
        if default and self.rng.random() < 0.5:
            self.defaults[name] = 3
        else:
            self.variables[name] = value
        return f"${name}"

    def value(self, kind: str, value: Any, literal: str) -> str:
        return self.variable(kind, value) if self.rng.random() < 0.5 else literal

    def root(self, number: int) -> str:
        alias = f"r{number}: "
        match self.rng.randrange(7):
            case 0:
                given = self.rng.choice(self.values["firm"])
                return f"{alias}firm(id: {self.value('ID!', given, quoted(given))}) {self.selection('Firm', 3)}"
            case 1:
                given = self.rng.choice(self.values["firm"] + self.values["note"])
                return f"{alias}node(id: {self.value('ID!', given, quoted(given))}) {self.abstract()}"
            case 2:
                many = self.rng.sample(self.values["firm"] + self.values["note"] + ["x_y"], 4)
                return f"{alias}nodes(ids: {self.value('[ID!]!', many, str(many).replace(chr(39), chr(34)))}) {self.abstract()}"
            case 3:
                by = self.rng.choice(["STATE", "FOUNDED", "STAFF", "ACTIVE", "PARENT"])
                given = self.filter("Firm")
                return f"{alias}firmCounts(by: {self.value('FirmGroup!', by, by)}{', ' + given if given else ''}) {{ key n: count __typename }}"
            case 4:
                return f"{alias}openFirms{self.page('Firm')} {self.connection('Firm', 2)}"
            case 5:
                return f"{alias}notes{self.page('Note')} {self.connection('Note', 1)}"
        return f"{alias}firms{self.page('Firm')} {self.connection('Firm', 2)}"

    def abstract(self) -> str:
        return (
            "{ __typename id ... on Firm " + self.selection("Firm", 2) + " ... on Note { code } ... on Node { i: id } }"
        )

    def selection(self, kind: str, depth: int) -> str:
        parts = []
        for name in self.rng.sample(SCALARS[kind], self.rng.randint(1, min(5, len(SCALARS[kind])))):
            alias = f"a{self.rng.randrange(9)}{name.strip('_')}: " if self.rng.random() < 0.2 else ""
            parts.append(alias + name + self.directive())
        if depth:
            for name, target in EDGES[kind].items():
                if self.rng.random() < 0.4:
                    parts.append(f"{name}{self.directive()} {self.selection(target, depth - 1)}")
            for name, target in LISTS[kind].items():
                if self.rng.random() < 0.3:
                    parts.append(f"{name}{self.page(target)} {self.connection(target, depth - 1)}")
            if kind == "Place" and self.rng.random() < 0.5:
                parts.append(
                    f"notes{self.rng.choice(['', '(first: 2)', '(filter: {body: {isNull: true}})'])} {self.selection('Note', 0)}"
                )
        if self.rng.random() < 0.25:
            inner = "{ " + " ".join(parts) + " }"
            if self.rng.random() < 0.5:
                name = f"f{len(self.fragments)}"
                self.fragments.append(f"fragment {name} on {kind} {inner}")
                return f"{{ ...{name} __typename }}"
            return f"{{ ... on {kind}{self.directive()} {inner} k: __typename }}"
        return "{ " + " ".join(parts) + " }"

    def directive(self) -> str:
        if self.rng.random() > 0.12:
            return ""
        flag = self.rng.random() < 0.6
        return f" @{self.rng.choice(['skip', 'include'])}(if: {self.value('Boolean!', flag, str(flag).lower())})"

    def connection(self, kind: str, depth: int) -> str:
        parts = []
        if self.rng.random() < 0.5:
            parts.append(f"nodes {self.selection(kind, depth)}")
        if self.rng.random() < 0.5 or not parts:
            parts.append(f"edges {{ cursor node {self.selection(kind, depth)} }}")
        if self.rng.random() < 0.4:
            parts.append("totalCount totalCountIsExact")
        if self.rng.random() < 0.5:
            fields = ["hasNextPage", "hasPreviousPage", "startCursor", "endCursor", "__typename"]
            parts.append("pageInfo { " + " ".join(self.rng.sample(fields, self.rng.randint(1, 5))) + " }")
        self.rng.shuffle(parts)
        return "{ " + " ".join(parts) + " }"

    def page(self, kind: str) -> str:
        parts = []
        order = ""
        if ORDERS[kind] and self.rng.random() < 0.6:
            order = self.rng.choice(ORDERS[kind])
            parts.append(f"order: {self.value(kind + 'Order', order, order)}")
        known = self.cursors.get((kind, order), [])
        way = self.rng.randrange(6)
        size = self.rng.choice([1, 2, 3, 5, 10])
        if way == 0:
            parts += [f"first: {size}", f"offset: {self.value('Int', 2, '2')}"]
        elif way < 5:
            parts.append(f"{'first' if way < 3 else 'last'}: {self.value('Int', size, str(size))}")
            for name in ("after", "before"):
                if known and self.rng.random() < 0.3:
                    cursor = self.rng.choice(known)
                    parts.append(f"{name}: {self.value('String', cursor, quoted(cursor))}")
        if self.rng.random() < 0.4 and (given := self.filter(kind)):
            parts.append(given)
        return f"({', '.join(parts)})" if parts else ""

    def filter(self, kind: str) -> str:
        if kind != "Firm":
            return self.rng.choice(
                ["", "filter: {area: {gte: 1}}" if kind == "Place" else 'filter: {body: {eq: "note"}}']
            )
        chosen: dict[str, dict[str, Any]] = {}
        for name in self.rng.sample(
            ["name", "state", "founded", "opened", "staff", "big", "active", "parent"], self.rng.randint(0, 3)
        ):
            operators = ["eq", "isNull"] if name == "active" else ["eq", "in", "isNull"]
            operators += ["gt", "gte", "lt", "lte"] if name in ("name", "founded", "opened", "staff", "big") else []
            chosen[name] = {}
            for operator in self.rng.sample(operators, self.rng.choice([1, 1, 2])):
                pool = self.values[name]
                chosen[name][operator] = (
                    self.rng.random() < 0.5 if operator == "isNull"
                    else self.rng.sample(pool, min(len(pool), 3)) if operator == "in"
                    else self.rng.choice(pool)
                )  # fmt: skip
        if not chosen:
            return ""
        return f"filter: {self.value('FirmFilter', chosen, literal(chosen))}"


def quoted(text: str) -> str:
    """A GraphQL string."""
    return json.dumps(text)


def literal(value: Any, name: str = "") -> str:
    """A value as GraphQL writes it."""
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(
                f"{key}: {literal(item, key if not name or name in _OPERATED else name)}" for key, item in value.items()
            )
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(literal(item, name) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value in ("OPEN", "CLOSED", "DRAFT"):
        return value
    return quoted(value) if isinstance(value, str) else str(value)


_OPERATED = ("name", "state", "founded", "opened", "staff", "big", "active", "parent")
