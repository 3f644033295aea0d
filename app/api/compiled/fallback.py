"""Resolvers of graphql-core from the same bindings.

A bound root field compiles its selection into one statement, decodes the answer, and its fields
read the dicts by response key. Only Python resolvers run per object.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import orjson
from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema

from app.api.compiled.binding import PAGES, Bindings, ComputedBinding, python_class
from app.api.compiled.compile import TYPE_KEY, Document, Plan, compile_field
from app.api.compiled.values import Variables
from app.kit.gql import marks
from app.kit.gql.types import GroupCount, PageInfo

RunPlan = Callable[[Plan, Variables], Awaitable[str | None]]


class Reads(Protocol):
    """What a request's context does for the fallback."""

    async def run_plan(self, plan: Plan, variables: Variables) -> str | None:
        """Run one statement under the request's claims and return its value."""


class Needs:
    """What a Python resolver of a bound type sees as ``self``: the columns that it named."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Hold them."""
        self.__dict__.update(values)


def decode(text: str | bytes | None) -> Any:
    """Decode the value of a statement."""
    return None if text is None else orjson.loads(text)


def install(schema: GraphQLSchema, bindings: Bindings) -> None:
    """Give every bound field of a schema its resolver."""
    query = schema.query_type
    for field_name in bindings.root:
        if query is not None:
            query.fields[field_name].resolve = _root(bindings)
    for type_name, kind in schema.type_map.items():
        if isinstance(kind, GraphQLInterfaceType) and type_name == "Node":
            kind.resolve_type = lambda source, _info, _kind: source[TYPE_KEY]
        if not isinstance(kind, GraphQLObjectType):
            continue
        if type_name in bindings.sources:
            kind.is_type_of = None
            for field_name, field in kind.fields.items():
                binding = bindings.of(type_name, field_name)
                if isinstance(binding, ComputedBinding):
                    field.resolve = _computed(field.resolve)
                else:
                    field.resolve = _by_key
        elif _is_shared(kind):
            for field in kind.fields.values():
                field.resolve = _by_key


def _is_shared(kind: GraphQLObjectType) -> bool:
    origin = python_class(kind)
    return origin in (PageInfo, GroupCount) or (
        kind.name.endswith(PAGES) and getattr(origin, "__module__", "") == marks.Payload.__module__
    )


def _by_key(source: Any, info: GraphQLResolveInfo, **_: Any) -> Any:
    return source.get(info.path.key) if isinstance(source, dict) else getattr(source, info.field_name)


def _computed(resolve: Any) -> Any:
    def resolver(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        needs = source.get(info.path.key) if isinstance(source, dict) else None
        return resolve(source if needs is None else Needs(needs), info, **arguments)

    return resolver


def _root(bindings: Bindings) -> Any:
    async def resolver(_source: Any, info: GraphQLResolveInfo, **_: Any) -> Any:
        document = Document(info.schema, bindings, info.fragments)
        variables = info.variable_values.coerced
        plan = compile_field(document, info.field_nodes, variables)
        return decode(await info.context.run_plan(plan, variables))

    return resolver
