"""The schema: slices' roots merged, every word described, marks bound, resolvers installed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import (
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    print_schema,
)
from strawberry.schema.config import StrawberryConfig

from app.api.compiled.binding import Bindings, bind
from app.api.compiled.fallback import install
from app.kit import gql
from app.kit.gql import marks


class SchemaError(TypeError):
    """The slices do not make a schema; the message lists every problem."""


@strawberry.type(description="Reads that belong to no slice.")
class NodeQuery:
    """Relay's root fields."""

    node: gql.Node | None = marks.node_by_id("Any object by its id; null when it does not exist for the caller.")
    nodes: list[gql.Node | None] = marks.nodes_by_ids("Several objects, in the order of the ids; null for the unknown.")


@dataclass(frozen=True)
class Api:
    """A schema with its bindings."""

    schema: GraphQLSchema
    bindings: Bindings

    def sdl(self) -> str:
        """Return the schema as text, for ``graphql/schema.graphql``."""
        return print_schema(self.schema) + "\n"


def build(
    queries: Sequence[type[Any]],
    mutations: Sequence[type[Any]],
    types: Iterable[type[Any]] = (),
    subscriptions: Sequence[type[Any]] = (),
) -> Api:
    """Merge root types into a schema.

    Args:
        queries: ``@strawberry.type`` classes with root fields of reads.
        mutations: the same for mutations.
        types: bound types that no field names.
        subscriptions: the same for subscriptions.

    Raises:
        SchemaError: a duplicate root field, or something without a description.
        BindingError: marks and tables do not fit.
    """
    query = _merge("Query", "Reads. Each answers at most what the caller may see.", [NodeQuery, *queries])
    mutation = None
    if mutations:
        mutation = _merge("Mutation", "Changes. Each runs in one transaction of its own.", mutations)
    subscription = None
    if subscriptions:
        subscription = _merge("Subscription", "What happens, as it happens; by `graphql-transport-ws`.", subscriptions)
    config = StrawberryConfig(scalar_map=gql.SCALARS, disable_field_suggestions=True)
    schema = strawberry.Schema(query, mutation, subscription, types=list(types), config=config)._schema  # noqa: SLF001
    missing = undescribed(schema)
    if missing:
        raise SchemaError("without a description: " + ", ".join(missing))
    bindings = bind(schema)
    install(schema, bindings)
    return Api(schema, bindings)


def _merge(name: str, description: str, parts: Sequence[type[Any]]) -> type[Any]:
    owner: dict[str, str] = {}
    problems: list[str] = []
    for part in parts:
        for field in part.__strawberry_definition__.fields:
            if field.python_name in owner:
                problems.append(f"{name}.{field.python_name}: both in {owner[field.python_name]} and {part.__name__}")
            owner[field.python_name] = part.__name__
    if problems:
        raise SchemaError("duplicate root fields: " + "; ".join(problems))
    return strawberry.type(type(name, tuple(reversed(parts)), {}), name=name, description=description)


def undescribed(schema: GraphQLSchema) -> list[str]:
    """Return every type, field and argument without a description."""
    missing: list[str] = []
    for name, kind in schema.type_map.items():
        if name.startswith("__"):
            continue
        if not kind.description:
            missing.append(name)
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            missing += _fields(name, kind.fields)
    return missing


def _fields(name: str, fields: Mapping[str, Any]) -> list[str]:
    missing: list[str] = []
    for key, field in fields.items():
        if not field.description:
            missing.append(f"{name}.{key}")
        missing += [
            f"{name}.{key}({argument})"
            for argument, definition in getattr(field, "args", {}).items()
            if not definition.description
        ]
    return missing
