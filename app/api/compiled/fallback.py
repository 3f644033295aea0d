"""Resolvers of graphql-core from the same bindings.

A bound root field compiles its selection into one statement, decodes the answer, and its fields
read the dicts by response key. Only Python resolvers run per object.
"""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import orjson
import strawberry
from graphql import GraphQLField, GraphQLInterfaceType, GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema

from app.api.compiled.binding import DEFINITION, Bindings, ComputedBinding, python_class
from app.api.compiled.compile import TYPE_KEY, Document, Plan, compile_field
from app.api.compiled.values import Variables
from app.kit.gql import marks
from app.kit.gql.types import Connection, Edge, FeedPage, GroupCount, PageInfo, Payload, PayloadData

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
    if schema.query_type is not None:
        for field_name in bindings.root:
            schema.query_type.fields[field_name].resolve = _root(bindings)
    if schema.subscription_type is not None:
        for field in schema.subscription_type.fields.values():
            field.resolve = _by_key
    for type_name, kind in schema.type_map.items():
        if isinstance(kind, GraphQLInterfaceType) and type_name == "Node":
            kind.resolve_type = lambda source, _info, _kind: source[TYPE_KEY]
        elif isinstance(kind, GraphQLObjectType):
            _install_type(type_name, kind, bindings)


def _install_type(type_name: str, kind: GraphQLObjectType, bindings: Bindings) -> None:
    bound = type_name in bindings.sources
    if bound:
        kind.is_type_of = None
    payload, shared = _is_payload(kind), _is_shared(kind)
    for field_name, field in kind.fields.items():
        if bound and isinstance(bindings.of(type_name, field_name), ComputedBinding):
            field.resolve = _computed(field.resolve)
        elif bound or shared:
            field.resolve = _by_key
        elif payload:
            field.resolve = _payload_field(field)


def _is_shared(kind: GraphQLObjectType) -> bool:
    origin = python_class(kind)
    return isinstance(origin, type) and issubclass(origin, Connection | Edge | FeedPage | PageInfo | GroupCount)


def _is_payload(kind: GraphQLObjectType) -> bool:
    origin = python_class(kind)
    return isinstance(origin, type) and issubclass(origin, Payload)


def _payload_field(field: GraphQLField) -> Any:
    definition = field.extensions[DEFINITION]
    name = definition.python_name
    result = isinstance(definition.metadata.get(marks.MARK), marks.Result)
    default = definition.default_value
    if default is strawberry.UNSET or default is dataclasses.MISSING:
        default = None

    def resolver(source: PayloadData, info: GraphQLResolveInfo[Any], **_: Any) -> Any:
        if result:
            return source.objects.get(str(info.path.key))
        return source.errors if name == "errors" else source.values.get(name, default)

    return resolver


def _by_key(source: Any, info: GraphQLResolveInfo[Any], **_: Any) -> Any:
    return source.get(info.path.key) if isinstance(source, dict) else getattr(source, info.field_name)


def _computed(resolve: Any) -> Any:
    def resolver(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        needs = source.get(info.path.key) if isinstance(source, dict) else None
        return resolve(source if needs is None else Needs(needs), info, **arguments)

    return resolver


def _root(bindings: Bindings) -> Any:
    async def resolver(_source: Any, info: GraphQLResolveInfo[Any], **_: Any) -> Any:
        document = Document(info.schema, bindings, info.fragments, bindings.blind(info.context.caller.login))
        variables = info.variable_values.coerced
        plan = compile_field(document, info.field_nodes, variables)
        return decode(await info.context.run_plan(plan, variables))

    return resolver
