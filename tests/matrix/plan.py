"""What the schema holds: types, fields, root fields, edges, id arguments; and the documents that read them.

Everything is read off the GraphQL schema. What the schema holds and no expectation names is an empty cell.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
)

from tests.matrix.words import Edge, Expected, Rows

BATCH = 50
"""Ids that ``nodes`` takes."""
_GROUP = "GroupCount"


@dataclass(frozen=True)
class Kind:
    """A type of the API that shows rows of a table.

    Args:
        name: of the type.
        leaves: fields with a value of their own.
        edges: fields that show one row, with its type.
        rows: fields that list rows, with their type and whether it is a connection.
        anything: fields that show one row of any type.
    """

    name: str
    leaves: tuple[str, ...]
    edges: Mapping[str, str]
    rows: Mapping[str, tuple[str, bool]]
    anything: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field."""
        return (*self.leaves, *self.edges, *self.rows, *self.anything)

    @property
    def selection(self) -> str:
        """All fields with a value of their own."""
        return "__typename " + " ".join(self.leaves)


@dataclass(frozen=True)
class IdArgument:
    """A place where a request names an id: path of names from the root field, and whether it takes several."""

    root: str
    path: tuple[str, ...]
    many: bool = False

    @property
    def name(self) -> str:
        """As in the slices' ``IDS``."""
        return ".".join((self.root, *(part for part in self.path if part != "input")))


@dataclass
class Catalogue:
    """What a schema holds."""

    schema: GraphQLSchema
    kinds: dict[str, Kind] = field(default_factory=dict)
    lists: dict[str, str] = field(default_factory=dict)
    by_id: dict[str, str] = field(default_factory=dict)
    counts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Root field to the members of its enum of groups."""
    others: list[str] = field(default_factory=list)
    mutations: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, schema: GraphQLSchema) -> "Catalogue":
        """Read a schema."""
        made = cls(schema)
        for name, kind in schema.type_map.items():
            if isinstance(kind, GraphQLObjectType) and "Node" in {one.name for one in kind.interfaces}:
                made.kinds[name] = _kind(kind)
        query, mutation = schema.query_type, schema.mutation_type
        for name, root in (query.fields if query else {}).items():
            made._root(name, root)
        made.mutations = sorted(mutation.fields) if mutation else []
        return made

    def _root(self, name: str, root: GraphQLField) -> None:
        target = get_named_type(root.type)
        listed = listed_type(target)
        if listed is not None:
            self.lists[name] = listed
        elif target.name == _GROUP:
            by = get_named_type(root.args["by"].type)
            assert isinstance(by, GraphQLEnumType)
            self.counts[name] = tuple(by.values)
        elif target.name in self.kinds and set(root.args) == {"id"}:
            self.by_id[name] = target.name
        else:
            self.others.append(name)

    def nested(self) -> Iterator[tuple[str, str, str]]:
        """Yield (type, field, target type) of every edge and list."""
        for kind in self.kinds.values():
            for name, target in kind.edges.items():
                yield kind.name, name, target
            for name, (target, _) in kind.rows.items():
                yield kind.name, name, target

    def id_arguments(self) -> Iterator[IdArgument]:
        """Yield every argument, at any depth, that takes an id."""
        for operation in (self.schema.query_type, self.schema.mutation_type):
            for root, definition in (operation.fields if operation else {}).items():
                for name, argument in definition.args.items():
                    yield from _ids(root, (name,), argument.type)

    def empty(self, expected: Expected) -> list[str]:
        """Return what nobody has an expectation for, and what an expectation names and is not there."""
        said: list[str] = []
        for name, kind in sorted(self.kinds.items()):
            wanted = expected.types.get(name)
            if wanted is None:
                said.append(f"type {name}")
                continue
            said += [f"field {name}.{one}" for one in kind.fields if one not in wanted.fields and one != "id"]
            said += [f"field {name}.{one} is gone" for one in wanted.fields if one not in kind.fields]
            said += [
                f"field {name}.{one} shows {target}, not what is expected"
                for one, target in (*kind.edges.items(), *((key, pair[0]) for key, pair in kind.rows.items()))
                if not (isinstance(found := wanted.fields.get(one), Edge | Rows) and found.target == target)
            ]
        said += [f"type {name} is gone" for name in expected.types if name not in self.kinds]
        words = {
            **{name: f"list {target}" for name, target in self.lists.items()},
            **{name: f"by id {target}" for name, target in self.by_id.items()},
        }
        roots = {*self.lists, *self.by_id, *self.counts, *self.others, *self.mutations}
        said += [f"root field {name}" for name in sorted(roots) if name not in expected.roots]
        said += [f"root field {name} is gone" for name in expected.roots if name not in roots]
        said += [
            f"root field {name} is {word}, not {expected.roots[name]}"
            for name, word in words.items()
            if expected.roots.get(name, word) != word
        ]
        said += [f"id {one.name}" for one in self.id_arguments() if self.type_of(one, expected) is None]
        return said

    def type_of(self, argument: IdArgument, expected: Expected) -> str | None:
        """Return the type that an id argument names; ``*``: any; None: nobody has said."""
        word = expected.roots.get(argument.root, "")
        if word == "node":
            return "*"
        if argument.path == ("id",) and word.startswith("by id "):
            return word.removeprefix("by id ")
        if argument.path[0] == "filter":
            target = word.partition(" ")[2]
            found = expected.types[target].fields.get(argument.path[1]) if target in expected.types else None
            return found.target if isinstance(found, Edge) else None
        return expected.ids.get(argument.name)


def listed_type(kind: object) -> str | None:
    """Return the type of the rows of a connection; None when it is none."""
    if not isinstance(kind, GraphQLObjectType) or not {"edges", "pageInfo"} <= kind.fields.keys():
        return None
    edge = get_named_type(kind.fields["edges"].type)
    assert isinstance(edge, GraphQLObjectType)
    return str(get_named_type(edge.fields["node"].type).name)


def _kind(kind: GraphQLObjectType) -> Kind:
    leaves: list[str] = []
    edges: dict[str, str] = {}
    rows: dict[str, tuple[str, bool]] = {}
    anything: list[str] = []
    for name, one in kind.fields.items():
        target = get_named_type(one.type)
        listed = listed_type(target)
        if is_leaf_type(target):
            leaves.append(name)
        elif isinstance(target, GraphQLInterfaceType):
            anything.append(name)
        elif listed is not None:
            rows[name] = (listed, True)
        elif "[" in str(one.type):
            rows[name] = (target.name, False)
        else:
            edges[name] = target.name
    return Kind(kind.name, tuple(leaves), edges, rows, tuple(anything))


def _ids(root: str, path: tuple[str, ...], kind: GraphQLInputType) -> Iterator[IdArgument]:
    named = get_named_type(kind)
    if named.name == "ID":
        yield IdArgument(root, path, "[" in str(kind))
    elif isinstance(named, GraphQLInputObjectType) and len(path) <= 4:
        if named.name == "IDFilter":
            yield IdArgument(root, path)
            return
        for name, one in named.fields.items():
            yield from _ids(root, (*path, name), one.type)
