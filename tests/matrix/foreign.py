"""Ids of another tenant in every id argument: documents, and inputs that are right but for the one id."""

import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    Undefined,
    get_named_type,
    is_leaf_type,
)

from tests.matrix.plan import Catalogue, IdArgument, listed_type
from tests.matrix.truth import Truth
from tests.matrix.words import Edge
from tests.oracle import identity
from tests.world import TODAY, Actor

PER_ARGUMENT = 3
"""Foreign ids per argument and actor."""
_WORDS: dict[str, Any] = {
    "roles": ["ADMIN"],
    "divisionCode": "610102",
    "division": "610102",
    "creditCode": "91440606707539051X",
    "phone": "13812345678",
    "contactPhone": "13812345678",
    "loginName": "somebody",
    "validTo": "2026-06-30",
    "longitude": 108.9,
    "latitude": 34.3,
}
"""Values that pass the checks of form, so that a request gets as far as its ids."""
_SCALARS: dict[str, Any] = {
    "String": "words",
    "Int": 1,
    "Float": 1.0,
    "Boolean": False,
    "Date": TODAY.isoformat(),
    "DateTime": "2026-03-02T01:00:00Z",
    "UUID": "00000000-0000-4000-8000-00000000000a",
    "BigInt": "1",
    "Decimal": "1",
    "JSON": {},
}


@dataclass(frozen=True)
class Probe:
    """One request that differs from another only in an id.

    Args:
        argument: where the id stands.
        query: the document.
        unknown: variables with an id that nobody has.
        foreign: the same with an id that somebody else has.
    """

    argument: IdArgument
    query: str
    unknown: dict[str, Any]
    foreign: dict[str, Any]


class Probes:
    """Makes the probes of an actor."""

    def __init__(self, catalogue: Catalogue, truth: Truth) -> None:
        """Take what the schema holds and what is true."""
        self.catalogue, self.truth = catalogue, truth
        self._arguments = list(catalogue.id_arguments())

    def of(self, actor: Actor) -> Iterator[Probe]:
        """Yield a probe for every id argument that takes a type of which something is hidden from the actor."""
        for argument in self._arguments:
            named = self.catalogue.type_of(argument, self.truth.expected)
            names = list(self.truth.expected.types) if named == "*" else [str(named)]
            for name in names:
                changes = argument.root in self.catalogue.mutations
                for gid in self.foreign(name, actor, self._edge(argument), changes=changes):
                    prefix = self.truth.expected.types[name].prefix
                    stranger = f"{prefix}_{uuid.uuid5(uuid.NAMESPACE_OID, argument.name)}"
                    for choice in range(self._choices(actor, argument)):
                        yield self._probe(actor, argument, (stranger, gid), choice)

    def foreign(
        self, name: str, actor: Actor, edge: tuple[str, Edge] | None = None, *, changes: bool = False
    ) -> list[str]:
        """Return ids that are hidden from an actor; those that rows he reads refer to come first.

        Args:
            name: the type.
            actor: from whom they are hidden.
            edge: type and edge whose targets to prefer.
            changes: of a mutation: there roles limit the verb, not the rows.
        """
        visible: Collection[str] = self.truth.visible(name, actor)
        if changes:
            shown = self.truth.in_table(name, actor)
            visible = {self.truth.gid(name, row) for row in self.truth.rows(name) if identity(row) in shown}
        hidden = [gid for row in self.truth.rows(name) if (gid := self.truth.gid(name, row)) not in visible]
        near: list[str] = []
        if edge is not None:
            rows = self.truth.visible(edge[0], actor).values()
            near = [self.truth.gid(name, other) for row in rows for other in self.truth.joined(edge[1], row)]
        ordered = dict.fromkeys((*(gid for gid in near if gid not in visible), *hidden))
        return list(ordered)[:PER_ARGUMENT]

    def _edge(self, argument: IdArgument) -> tuple[str, Edge] | None:
        if argument.path[0] != "filter":
            return None
        target = self.truth.expected.roots[argument.root].partition(" ")[2]
        found = self.truth.expected.types[target].fields[argument.path[1]]
        return (target, found) if isinstance(found, Edge) else None

    def _choices(self, actor: Actor, argument: IdArgument) -> int:
        """Return how many choices there are for the other ids of a request."""
        others = [one for one in self._arguments if one.root == argument.root and one != argument]
        return max((len(self._own(actor, one)) for one in others if argument.path[0] == "input"), default=1)

    def _probe(self, actor: Actor, argument: IdArgument, ids: tuple[str, str], choice: int) -> Probe:
        schema = self.catalogue.schema
        changes = argument.root in self.catalogue.mutations
        operation = schema.mutation_type if changes else schema.query_type
        assert operation is not None
        root = operation.fields[argument.root]
        needed = {name: given for name, given in root.args.items() if name == argument.path[0] or _required(given)}
        head = ",".join(f"${name}:{given.type}" for name, given in needed.items())
        call = ",".join(f"{name}:${name}" for name in needed)
        word = "mutation" if changes else "query"
        query = f"{word}({head}){{{argument.root}({call}){_selection(get_named_type(root.type))}}}"

        def variables(value: str) -> dict[str, Any]:
            filled = _Filled(argument, value, lambda one: _at(self._own(actor, one), choice))
            return {name: filled.value((name,), given.type) for name, given in needed.items()}

        return Probe(argument, query, variables(ids[0]), variables(ids[1]))

    def _own(self, actor: Actor, argument: IdArgument) -> list[str]:
        """Return ids that the actor may see for an argument that is not under test, one per kind of row."""
        name = str(self.catalogue.type_of(argument, self.truth.expected))
        found: dict[Any, str] = {}
        for gid, row in self.truth.visible(name, actor).items():
            found.setdefault(row.get("kind"), gid)
        return list(found.values()) or [f"{name.lower()}_{uuid.UUID(int=0)}"]


@dataclass(frozen=True)
class _Filled:
    """Fills inputs: the id under test at its place, the actor's own ids elsewhere, and plain values."""

    argument: IdArgument
    id: str
    own: Callable[[IdArgument], str]

    def value(self, path: tuple[str, ...], kind: GraphQLInputType) -> Any:
        """Return a value of an input type at a path."""
        inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
        if path == self.argument.path:
            if get_named_type(kind).name == "IDFilter":
                return {"eq": self.id}
            return [self.id] if isinstance(inner, GraphQLList) else self.id
        if path[-1] in _WORDS:
            return _WORDS[path[-1]]
        if isinstance(inner, GraphQLInputObjectType):
            return {
                name: self.value((*path, name), one.type)
                for name, one in inner.fields.items()
                if self.argument.path[: len(path) + 1] == (*path, name) or _required(one)
            }
        return self._plain(path, inner)

    def _plain(self, path: tuple[str, ...], kind: GraphQLInputType) -> Any:
        if isinstance(kind, GraphQLList):
            inner = kind.of_type.of_type if isinstance(kind.of_type, GraphQLNonNull) else kind.of_type
            return [self._plain(path, inner)]
        if isinstance(kind, GraphQLEnumType):
            return next(iter(kind.values))
        named = get_named_type(kind).name
        return self.own(IdArgument(self.argument.root, path)) if named == "ID" else _SCALARS[named]


def _required(one: Any) -> bool:
    return isinstance(one.type, GraphQLNonNull) and one.default_value is Undefined


def _at(ids: list[str], choice: int) -> str:
    return ids[min(choice, len(ids) - 1)]


def _selection(kind: Any) -> str:
    """Select every value of an object, and of the objects right below it."""
    if not isinstance(kind, GraphQLObjectType):
        return "" if is_leaf_type(kind) else "{__typename}"
    if listed_type(kind):
        return "{totalCount nodes{id}}"
    parts = ["__typename"]
    for name, field in kind.fields.items():
        target = get_named_type(field.type)
        if is_leaf_type(target):
            parts.append(name)
        elif isinstance(target, GraphQLObjectType) and not listed_type(target) and not field.args:
            parts.append(f"{name}{{{' '.join(one for one, leaf in target.fields.items() if _leaf(leaf))}}}")
    return "{" + " ".join(parts) + "}"


def _leaf(field: Any) -> bool:
    return bool(is_leaf_type(get_named_type(field.type)))
