"""Marks plus mapped classes give bindings: what each GraphQL field is in the database.

Built once with the schema. What the marks promise is checked here, so that a wrong mark stops the
start and not a request: nullability, number sizes, foreign keys, indexes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
)
from sqlalchemy import ForeignKeyConstraint, Table, UniqueConstraint, inspect
from sqlalchemy.orm import InstrumentedAttribute, Mapper

from app.api.compiled.scalars import ALIASES, RULES, Rule, family, id_sql, name
from app.kit.gql import marks
from tenants.access import Access, TableClass

DEFINITION = "strawberry-definition"


class BindingError(TypeError):
    """A mark does not fit its table; the message lists every mismatch."""


@dataclass(frozen=True)
class ColumnBinding:
    """A field that is a column (``column``) or an expression over the row (``expression``)."""

    rule: Rule
    family: str
    nullable: bool
    column: str | None = None
    expression: str | None = None
    prefix: str | None = None
    filterable: bool = False
    sortable: bool = False
    groupable: bool = False
    stored_nullable: bool = False


@dataclass(frozen=True)
class OneBinding:
    """A field that is at most one row of ``target``; ``pairs`` are (own column, target's column)."""

    target: str
    pairs: tuple[tuple[str, str], ...]
    reverse: bool
    key: ColumnBinding | None


@dataclass(frozen=True)
class ManyBinding:
    """A field that is rows of ``target``; ``pairs`` are (own column, target's column), none at the root."""

    target: str
    pairs: tuple[tuple[str, str], ...] = ()
    paged: bool = True
    limit: int = marks.MAX_PAGE
    where: str | None = None


@dataclass(frozen=True)
class ByIdBinding:
    """A root field that is one row of ``target`` by its id."""

    target: str


@dataclass(frozen=True)
class NodeBinding:
    """The root fields ``node`` (not ``plural``) and ``nodes``."""

    plural: bool


@dataclass(frozen=True)
class CountsBinding:
    """A root field that counts rows of ``target`` per value."""

    target: str
    where: str | None = None


@dataclass(frozen=True)
class FeedBinding:
    """A root field of events of ``target`` in feed order: a page of a query, or the tail of a subscription."""

    target: str


@dataclass(frozen=True)
class NodeOfBinding:
    """A field that is the object which the row names: ``kind`` is its prefix, an expression, ``key`` its id."""

    kind: str
    key: str


@dataclass(frozen=True)
class ComputedBinding:
    """A Python resolver on a row and the columns that it needs."""

    needs: tuple[tuple[str, ColumnBinding], ...]


FieldBinding = (
    ColumnBinding
    | OneBinding
    | ManyBinding
    | ByIdBinding
    | NodeBinding
    | CountsBinding
    | FeedBinding
    | NodeOfBinding
    | ComputedBinding
)


@dataclass(frozen=True)
class Source:
    """A bound type: its table, its prefix, its default order."""

    type_name: str
    table: str
    prefix: str
    where: str | None
    readers: frozenset[str] | None
    """Logins that may read the table; None: all."""
    tie: ColumnBinding
    default: ColumnBinding
    descending: bool
    fields: Mapping[str, FieldBinding] = field(default_factory=dict)

    def named(self, python_name: str) -> ColumnBinding:
        """Return the sortable or groupable column behind an enum's member."""
        return self._by_member[python_name]

    _by_member: Mapping[str, ColumnBinding] = field(default_factory=dict)


@dataclass(frozen=True)
class Bindings:
    """Every binding of a schema."""

    sources: Mapping[str, Source]
    root: Mapping[str, FieldBinding]
    prefixes: Mapping[str, str]
    """Prefix of global ids to the type's name."""
    tails: Mapping[str, FeedBinding] = field(default_factory=dict)
    """Root fields of subscriptions."""

    def blind(self, login: str) -> frozenset[str]:
        """Return the types whose table a login may not read at all: for it they have no rows."""
        return frozenset(
            kind for kind, source in self.sources.items() if source.readers is not None and login not in source.readers
        )

    def of(self, type_name: str, field_name: str) -> FieldBinding | None:
        """Return the binding of a field; None for an ordinary one."""
        if type_name == "Query":
            return self.root.get(field_name)
        source = self.sources.get(type_name)
        return source.fields.get(field_name) if source else None


def bind(schema: GraphQLSchema) -> Bindings:
    """Derive the bindings of a schema and check them.

    Raises:
        BindingError: marks and tables do not fit; every mismatch is listed.
    """
    builder = _Builder(schema)
    bindings = builder.build()
    if builder.problems:
        raise BindingError("marks and tables do not fit:\n- " + "\n- ".join(builder.problems))
    return bindings


def python_class(kind: Any) -> type[Any] | None:
    """Return the Strawberry class behind an object type."""
    definition = kind.extensions.get(DEFINITION)
    return getattr(definition, "origin", None)


class _Builder:
    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        self.problems: list[str] = []
        self.bound: dict[str, tuple[GraphQLObjectType, marks.Bound]] = {}
        self.names: dict[type[Any], str] = {}
        for type_name, kind in schema.type_map.items():
            origin = python_class(kind) if isinstance(kind, GraphQLObjectType) else None
            if isinstance(kind, GraphQLObjectType) and origin is not None and "__anlan_bound__" in vars(origin):
                self.bound[type_name] = (kind, vars(origin)["__anlan_bound__"])
                self.names[origin] = type_name

    def build(self) -> Bindings:
        prefixes: dict[str, str] = {}
        for type_name, (_, bound) in self.bound.items():
            if bound.prefix in prefixes:
                self.problems.append(f"{type_name}: prefix {bound.prefix!r} is {prefixes[bound.prefix]}'s")
            prefixes[bound.prefix] = type_name
        sources = {type_name: self._source(type_name) for type_name in self.bound}
        root: dict[str, FieldBinding] = {}
        query = self.schema.query_type
        for field_name, graphql_field in (query.fields if query else {}).items():
            binding = self._root(field_name, graphql_field)
            if binding is not None:
                root[field_name] = binding
        tails = {
            name_: FeedBinding(self._target(one))
            for name_, one in (self.schema.subscription_type.fields if self.schema.subscription_type else {}).items()
        }
        return Bindings(sources, root, prefixes, tails)

    def _root(self, field_name: str, graphql_field: GraphQLField) -> FieldBinding | None:
        mark = _mark(graphql_field)
        match mark:
            case marks.ById():
                return ByIdBinding(self._target(graphql_field))
            case marks.Listing(where=where):
                return ManyBinding(self._target(graphql_field), where=where)
            case marks.Counts(target=target, where=where):
                return CountsBinding(self.names.get(target, target.__name__), where)
            case marks.Feed(target=target):
                return FeedBinding(self.names.get(target, target.__name__))
            case marks.NodeById():
                return NodeBinding(plural=False)
            case marks.NodesByIds():
                return NodeBinding(plural=True)
            case None:
                return None
        self.problems.append(f"Query.{field_name}: {type(mark).__name__} is no mark of a root field")
        return None

    def _source(self, type_name: str) -> Source:
        kind, bound = self.bound[type_name]
        mapper: Mapper[Any] = inspect(bound.model)
        fields: dict[str, FieldBinding] = {}
        members: dict[str, ColumnBinding] = {}
        for field_name, graphql_field in kind.fields.items():
            where = f"{type_name}.{field_name}"
            try:
                binding = self._field(mapper, bound, field_name, graphql_field)
            except (TypeError, KeyError, AttributeError) as fault:
                self.problems.append(f"{where}: {fault}")
                continue
            if binding is None:
                continue
            fields[field_name] = binding
            column = binding.key if isinstance(binding, OneBinding) else binding
            if isinstance(column, ColumnBinding):
                members[_python_name(graphql_field).upper()] = column
                if column.sortable and not _indexed(mapper.local_table, column.column or ""):
                    self.problems.append(f"{where}: sortable without an index on {column.column}")
        tie = self._plain(mapper, "seq" if "seq" in mapper.columns else "id")
        default, descending = tie, True
        if bound.order:
            default, descending = self._plain(mapper, bound.order.lstrip("-")), bound.order.startswith("-")
            if default.stored_nullable:
                self.problems.append(f"{type_name}: default order by {bound.order}, which may be null")
        table = mapper.local_table
        text = f"{name(table.schema)}.{name(table.name)}" if table.schema else name(table.name)  # type: ignore[attr-defined]
        return Source(
            type_name, text, bound.prefix, bound.where, _readers(table), tie, default, descending, fields, members
        )

    def _field(
        self, mapper: Mapper[Any], bound: marks.Bound, field_name: str, graphql_field: GraphQLField
    ) -> FieldBinding | None:
        mark = _mark(graphql_field)
        definition = graphql_field.extensions[DEFINITION]
        match mark:
            case marks.One():
                return self._one(mapper, mark, graphql_field)
            case marks.Many():
                return self._many(mapper, mark, graphql_field)
            case marks.Expr(expression=expression, sql_type=sql_type):
                kind = ALIASES.get(sql_type.lower(), sql_type.lower())
                nullable = not isinstance(graphql_field.type, GraphQLNonNull)
                rule = self._rule(graphql_field, kind, None)
                return ColumnBinding(rule, kind, nullable, expression=expression)
            case marks.NodeOf(kind=kind, key=key):
                return NodeOfBinding(kind, self._plain(mapper, key).column or "")
            case marks.Computed(needs=needs):
                return ComputedBinding(tuple((need, self._plain(mapper, need)) for need in needs))
            case marks.Column():
                return self._column(mapper, mark, graphql_field)
        if definition.base_resolver is not None:
            return ComputedBinding(())
        prefix = bound.prefix if field_name == "id" else None
        return self._column(mapper, marks.Column(prefix=prefix), graphql_field)

    def _column(self, mapper: Mapper[Any], mark: marks.Column, graphql_field: GraphQLField) -> ColumnBinding:
        attr = mark.attr or _python_name(graphql_field)
        if attr not in mapper.columns:
            raise TypeError(f"{mapper.class_.__name__} has no column {attr}")
        column = mapper.columns[attr]
        kind = family(column.type)
        nullable = not isinstance(graphql_field.type, GraphQLNonNull)
        if column.nullable and not nullable:
            raise TypeError("non-null, but the column may be null")
        return ColumnBinding(
            rule=self._rule(graphql_field, kind, mark.prefix),
            family=kind,
            nullable=nullable,
            column=column.name,
            prefix=mark.prefix,
            filterable=mark.filterable,
            sortable=mark.sortable,
            groupable=mark.groupable,
            stored_nullable=bool(column.nullable),
        )

    def _rule(self, graphql_field: GraphQLField, kind: str, prefix: str | None) -> Rule:
        named = get_named_type(graphql_field.type)
        if named.name == "ID":
            if prefix is None or kind != "uuid":
                raise TypeError("an ID needs a uuid column and the prefix of its type")
            return Rule(id_sql(prefix))
        label = named.name
        if isinstance(named, GraphQLEnumType):
            label = "String!enum"
            for key, value in named.values.items():
                if value.value != key:
                    raise TypeError(f"enum {named.name}: {key} must be stored as {key}, not {value.value!r}")
        inner = graphql_field.type.of_type if isinstance(graphql_field.type, GraphQLNonNull) else graphql_field.type
        if isinstance(inner, GraphQLList):
            label = f"[{label}]"
        if (label, kind) not in RULES:
            raise TypeError(f"{named.name} cannot show a column of type {kind}")
        return RULES[(label, kind)]

    def _plain(self, mapper: Mapper[Any], attr: str) -> ColumnBinding:
        column = mapper.columns[attr]
        kind = family(column.type)
        return ColumnBinding(
            Rule(lambda value: f"to_json({value})::text"),
            kind,
            nullable=True,
            column=column.name,
            stored_nullable=bool(column.nullable),
        )

    def _one(self, mapper: Mapper[Any], mark: marks.One, graphql_field: GraphQLField) -> OneBinding:
        if isinstance(graphql_field.type, GraphQLNonNull):
            raise TypeError("an edge is nullable: its row may be hidden from the caller")
        target = self._target(graphql_field)
        other: Mapper[Any] = inspect(self.bound[target][1].model)
        own = issubclass(mapper.class_, mark.key.parent.class_)
        if own:
            pairs = _pairs(mapper, mark.key, other)
            column = mapper.columns[mark.key.key]
            key = ColumnBinding(
                Rule(id_sql(self.bound[target][1].prefix)),
                family(column.type),
                nullable=True,
                column=column.name,
                prefix=self.bound[target][1].prefix,
                filterable=mark.filterable,
                groupable=mark.groupable,
                stored_nullable=bool(column.nullable),
            )
            return OneBinding(target, pairs, reverse=False, key=key)
        pairs = tuple((b, a) for a, b in _pairs(other, mark.key, mapper))
        if not _unique(other.local_table, {column for _, column in pairs}):
            raise TypeError(f"{mark.key} is not unique: use gql.connection or gql.rows")
        return OneBinding(target, pairs, reverse=True, key=None)

    def _many(self, mapper: Mapper[Any], mark: marks.Many, graphql_field: GraphQLField) -> ManyBinding:
        target = self._target(graphql_field)
        other: Mapper[Any] = inspect(self.bound[target][1].model)
        pairs = tuple((b, a) for a, b in _pairs(other, mark.key, mapper))
        if not _indexed(other.local_table, *(column for _, column in pairs)):
            raise TypeError(f"{mark.key}: the join has no index")
        return ManyBinding(target, pairs, mark.paged, mark.limit, mark.where)

    def _target(self, graphql_field: GraphQLField) -> str:
        found = marks.target_of(graphql_field.extensions[DEFINITION])
        return self.names[found]


def _readers(table: Any) -> frozenset[str] | None:
    """Return the logins that a table's declaration lets read; None: all, or it declares nothing (tests)."""
    access = table.info.get("access")
    if not isinstance(access, Access) or access.table_class in (TableClass.REFERENCE, TableClass.PUBLIC):
        return None
    return frozenset((*access.select, *access.system))


def _mark(graphql_field: GraphQLField) -> marks.Mark | None:
    definition = graphql_field.extensions.get(DEFINITION)
    mark: marks.Mark | None = definition.metadata.get(marks.MARK) if definition is not None else None
    return mark


def _python_name(graphql_field: GraphQLField) -> str:
    return str(graphql_field.extensions[DEFINITION].python_name)


def _pairs(mapper: Mapper[Any], key: InstrumentedAttribute[Any], target: Mapper[Any]) -> tuple[tuple[str, str], ...]:
    """Return (own column, target's column) of the foreign key that a column belongs to.

    A composite key ``(owner_key, parent_id)`` joins on all its columns: the index leads with the first.
    """
    column = mapper.columns[key.key]
    other = target.local_table
    for constraint in mapper.local_table.constraints:  # type: ignore[attr-defined]
        if not isinstance(constraint, ForeignKeyConstraint):
            continue
        elements = constraint.elements
        if column.name in [element.parent.name for element in elements] and elements[0].column.table is other:
            return tuple((element.parent.name, element.column.name) for element in elements)
    return ((column.name, "id"),)


def _leading(table: Any) -> Iterator[tuple[bool, tuple[str, ...]]]:
    """Yield (unique, columns) of every index of a table, also those of its keys."""
    yield True, tuple(column.name for column in table.primary_key)
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield True, tuple(column.name for column in constraint.columns)
    for index in table.indexes:
        yield bool(index.unique), tuple(getattr(column, "name", "") for column in index.expressions)


def _indexed(table: Any, *columns: str) -> bool:
    """Whether some index serves a search by these columns, or an order by one within a level key."""
    wanted = set(columns)
    for _, indexed in _leading(table):
        head, *rest = indexed or ("",)
        if head in wanted and (head != "owner_key" or wanted == {head} or not wanted.isdisjoint(rest[:1])):
            return True
        if head.endswith("_key") and rest and rest[0] in wanted:
            return True
    return False


def _unique(table: Table | Any, columns: set[str]) -> bool:
    return any(unique and set(indexed) <= columns for unique, indexed in _leading(table))


def interfaces_of(kind: GraphQLObjectType) -> tuple[str, ...]:
    """Return the names of the interfaces of an object type."""
    return tuple(i.name for i in kind.interfaces if isinstance(i, GraphQLInterfaceType))
