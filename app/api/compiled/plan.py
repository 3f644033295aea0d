"""Documents seen once: parsed, validated, measured, and their plans by shape of the variables.

A refused document is remembered too. The cache is bounded by bytes of text, the least used leaves
first; a document has at most eight plans, further shapes run on graphql-core.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    VariableNode,
    Visitor,
    parse,
    specified_rules,
    validate,
    visit,
)

from app.api.compiled.binding import Bindings
from app.api.compiled.compile import Document, NotCompilableError, Plan, compile_operation
from app.api.compiled.values import Coercer
from app.api.limits import Analysis, LimitError, Limits, analyse, check_repeats, scan

MAX_VARIANTS = 8
CACHE_BYTES = 16 * 2**20
_OVERHEAD = 16
"""Parsed documents and plans take a multiple of their text's bytes."""


@dataclass
class Operation:
    """One operation of a document that is valid and within the limits."""

    document: DocumentNode
    node: OperationDefinitionNode
    compiled: Document
    coercer: Coercer
    analysis: Analysis
    roots: frozenset[str] = frozenset()
    """Names of the root fields that the operation may run."""
    variants: dict[tuple[frozenset[str], Any], Plan | None] = field(default_factory=dict)
    """Plans by what the login may not read, then by shape of the variables."""
    reason: str = ""
    """Why it falls back; empty when it compiles."""

    @property
    def kind(self) -> str:
        """``query``, ``mutation`` or ``subscription``."""
        return self.node.operation.value

    def plan(self, values: Mapping[str, Any], login: str = "") -> Plan | None:
        """Return the plan for coerced variables; None: graphql-core runs it.

        Args:
            values: the variables.
            login: the caller's; types that it may not read at all have no rows for it.

        Raises:
            InputFaultError: an argument is not allowed.
        """
        if self.reason:
            return None
        blind = self.compiled.bindings.blind(login)
        key = (blind, self.coercer.shape(values))
        if key in self.variants:
            return self.variants[key]
        if sum(other == blind for other, _ in self.variants) >= MAX_VARIANTS:
            return None
        try:
            made = compile_operation(replace(self.compiled, blind=blind), self.node, values)
        except NotCompilableError as reason:
            self.reason = str(reason)
            return None
        self.variants[key] = made
        return made


@dataclass(frozen=True)
class Refusal:
    """A document that is refused before execution, always with the same errors."""

    errors: tuple[GraphQLError, ...]
    limit: bool = False


_PAIRWISE = [OverlappingFieldsCanBeMergedRule]
"""Compares fields in pairs, so it runs last, on a document that keeps every limit."""
_LINEAR = [rule for rule in specified_rules if rule not in _PAIRWISE]


class _Cursors(Visitor):
    """Collects the variables that stand directly as ``after`` or ``before``."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def enter_argument(self, node: ArgumentNode, *_: Any) -> None:
        """Look at one argument."""
        if node.name.value in ("after", "before") and isinstance(node.value, VariableNode):
            self.found.add(node.value.name.value)


class Documents:
    """The cache of documents of one schema."""

    def __init__(self, schema: GraphQLSchema, bindings: Bindings, limits: Limits, size: int = CACHE_BYTES) -> None:
        """Start empty; ``size`` bounds the bytes that the cache stands for."""
        self.schema, self.bindings, self.limits = schema, bindings, limits
        self._size, self._used = size, 0
        self._known: OrderedDict[tuple[str, str | None], Operation | Refusal] = OrderedDict()

    def get(self, text: str, name: str | None) -> Operation | Refusal:
        """Return the operation of a document, or why it is refused."""
        key = (text, name)
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
            return found
        made = self._read(text, name)
        self._known[key] = made
        self._used += len(text) * _OVERHEAD
        while self._used > self._size and len(self._known) > 1:
            (old, _), _ = self._known.popitem(last=False)
            self._used -= len(old) * _OVERHEAD
        return made

    def _read(self, text: str, name: str | None) -> Operation | Refusal:
        try:
            scan(text, self.limits)
            document = parse(text, max_tokens=self.limits.tokens)
            check_repeats(document, self.limits)
            errors = validate(self.schema, document, _LINEAR, max_errors=20, hide_suggestions=True)
            if errors:
                return Refusal(tuple(errors))
            node = _operation(document, name)
            fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
            analysis = analyse(self.schema, node, fragments, self.limits)
            errors = validate(self.schema, document, _PAIRWISE, max_errors=20, hide_suggestions=True)
            if errors:
                return Refusal(tuple(errors))
        except LimitError as fault:
            return Refusal((GraphQLError(str(fault), extensions={"code": "LIMIT"}),), limit=True)
        except GraphQLError as fault:
            return Refusal((fault,))
        except RecursionError:
            return Refusal(
                (GraphQLError("the document is nested too deeply", extensions={"code": "LIMIT"}),), limit=True
            )
        cursors = _Cursors()
        visit(document, cursors)
        coercer = Coercer(self.schema, node, frozenset(cursors.found))
        return Operation(
            document, node, Document(self.schema, self.bindings, fragments), coercer, analysis, _roots(node, fragments)
        )


def _roots(node: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> frozenset[str]:
    """Return the names of the root fields; each fragment is visited once."""
    found: set[str] = set()
    seen: set[str] = set()
    open_sets = [node.selection_set]
    while open_sets:
        for selection in open_sets.pop().selections:
            if isinstance(selection, FieldNode):
                found.add(selection.name.value)
            elif isinstance(selection, InlineFragmentNode):
                open_sets.append(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in seen:
                seen.add(selection.name.value)
                open_sets.append(fragments[selection.name.value].selection_set)
    return frozenset(found)


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    if name is None and len(operations) == 1:
        return operations[0]
    chosen = [one for one in operations if one.name and one.name.value == name]
    if not chosen:
        text = "name the operation to run by operationName" if name is None else "no operation has this name"
        raise GraphQLError(text)
    return chosen[0]
