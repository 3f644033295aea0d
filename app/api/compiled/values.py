"""Values of a document: what is known when it compiles, and how to get the value of each request.

A plan may depend on the *shape* of the variables only: which are present, which keys an input object
has, enum values, yes and no, prefixes of ids. Everything else is read per request by a getter.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    Undefined,
    ValueNode,
    VariableNode,
    is_leaf_type,
    type_from_ast,
)
from graphql.utilities import coerce_input_literal, coerce_input_value

Variables = Mapping[str, Any]
Getter = Callable[[Variables], Any]


class InputFaultError(ValueError):
    """A value of the request is of its type, but not allowed; the message says what is."""


class BadVariableError(ValueError):
    """A variable does not coerce; graphql-core reports it with its place."""


def storable(value: Any) -> Any:
    """Return a value if PostgreSQL can hold it.

    Raises:
        InputFaultError: a text with U+0000 or half a surrogate pair.
    """
    if isinstance(value, str) and ("\x00" in value or (not value.isprintable() and _broken(value))):
        raise InputFaultError("text cannot hold the character U+0000 or half a surrogate pair")
    return value


def _broken(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


class Val:
    """One value: ``now`` as compiled with, ``get`` as of a request of the same shape."""

    __slots__ = ("_keys", "get", "now")

    def __init__(self, now: Any, get: Getter, keys: "Mapping[str, Val] | None" = None) -> None:
        """Hold both."""
        self.now = now
        self.get = get
        self._keys = keys

    @property
    def given(self) -> bool:
        """Whether there is a value: absent and null are the same."""
        return self.now is not None and self.now is not Undefined

    def items(self) -> "list[tuple[str, Val]]":
        """Return the given keys of an input object, in a fixed order."""
        if self._keys is not None:
            return sorted((key, value) for key, value in self._keys.items() if value.given)
        get = self.get
        return [
            (key, Val(self.now[key], lambda variables, key=key: get(variables)[key]))  # type: ignore[misc]
            for key in sorted(self.now)
            if self.now[key] is not None
        ]


ABSENT = Val(Undefined, lambda _: None)


def constant(value: Any) -> Val:
    """Return a value that no variable touches."""
    return Val(value, lambda _: value)


def from_ast(node: ValueNode | None, kind: GraphQLInputType, variables: Variables) -> Val:
    """Return the value of an argument or input field as written in the document."""
    if node is None or isinstance(node, NullValueNode):
        return ABSENT
    if isinstance(node, VariableNode):
        key = node.name.value
        return Val(variables[key], lambda values: values[key]) if key in variables else ABSENT
    bare = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    if not _has_variables(node):
        value = coerce_input_literal(node, kind)
        return constant(value)
    if isinstance(bare, GraphQLInputObjectType) and isinstance(node, ObjectValueNode):
        keys = {
            item.name.value: from_ast(item.value, bare.fields[item.name.value].type, variables) for item in node.fields
        }
        now = {key: value.now for key, value in keys.items() if value.now is not Undefined}
        return Val(now, lambda values: {key: value.get(values) for key, value in keys.items()}, keys)
    if isinstance(bare, GraphQLList):
        nodes = node.values if isinstance(node, ListValueNode) else (node,)
        parts = [from_ast(item, bare.of_type, variables) for item in nodes]
        return Val([part.now for part in parts], lambda values: [part.get(values) for part in parts])
    raise BadVariableError("unexpected variable")


def _has_variables(node: ValueNode) -> bool:
    if isinstance(node, VariableNode):
        return True
    if isinstance(node, ObjectValueNode):
        return any(_has_variables(item.value) for item in node.fields)
    return isinstance(node, ListValueNode) and any(_has_variables(item) for item in node.values)


class Coercer:
    """Coerces the variables of one operation and tells their shape."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode, cursors: frozenset[str]) -> None:
        """Prepare for the variables that the operation declares.

        Args:
            schema: the schema.
            operation: a validated operation.
            cursors: variables that stand directly as ``after`` or ``before``.
        """
        self._variables: list[tuple[str, GraphQLInputType, Any, Callable[[Any], Any]]] = []
        for definition in operation.variable_definitions or ():
            kind: Any = type_from_ast(schema, definition.type)
            default = Undefined
            if definition.default_value is not None:
                default = coerce_input_literal(definition.default_value, kind)
            key = definition.variable.name.value
            shape = _cursor_shape if key in cursors else _shape_of(kind)
            self._variables.append((key, kind, default, shape))

    def coerce(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Coerce the variables of a request.

        Raises:
            BadVariableError: one does not fit its type, or a required one is missing.
        """
        values: dict[str, Any] = {}
        for key, kind, default, _ in self._variables:
            if key not in given:
                if default is not Undefined:
                    values[key] = default
                elif isinstance(kind, GraphQLNonNull):
                    raise BadVariableError(key)
                continue
            value = coerce_input_value(given[key], kind)
            if value is Undefined:
                raise BadVariableError(key)
            values[key] = value
        return values

    def shape(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return what a plan may depend on."""
        return tuple(
            None if (value := values.get(key)) is None else shape(value) for key, _, _, shape in self._variables
        )


def _shape_of(kind: GraphQLInputType) -> Callable[[Any], Any]:
    bare = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    if bare is GraphQLBoolean or (is_leaf_type(bare) and isinstance(bare, GraphQLEnumType)):
        return lambda value: value.name if isinstance(value, Enum) else value
    if isinstance(bare, GraphQLInputObjectType):
        return _object_shape
    if isinstance(bare, GraphQLList):
        item = bare.of_type.of_type if isinstance(bare.of_type, GraphQLNonNull) else bare.of_type
        if getattr(item, "name", "") == "ID":
            return lambda value: tuple(sorted({prefix_of(one) for one in value}))
        return lambda _: True
    if getattr(bare, "name", "") == "ID":
        return prefix_of
    return lambda _: True


def _object_shape(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((key, _object_shape(value[key])) for key in sorted(value) if value[key] is not None)
    if isinstance(value, bool):
        return value
    return value.name if isinstance(value, Enum) else True


def prefix_of(value: Any) -> str:
    """Return the prefix of a global id, whatever it is worth."""
    return str(value).rpartition("_")[0][:40]


def _cursor_shape(value: Any) -> Any:
    from app.api.compiled.paging import cursor_is_null  # noqa: PLC0415 - paging builds on values

    return cursor_is_null(value)
