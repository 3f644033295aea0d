"""Document to plan: one SQL statement whose single value is the answer.

Pure: no input but its arguments, no output but its result; the same input gives the same text.
Values of a request appear only as ``$n`` with a cast; response keys and type names are quoted
literals from the validated document; identifiers come from mapped classes only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    InlineFragmentNode,
    NamedTypeNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Undefined,
    get_named_type,
)

from app.api.compiled.binding import (
    Bindings,
    ByIdBinding,
    ColumnBinding,
    ComputedBinding,
    CountsBinding,
    FeedBinding,
    ManyBinding,
    NodeBinding,
    NodeOfBinding,
    OneBinding,
    Source,
)
from app.api.compiled.feeds import FeedSql, Tail
from app.api.compiled.filters import conditions
from app.api.compiled.lists import ConnectionSql
from app.api.compiled.paging import Order, Page, order_of, page_of
from app.api.compiled.rows import Row, concat, sets_of, where_sql
from app.api.compiled.scalars import key_text, literal, name
from app.api.compiled.values import ABSENT, Getter, InputFaultError, Val, Variables, constant, from_ast, prefix_of
from app.kit.gql.marks import MAX_IDS
from app.kit.ids import parse_global_id

CLAIMS = ("app.key", "app.person", "app.membership", "app.today")
"""Claims of a compiled read, its first parameters, in this order."""
GROUPS = 1_000
TYPE_KEY = "~type"
"""Key of an object's type in the fallback's JSON; no response key can have this name."""


class NotCompilableError(Exception):
    """The operation runs on graphql-core; the text says why."""


@dataclass(frozen=True)
class Plan:
    """One statement and the getters of its parameters after the claims."""

    sql: str
    binds: tuple[Getter, ...]

    def arguments(self, claims: Mapping[str, str], variables: Variables) -> list[Any]:
        """Return the statement's parameters.

        Raises:
            InputFaultError: a value is not allowed.
        """
        return [*(claims.get(claim, "") for claim in CLAIMS), *(get(variables) for get in self.binds)]


@dataclass(frozen=True)
class Document:
    """What a compile needs of a document and its schema."""

    schema: GraphQLSchema
    bindings: Bindings
    fragments: Mapping[str, FragmentDefinitionNode]
    blind: frozenset[str] = frozenset()
    """Types whose table the caller's login may not read: they have no rows, as if none were the caller's."""


def compile_operation(document: Document, operation: OperationDefinitionNode, variables: Variables) -> Plan:
    """Compile a whole query; its value is the bytes of ``{"data":…}``.

    Raises:
        NotCompilableError: some field is not a binding.
        InputFaultError: an argument is not allowed.
    """
    if operation.operation is not OperationType.QUERY or operation.directives:
        raise NotCompilableError(operation.operation.value)
    compiler = Compiler(document, variables, fallback=False)
    query = document.schema.query_type
    if query is None:
        raise NotCompilableError("no query type")
    parts: list[str] = []
    for key, nodes in compiler.collect(query, [operation.selection_set]).items():
        value = literal('"Query"') if nodes[0].name.value == "__typename" else compiler.root(nodes)
        parts += [literal(("," if parts else '{"data":{') + key_text(key)), value]
    body = concat([*parts, literal("}}")])
    return Plan(_statement(f"convert_to({body},'UTF8')"), tuple(compiler.binds))


def compile_field(document: Document, nodes: Sequence[FieldNode], variables: Variables) -> Plan:
    """Compile one bound root field for the fallback; its value is JSON text, Python resolvers left out."""
    compiler = Compiler(document, variables, fallback=True)
    return Plan(_statement(compiler.root(list(nodes))), tuple(compiler.binds))


def compile_object(
    document: Document, type_name: str, nodes: Sequence[FieldNode], row_id: Any, variables: Variables
) -> Plan:
    """Compile the selection of one object of a known id, for payloads; its value is JSON text or ``null``."""
    compiler = Compiler(document, variables, fallback=True)
    value = compiler.object_by_id(type_name, constant(row_id), list(nodes), raw=True)
    return Plan(_statement(value), tuple(compiler.binds))


def compile_tail(
    document: Document, operation: OperationDefinitionNode, variables: Variables, *, fallback: bool
) -> Tail | None:
    """Compile a subscription of one root field; None when its conditions leave it no field.

    Raises:
        NotCompilableError: some field is not a binding.
        InputFaultError: an argument is not allowed.
    """
    compiler = Compiler(document, variables, fallback=fallback)
    kind = document.schema.subscription_type
    if kind is None:
        raise NotCompilableError("no subscription type")
    for key, nodes in compiler.collect(kind, [operation.selection_set]).items():
        field_name = nodes[0].name.value
        arguments = compiler.arguments(nodes[0], kind.fields[field_name])
        source = document.bindings.sources[document.bindings.tails[field_name].target]
        sql = _statement(FeedSql(compiler, source, arguments).tail(key, nodes))
        heads = Compiler(document, variables, fallback=fallback)
        head = Plan(_statement(FeedSql(heads, source, {}).head()), tuple(heads.binds))
        given = {name_: value.get(variables) for name_, value in arguments.items() if value.given}
        return Tail(Plan(sql, tuple(compiler.binds)), head, key, not fallback, compiler.personal, given)
    return None


def collect_fields(
    document: Document, kind: GraphQLObjectType, nodes: Sequence[FieldNode], variables: Variables
) -> dict[str, list[FieldNode]]:
    """Return the fields selected below some nodes, by response key."""
    return Compiler(document, variables, fallback=True).collect(kind, sets_of(nodes))


def _statement(value: str) -> str:
    claims = " AND ".join(f"set_config('{claim}',${i},true) IS NOT NULL" for i, claim in enumerate(CLAIMS, 1))
    return f"SELECT CASE WHEN {claims} THEN {value} END"


class Compiler:
    """Builds one statement: walks the document, collects parameters, asks the bindings for names."""

    def __init__(self, document: Document, variables: Variables, *, fallback: bool) -> None:
        self.schema, self.bindings, self.fragments = document.schema, document.bindings, document.fragments
        self.variables = variables
        self.blind = document.blind
        self.fallback = fallback
        self.binds: list[Getter] = []
        self.personal = False
        """Whether the statement reads more than the feed itself."""
        self._rows = 0

    # -- the document ---------------------------------------------------------------------------

    def collect(self, kind: GraphQLObjectType, sets: Sequence[SelectionSetNode]) -> dict[str, list[FieldNode]]:
        """Merge selection sets into response keys, in the order of the document."""
        found: dict[str, list[FieldNode]] = {}
        visited: set[str] = set()
        for selection_set in sets:
            self._collect(kind, selection_set, found, visited)
        return found

    def _collect(
        self,
        kind: GraphQLObjectType,
        selection_set: SelectionSetNode,
        found: dict[str, list[FieldNode]],
        visited: set[str],
    ) -> None:
        for node in selection_set.selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                found.setdefault((node.alias or node.name).value, []).append(node)
                continue
            if isinstance(node, FragmentSpreadNode):
                if node.name.value in visited:
                    continue
                visited.add(node.name.value)
                fragment = self.fragments[node.name.value]
                condition: NamedTypeNode | None = fragment.type_condition
                inner = fragment.selection_set
            elif isinstance(node, InlineFragmentNode):
                condition, inner = node.type_condition, node.selection_set
            else:
                raise NotCompilableError("unknown selection")
            if condition is None or self._matches(kind, condition.name.value):
                self._collect(kind, inner, found, visited)

    def _matches(self, kind: GraphQLObjectType, condition: str) -> bool:
        return kind.name == condition or any(interface.name == condition for interface in kind.interfaces)

    def _included(self, node: Any) -> bool:
        for directive in node.directives or ():
            if directive.name.value not in ("skip", "include"):
                raise NotCompilableError(f"@{directive.name.value}")
            skip = directive.name.value == "skip"
            definition = GraphQLSkipDirective if skip else GraphQLIncludeDirective
            value = from_ast(directive.arguments[0].value, definition.args["if"].type, self.variables)
            if value.now == skip:
                return False
        return True

    def arguments(self, node: FieldNode, field: GraphQLField) -> dict[str, Val]:
        """Return the arguments of a field."""
        written = {argument.name.value: argument.value for argument in node.arguments or ()}
        values: dict[str, Val] = {}
        for key, argument in field.args.items():
            value = from_ast(written.get(key), argument.type, self.variables)
            default = argument.default_value
            values[key] = constant(default) if value is ABSENT and default is not Undefined else value
        return values

    def _kind(self, type_name: str) -> GraphQLObjectType:
        kind = self.schema.type_map[type_name]
        if not isinstance(kind, GraphQLObjectType):
            raise NotCompilableError(f"{type_name} is abstract")
        return kind

    def bind(self, getter: Getter, cast: str) -> str:
        """Register a parameter and return it with its cast."""
        self.binds.append(getter)
        return f"${len(self.binds) + len(CLAIMS)}::{cast}"

    def row(self) -> Row:
        """Begin a row."""
        self._rows += 1
        return Row(self._rows)

    # -- root fields ----------------------------------------------------------------------------

    def root(self, nodes: list[FieldNode]) -> str:
        """Return the SQL of a root field."""
        field_name = nodes[0].name.value
        binding = self.bindings.root.get(field_name)
        query = self.schema.query_type
        if binding is None or query is None:
            raise NotCompilableError(f"Query.{field_name} is no binding")
        field = query.fields[field_name]
        arguments = self.arguments(nodes[0], field)
        match binding:
            case ByIdBinding(target=target):
                return self.object_by_id(target, arguments["id"], nodes)
            case NodeBinding(plural=False):
                target = self.bindings.prefixes.get(prefix_of(arguments["id"].now), "")
                return self.object_by_id(target, arguments["id"], nodes) if target else "'null'"
            case NodeBinding():
                return self._nodes(arguments["ids"], nodes)
            case ManyBinding():
                return self._many(binding, None, field, arguments, nodes)
            case CountsBinding():
                return self._counts(binding, arguments, nodes, field)
            case FeedBinding(target=target):
                feed = FeedSql(self, self.bindings.sources[target], arguments)
                return feed.page(get_named_type(field.type), nodes)
        raise NotCompilableError(f"Query.{field_name}")

    def object_by_id(self, type_name: str, row_id: Val, nodes: list[FieldNode], *, raw: bool = False) -> str:
        """Return the SQL of one object by its id; unknown, foreign and malformed ids give ``null``."""
        source = self.bindings.sources[type_name]
        get = row_id.get if raw else lambda variables: _uuid(row_id.get(variables), source.prefix)
        parameter = self.bind(get, "uuid")
        return self._single(source, nodes, lambda row: f'{row.inner}."id" = {parameter}')

    def _nodes(self, ids: Val, nodes: list[FieldNode]) -> str:
        """Return the SQL of ``nodes(ids)``: one sub-select per type among the ids, in the order asked for."""

        def given(variables: Variables) -> list[str]:
            values = ids.get(variables)
            if len(values) > MAX_IDS:
                raise InputFaultError(f"at most {MAX_IDS} ids")
            return [str(value) for value in values]

        prefixes = sorted({prefix_of(value) for value in ids.now} & set(self.bindings.prefixes))
        if not prefixes:
            empty = self.bind(lambda variables: len(given(variables)), "int")
            return f"concat('[',rtrim(repeat('null,',{empty}),','),']')"
        names = self.bind(lambda variables: [prefix_of(value) for value in given(variables)], "text[]")
        keys = self.bind(lambda variables: [_uuid(value, None) for value in given(variables)], "uuid[]")
        cases: list[str] = []
        for prefix in prefixes:
            source = self.bindings.sources[self.bindings.prefixes[prefix]]
            cases.append(
                f"WHEN {literal(prefix)} THEN " + self._single(source, nodes, lambda row: f'{row.inner}."id" = u.k')
            )
        chosen = f"CASE u.p {' '.join(cases)} ELSE 'null' END"
        return (
            f"(SELECT coalesce('['||string_agg({chosen},',' ORDER BY u.o)||']','[]') "
            f"FROM unnest({names},{keys}) WITH ORDINALITY AS u(p,k,o))"
        )

    # -- objects --------------------------------------------------------------------------------

    def _single(self, source: Source, nodes: list[FieldNode], condition: Callable[[Row], str]) -> str:
        row = self.row()
        value = self.object(source, row, nodes)
        where = [condition(row), *self.fixed(source, row)]
        inner = f"SELECT {row.columns} FROM {self.table(source)} {row.inner} WHERE {' AND '.join(where)} LIMIT 1"
        return f"coalesce((SELECT {value} FROM ({inner}) {row.outer}),'null')"

    def object(self, source: Source, row: Row, nodes: Sequence[FieldNode]) -> str:
        """Return the SQL of an object's JSON text over a row."""
        kind = self._kind(source.type_name)
        sets = [node.selection_set for node in nodes if node.selection_set is not None]
        parts: list[str] = []
        if self.fallback:
            parts += [literal("{" + key_text(TYPE_KEY) + f'"{source.type_name}"')]
        for key, group in self.collect(kind, sets).items():
            value = self._field(source, kind, row, group)
            if value is not None:
                parts += [literal(("," if parts else "{") + key_text(key)), value]
        return concat([*parts, literal("}" if parts else "{}")])

    def _field(self, source: Source, kind: GraphQLObjectType, row: Row, nodes: list[FieldNode]) -> str | None:
        field_name = nodes[0].name.value
        if field_name == "__typename":
            return literal(f'"{source.type_name}"')
        binding = source.fields.get(field_name)
        match binding:
            case ColumnBinding():
                return self._column(binding, row)
            case OneBinding():
                return self._one(binding, row, nodes)
            case NodeOfBinding():
                return self._node_of(binding, row, nodes)
            case ManyBinding():
                field = kind.fields[field_name]
                return self._many(binding, row, field, self.arguments(nodes[0], field), nodes)
            case ComputedBinding(needs=needs) if self.fallback:
                parts: list[str] = []
                for attr, column in needs:
                    head = ("," if parts else "{") + key_text(attr)
                    parts += [literal(head), self._column(column, row)]
                return concat([*parts, literal("}" if parts else "{}")])
        raise NotCompilableError(f"{source.type_name}.{field_name} is a Python resolver")

    def _column(self, binding: ColumnBinding, row: Row) -> str:
        if binding.column is not None:
            value = binding.rule.sql(row.column(binding.column))
        else:
            value = binding.rule.sql(row.expression(binding.expression or "NULL"))
            if not binding.nullable:  # an expression promised a value: fail rather than write broken JSON
                return f"coalesce({value},(1/{_zero(row)})::text)"
        return f"coalesce({value},'null')" if binding.nullable else value

    def _one(self, binding: OneBinding, row: Row, nodes: list[FieldNode]) -> str:
        target = self.bindings.sources[binding.target]
        pairs = [(row.column(own), other) for own, other in binding.pairs]
        return self._single(
            target, nodes, lambda inner: " AND ".join(f"{inner.inner}.{name(other)} = {own}" for own, other in pairs)
        )

    def _node_of(self, binding: NodeOfBinding, row: Row, nodes: list[FieldNode]) -> str:
        """Return the SQL of the object that a row names: one sub-select per type that the selection can show."""
        self.personal = True
        kind, key = row.expression(binding.kind), row.column(binding.key)
        cases = [
            f"WHEN {literal(source.prefix)} THEN "
            + self._single(source, nodes, lambda inner: f'{inner.inner}."id" = {key}')
            for source in self.bindings.sources.values()
            if self.collect(self._kind(source.type_name), sets_of(nodes))
        ]
        return f"CASE {kind} {' '.join(cases)} ELSE 'null' END" if cases else "'null'"

    def table(self, source: Source) -> str:
        """Return what stands after FROM for the rows of a type."""
        if source.type_name in self.blind:  # no right is needed for a table's row type, and no row comes of it
            return f"jsonb_populate_recordset(NULL::{source.table},'[]')"
        return source.table

    def seen(self, binding: OneBinding, alias: str) -> str:
        """Return the condition that the row to which an edge of ``alias`` leads is the caller's to see."""
        target, row = self.bindings.sources[binding.target], self.row()
        tests = [f"{row.inner}.{name(other)} = {alias}.{name(own)}" for own, other in binding.pairs]
        tests += self.fixed(target, row)
        return f"EXISTS (SELECT FROM {self.table(target)} {row.inner}{where_sql(tests)})"

    def _grouped(self, source: Source, column: ColumnBinding, row: Row) -> str:
        """Return what rows are counted by: as the field shows it, an edge to a hidden row counts as null."""
        value = f"{row.inner}.{name(column.column or '')}"
        for edge in source.fields.values():
            if isinstance(edge, OneBinding) and edge.key is column:
                return f"CASE WHEN {self.seen(edge, row.inner)} THEN {value} END"
        return value

    def fixed(self, source: Source, row: Row, extra: str | None = None) -> list[str]:
        """Return the reviewed conditions of a type and of a mark."""
        if source.type_name in self.blind:
            return []
        return [f"({text.replace('{t}', row.inner)})" for text in (source.where, extra) if text]

    # -- lists ----------------------------------------------------------------------------------

    def _many(
        self,
        binding: ManyBinding,
        parent: Row | None,
        field: GraphQLField,
        arguments: dict[str, Val],
        nodes: list[FieldNode],
    ) -> str:
        source = self.bindings.sources[binding.target]
        order = order_of(source, arguments.get("order", ABSENT))
        joins = [(parent.column(own), other) for own, other in binding.pairs] if parent else []

        def where(row: Row) -> list[str]:
            joined = [f"{row.inner}.{name(other)} = {own}" for own, other in joins]
            return [*joined, *self.fixed(source, row, binding.where), *filtered(row)]

        def filtered(row: Row) -> list[str]:
            return conditions(source, arguments.get("filter", ABSENT), row.inner, self.bind, self.seen)

        if not binding.paged:
            page = page_of(arguments, binding.limit, binding.limit)
            return self._list(source, order, page, where, nodes)
        page = page_of(arguments)
        return ConnectionSql(self, source, order, page, where).sql(get_named_type(field.type), nodes)

    def _list(
        self,
        source: Source,
        order: Order,
        page: Page,
        where: Callable[[Row], list[str]],
        nodes: list[FieldNode],
    ) -> str:
        row = self.row()
        value = self.object(source, row, nodes)
        tests = where(row)
        limit = self.bind(page.size, "int8")
        inner = (
            f"SELECT {row.columns} FROM {self.table(source)} {row.inner}{where_sql(tests)} "
            f"ORDER BY {order.sql(row.inner, reverse=False)} LIMIT {limit}"
        )
        return f"(SELECT coalesce('['||string_agg({value},',')||']','[]') FROM ({inner}) {row.outer})"

    def _counts(
        self, binding: CountsBinding, arguments: dict[str, Val], nodes: list[FieldNode], field: GraphQLField
    ) -> str:
        source = self.bindings.sources[binding.target]
        by = arguments["by"].now
        column = source.named(by if isinstance(by, str) else by.name)
        row = self.row()
        key = f"{row.outer}.k"
        shown = f"'\"{column.prefix}_'||{key}::text||'\"'" if column.prefix else f"to_json({key}::text)::text"
        parts: list[str] = []
        kind = self._kind(get_named_type(field.type).name)
        sets = [node.selection_set for node in nodes if node.selection_set is not None]
        values = {
            "__typename": literal(f'"{kind.name}"'),
            "key": f"coalesce({shown},'null')",
            "count": f"{row.outer}.n",
        }
        for name_, group in self.collect(kind, sets).items():
            parts += [literal(("," if parts else "{") + key_text(name_)), values[group[0].name.value]]
        value = concat([*parts, literal("}" if parts else "{}")])
        tests = [*self.fixed(source, row, binding.where)]
        tests += conditions(source, arguments.get("filter", ABSENT), row.inner, self.bind, self.seen)
        inner = (
            f"SELECT {self._grouped(source, column, row)} AS k,count(*) AS n FROM {self.table(source)} {row.inner}"
            f"{where_sql(tests)} GROUP BY 1 ORDER BY 2 DESC,1 LIMIT {GROUPS}"
        )
        return f"(SELECT coalesce('['||string_agg({value},',')||']','[]') FROM ({inner}) {row.outer})"


def _zero(row: Row) -> str:
    return f"length(left({row.outer}::text,0))"


def _uuid(value: Any, prefix: str | None) -> Any:
    found = parse_global_id(str(value), prefix)
    return found[1] if found else None
