"""Limits and cost of documents: our own analyser, linear in the document.

Each fragment is measured once and its measure reused at each spread, so doubling fragments cost
nothing here. Page sizes that are variables stay symbolic: the cost of a request is one walk over a
short program, before any SQL. Figures: ``graphql/limits.toml``.
"""

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Source,
    TokenKind,
    VariableNode,
    get_named_type,
    is_composite_type,
)
from graphql.language.lexer import Lexer

from app.api.contract import contract_folder
from app.kit.gql import marks

_DEFINITION = "strawberry-definition"
_OPEN = (TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L)
_CLOSE = (TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R)


class LimitError(ValueError):
    """A limit is exceeded; the message names it and its figure."""


@dataclass(frozen=True)
class Limits:
    """The figures of ``limits.toml``."""

    body: int
    seconds: int
    response: int
    tokens: int
    fragments: int
    spreads: int
    repeats: int
    nesting: int
    depth: int
    aliases: int
    roots: int
    fields: int
    nodes: int
    object: int
    connection: int
    search: int
    aggregate: int
    mutation: int
    estimate: int
    anonymous: int
    user: int


@cache
def load_limits() -> Limits:
    """Read ``graphql/limits.toml``.

    Raises:
        TypeError: a figure is missing or unknown.
    """
    data = tomllib.loads((contract_folder() / "limits.toml").read_text(encoding="utf-8"))
    return Limits(**{key: value for table in data.values() for key, value in table.items()})


def scan(text: str, limits: Limits) -> int:  # noqa: C901 - one pass over the tokens, one branch per kind
    """Count tokens, fragments, spreads and nesting before anything is parsed.

    Returns:
        The number of tokens.

    Raises:
        LimitError: one of them exceeds its limit.
        GraphQLError: the text has a broken token, or a string with U+0000.
    """
    lexer = Lexer(Source(text))
    tokens = fragments = spreads = nesting = 0
    spread = False
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        tokens += 1
        kind = token.kind
        if token.value and "\0" in token.value:
            raise GraphQLError("a string holds the character U+0000, which no text has; leave it out")
        if tokens > limits.tokens:
            raise LimitError(f"at most {limits.tokens} tokens")
        if kind in _OPEN:
            nesting += 1
            if nesting > limits.nesting:
                raise LimitError(f"brackets are nested at most {limits.nesting} deep")
        elif kind in _CLOSE:
            nesting -= 1
        elif kind is TokenKind.NAME:
            if spread and token.value != "on":
                spreads += 1
            elif nesting == 0 and token.value == "fragment":
                fragments += 1
        spread = kind is TokenKind.SPREAD
    if fragments > limits.fragments:
        raise LimitError(f"at most {limits.fragments} fragments")
    if spreads > limits.spreads:
        raise LimitError(f"at most {limits.spreads} fragment spreads")
    return tokens


def check_repeats(document: DocumentNode, limits: Limits) -> None:
    """Refuse a selection that asks for the same thing again and again: merging it is compared in pairs.

    Args:
        document: parsed, not validated.
        limits: the figures.

    Raises:
        LimitError: one response name stands too often in one selection, fragments and conditions included.
    """
    names = _Names(document, limits)
    for one in document.definitions:
        if isinstance(one, OperationDefinitionNode):
            names.of(one.selection_set)
        elif isinstance(one, FragmentDefinitionNode):
            names.of_fragment(one.name.value)


class _Names:
    """Counts the response names of selections, each fragment once."""

    def __init__(self, document: DocumentNode, limits: Limits) -> None:
        self._limits = limits
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        self._counted: dict[str, Counter[str]] = {}

    def of(self, selections: SelectionSetNode) -> Counter[str]:
        """Count one selection; what lies below a field is a selection of its own."""
        found: Counter[str] = Counter()
        for selection in selections.selections:
            if isinstance(selection, FragmentSpreadNode):
                found += self.of_fragment(selection.name.value)
            elif isinstance(selection, InlineFragmentNode):
                found += self.of(selection.selection_set)
            elif isinstance(selection, FieldNode):
                found[(selection.alias or selection.name).value] += 1
                if selection.selection_set is not None:
                    self.of(selection.selection_set)
        for name, times in found.items():
            if times > self._limits.repeats:
                text = f"{name}: at most {self._limits.repeats} times in one selection, fragments included"
                raise LimitError(text)
        return found

    def of_fragment(self, name: str) -> Counter[str]:
        """Count a fragment; one that spreads itself finds nothing, and validation refuses it."""
        if name not in self._counted:
            self._counted[name] = Counter()
            if name in self._fragments:
                self._counted[name] = self.of(self._fragments[name].selection_set)
        return self._counted[name]


@dataclass(frozen=True)
class Size:
    """Number of rows of a list: fixed, or taken from a variable."""

    fixed: int
    variable: str | None = None
    most: int = marks.MAX_PAGE

    def of(self, variables: Mapping[str, Any]) -> int:
        """Return the number for a request.

        Raises:
            LimitError: it is out of range.
        """
        value = variables.get(self.variable) if self.variable else None
        if value is None:
            return self.fixed
        if isinstance(value, list):
            if len(value) > self.most:
                raise LimitError(f"at most {self.most} ids")
            return len(value)
        if not isinstance(value, int) or not 1 <= value <= self.most:
            raise LimitError(f"first and last are 1 to {self.most}")
        return value


@dataclass(frozen=True)
class Sum:
    """A number of a request: a constant plus sizes times earlier sums (by their place in the program)."""

    constant: int
    terms: tuple[tuple[Size, int], ...] = ()


@dataclass
class Measure:
    """Measure of a selection set; sums are places in the program."""

    depth: int = 0
    aliases: int = 0
    fields: int = 0
    roots: int = 0
    cost: int = 0
    nodes: int = 0
    row_cost: int = 0
    row_nodes: int = 0


@dataclass(frozen=True)
class Analysis:
    """What is known of a document; ``price`` gives what a request adds."""

    depth: int
    aliases: int
    roots: int
    fields: int
    visits: int
    """AST nodes that the analyser looked at: at most those of the document."""
    program: tuple[Sum, ...]
    cost: int
    nodes: int
    constant: tuple[int, int] | None
    limit: int

    def price(self, variables: Mapping[str, Any]) -> int:
        """Return the cost of a request.

        Raises:
            LimitError: a page size is out of range, or the pages allow too many rows.
        """
        cost, nodes = self.constant or self._run(variables)
        if nodes > self.limit:
            raise LimitError(f"the page sizes allow {nodes} rows; at most {self.limit}")
        return cost

    def _run(self, variables: Mapping[str, Any]) -> tuple[int, int]:
        values: list[int] = []
        for total in self.program:
            values.append(total.constant + sum(size.of(variables) * values[place] for size, place in total.terms))
        return values[self.cost], values[self.nodes]


def analyse(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    limits: Limits,
) -> Analysis:
    """Measure an operation of a validated document.

    Raises:
        LimitError: a limit of the document is exceeded.
    """
    analyser = _Analyser(schema, fragments, limits)
    root = schema.get_root_type(operation.operation)
    measure = analyser.selections(root, operation.selection_set)
    for key, value in (("depth", measure.depth), ("aliases", measure.aliases), ("fields", measure.fields)):
        if value > getattr(limits, key):
            raise LimitError(f"{key}: {value} after fragments are spread; at most {getattr(limits, key)}")
    if measure.roots > limits.roots:
        raise LimitError(f"at most {limits.roots} root fields")
    program = analyser.program
    constant = None
    if not program[measure.cost].terms and not program[measure.nodes].terms:
        constant = (program[measure.cost].constant, program[measure.nodes].constant)
    return Analysis(
        measure.depth,
        measure.aliases,
        measure.roots,
        measure.fields,
        analyser.visits,
        tuple(program),
        measure.cost,
        measure.nodes,
        constant,
        limits.nodes,
    )


@dataclass
class _Analyser:
    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    limits: Limits
    program: list[Sum] = field(default_factory=lambda: [Sum(0)])
    visits: int = 0
    _memo: dict[str, Measure] = field(default_factory=dict)

    def selections(self, kind: Any, selection_set: SelectionSetNode) -> Measure:
        """Measure a selection set on a type."""
        parts: list[Measure] = []
        for node in selection_set.selections:
            self.visits += 1
            if isinstance(node, FieldNode):
                parts.append(self.field(kind, node))
                parts[-1].roots = 1
            elif isinstance(node, InlineFragmentNode):
                inner = kind
                if node.type_condition is not None:
                    inner = self.schema.type_map[node.type_condition.name.value]
                parts.append(self.selections(inner, node.selection_set))
            elif isinstance(node, FragmentSpreadNode):
                parts.append(self.fragment(node.name.value))
        return self.total(parts)

    def fragment(self, name: str) -> Measure:
        """Measure a fragment, once."""
        if name not in self._memo:
            node = self.fragments[name]
            self._memo[name] = self.selections(self.schema.type_map[node.type_condition.name.value], node.selection_set)
        return self._memo[name]

    def total(self, parts: list[Measure]) -> Measure:
        """Add measures side by side."""
        return Measure(
            depth=max((part.depth for part in parts), default=0),
            aliases=sum(part.aliases for part in parts),
            fields=sum(part.fields for part in parts),
            roots=sum(part.roots for part in parts),
            cost=self.add(0, [(Size(1), part.cost) for part in parts]),
            nodes=self.add(0, [(Size(1), part.nodes) for part in parts]),
            row_cost=self.add(0, [(Size(1), part.row_cost) for part in parts]),
            row_nodes=self.add(0, [(Size(1), part.row_nodes) for part in parts]),
        )

    def add(self, constant: int, terms: list[tuple[Size, int]]) -> int:
        """Append a sum to the program, constants folded, and return its place."""
        kept: list[tuple[Size, int]] = []
        for size, place in terms:
            inner = self.program[place]
            if size.variable is None and not inner.terms:
                constant += size.fixed * inner.constant
            elif place:
                kept.append((size, place))
        if not kept and constant == 0:
            return 0
        self.program.append(Sum(constant, tuple(kept)))
        return len(self.program) - 1

    def field(self, kind: Any, node: FieldNode) -> Measure:
        """Measure one field with its selections."""
        name = node.name.value
        aliases = 1 if node.alias else 0
        definition = self.schema.get_field(kind, name)
        named = get_named_type(definition.type) if definition is not None else None
        if definition is None or node.selection_set is None or not is_composite_type(named):
            search = self.limits.aggregate if _is_count(kind, name) else 0
            return Measure(depth=1, aliases=aliases, fields=1, cost=self.add(search, []))
        inner = self.selections(named, node.selection_set)
        hidden = name in ("__schema", "__type")
        made = Measure(depth=0 if hidden else inner.depth + 1, aliases=aliases + inner.aliases, fields=1 + inner.fields)
        self._price(kind, definition, node, inner, made)
        return made

    def _price(self, kind: Any, definition: Any, node: FieldNode, inner: Measure, made: Measure) -> None:
        limits, name = self.limits, node.name.value
        if _is_page(kind) and name in ("nodes", "edges", "events"):
            made.row_cost, made.row_nodes = inner.cost, inner.nodes
            return
        if (kind.name.endswith("Edge") and name == "node") or name == "pageInfo":
            made.cost, made.nodes = inner.cost, inner.nodes
            return
        mark = _mark(definition)
        if isinstance(mark, marks.Many | marks.Listing | marks.Feed | marks.NodesByIds):
            size = self._size(mark, node)
            paged = inner.row_cost if _is_page(get_named_type(definition.type)) else inner.cost
            rows = inner.row_nodes if _is_page(get_named_type(definition.type)) else inner.nodes
            own = inner.cost if paged is not inner.cost else 0
            one_cost = self.add(limits.object, [(Size(1), paged)])
            one_node = self.add(1, [(Size(1), rows)])
            made.cost = self.add(limits.connection, [(Size(1), own), (size, one_cost)])
            made.nodes = self.add(0, [(size, one_node)])
            return
        extra = limits.object
        if isinstance(mark, marks.Counts):
            extra += limits.aggregate
        elif isinstance(mark, marks.MutationMark):
            extra = limits.mutation if mark.cost == marks.MutationMark.cost else mark.cost
        if definition.extensions.get(_DEFINITION) is not None:
            extra += limits.search if definition.extensions[_DEFINITION].metadata.get("search") else 0
        many = _is_list(definition.type) and not isinstance(mark, marks.Counts) and not name.startswith("__")
        size = Size(self.limits.estimate if many and _DEFINITION in definition.extensions else 1)
        one_cost = self.add(extra, [(Size(1), inner.cost)])
        one_node = self.add(1, [(Size(1), inner.nodes)])
        made.cost = self.add(0, [(size, one_cost)])
        made.nodes = self.add(0, [(size, one_node)])

    def _size(self, mark: marks.Mark, node: FieldNode) -> Size:
        most = mark.limit if isinstance(mark, marks.Many) and not mark.paged else marks.MAX_PAGE
        names = ("ids",) if isinstance(mark, marks.NodesByIds) else ("first", "last")
        if isinstance(mark, marks.NodesByIds):
            most = marks.MAX_IDS
        default = most if isinstance(mark, marks.Many) and not mark.paged else marks.DEFAULT_PAGE
        for argument in node.arguments or ():
            self.visits += 1
            if argument.name.value not in names or isinstance(argument.value, NullValueNode):
                continue
            value = argument.value
            if isinstance(value, VariableNode):
                return Size(min(default, most), value.name.value, most)
            if isinstance(value, ListValueNode):
                if len(value.values) > most:
                    raise LimitError(f"at most {most} ids")
                return Size(len(value.values))
            if isinstance(value, IntValueNode):
                return Size(Size(0, "n", most).of({"n": int(value.value)}))
        return Size(min(default, most))


def _mark(definition: Any) -> marks.Mark | None:
    found = definition.extensions.get(_DEFINITION)
    mark: marks.Mark | None = found.metadata.get(marks.MARK) if found is not None else None
    return mark


def _is_page(kind: Any) -> bool:
    return bool(kind.name.endswith(("Connection", "Feed")))


def _is_count(kind: Any, name: str) -> bool:
    return _is_page(kind) and name in ("totalCount", "totalCountIsExact")


def _is_list(kind: Any) -> bool:
    return isinstance(kind.of_type if isinstance(kind, GraphQLNonNull) else kind, GraphQLList)
