"""Marks: how a slice says that a GraphQL type is a row of a table and a field is a column, an edge or a list.

A mark is only a declaration. ``app.api.compiled.binding`` turns marks and mapped classes into
bindings when the schema is built; nobody writes SQL, ``expr`` and ``where`` are the reviewed exception.

    @gql.bound(models.Site, prefix="site", description="A place of production.")
    class Site(gql.Node):
        name: str = gql.column("Name of the site.", filterable=True, sortable=True)
        enterprise: Annotated["Enterprise", strawberry.lazy("app.modules.enterprises.api")] | None = gql.one(
            models.Site.enterprise_id, "Whose site it is."
        )
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import strawberry
from sqlalchemy.orm import InstrumentedAttribute
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField

from app.kit.gql import inputs
from app.kit.gql.scalars import BigInt
from app.kit.gql.types import Payload

T = TypeVar("T")
MARK = "anlan.mark"
DEFAULT_PAGE = 20
"""Rows of a page when neither ``first`` nor ``last`` is given."""
MAX_PAGE = 100
MAX_IDS = 50


@dataclass(frozen=True)
class Bound:
    """A type is a row of a mapped class."""

    model: type[Any]
    prefix: str
    where: str | None = None
    order: str | None = None


@dataclass(frozen=True)
class Mark:
    """Base of the marks of fields."""


@dataclass(frozen=True)
class Column(Mark):
    """A column of the row."""

    attr: str | None = None
    filterable: bool = False
    sortable: bool = False
    groupable: bool = False
    prefix: str | None = None


@dataclass(frozen=True)
class Expr(Mark):
    """A value computed by SQL from columns of the row; ``{t}`` stands for the row."""

    expression: str
    sql_type: str


@dataclass(frozen=True)
class One(Mark):
    """An edge to at most one row, by an own foreign key or by a unique one of the target."""

    key: InstrumentedAttribute[Any]
    filterable: bool = False
    groupable: bool = False


@dataclass(frozen=True)
class Many(Mark):
    """A connection (``paged``) or a short plain list of rows that point here."""

    key: InstrumentedAttribute[Any]
    paged: bool = True
    limit: int = MAX_PAGE
    where: str | None = None


@dataclass(frozen=True)
class Listing(Mark):
    """A root connection over all rows that the caller may see."""

    where: str | None = None


@dataclass(frozen=True)
class ById(Mark):
    """A root field for one row."""


@dataclass(frozen=True)
class NodeById(Mark):
    """The root field ``node``."""


@dataclass(frozen=True)
class NodesByIds(Mark):
    """The root field ``nodes``."""


@dataclass(frozen=True)
class Counts(Mark):
    """Counts of rows per value of one column."""

    target: type[Any]
    where: str | None = None


@dataclass(frozen=True)
class Feed(Mark):
    """Events in feed order, after a position."""

    target: type[Any]


@dataclass(frozen=True)
class Tail(Mark):
    """Events as they come: the root field of a subscription."""


@dataclass(frozen=True)
class NodeOf(Mark):
    """The object that the row names, whatever its type."""

    kind: str
    key: str


@dataclass(frozen=True)
class Result(Mark):
    """The changed object of a payload."""


@dataclass(frozen=True)
class MutationMark(Mark):
    """A mutation; ``app.api.mutations`` runs it."""

    payload: type[Payload]
    returns: str | None
    run: Callable[[Any, Any], Awaitable[Any]]
    anonymous: bool = False
    cost: int = 10


@dataclass(frozen=True)
class Computed(Mark):
    """A Python resolver on a row; an operation that selects it falls back."""

    needs: tuple[str, ...] = ()


class BoundField(StrawberryField):
    """A field whose value comes from a mark; its arguments are known when the schema is built."""

    @property
    def mark(self) -> Mark:
        """The mark of this field."""
        mark: Mark = self.metadata[MARK]
        return mark

    @property
    def arguments(self) -> list[StrawberryArgument]:
        """Arguments, generated from the marks of the target."""
        if self._arguments is None:
            self._arguments = _arguments(self)
        return self._arguments

    @arguments.setter
    def arguments(self, value: list[StrawberryArgument]) -> None:
        self._arguments = value

    @property
    def is_basic_field(self) -> bool:
        """Whether Strawberry may skip the resolver; never."""
        return False

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: Any) -> Any:  # noqa: ARG002 - its signature
        """Run a mutation; every other mark gets its resolver when the schema is built."""
        mark = self.mark
        if isinstance(mark, MutationMark):
            return info.context.mutate(mark, self.python_name, info, kwargs["input"])
        raise RuntimeError(f"{self.python_name}: a bound field outside app.api.schema")


def _field(mark: Mark, description: str, deprecated: str | None = None, name: str | None = None) -> Any:
    return BoundField(description=description, metadata={MARK: mark}, deprecation_reason=deprecated, graphql_name=name)


def bound(
    model: type[Any],
    *,
    prefix: str,
    description: str,
    name: str | None = None,
    where: str | None = None,
    order: str | None = None,
) -> Callable[[type[T]], type[T]]:
    """Declare that a type is a row of a mapped class.

    Args:
        model: the mapped class; its primary key is ``id`` (uuid).
        prefix: of global ids, lower case: ``enterprise`` gives ``enterprise_<uuid>``.
        description: of the type.
        name: in GraphQL, when it differs from the class.
        where: reviewed SQL condition on the row ``{t}`` that every read of the type adds.
        order: default order: an attribute that is never null, ``"code"`` or ``"-code"`` for the largest first; newest
            arrival first (``seq``) when omitted.
    """

    def decorate(cls: type[T]) -> type[T]:
        made = strawberry.type(cls, name=name, description=description)
        made.__anlan_bound__ = Bound(model, prefix, where, order)  # type: ignore[attr-defined]
        return made

    return decorate


def column(
    description: str,
    *,
    attr: str | None = None,
    filterable: bool = False,
    sortable: bool = False,
    groupable: bool = False,
    prefix: str | None = None,
    deprecated: str | None = None,
    name: str | None = None,
) -> Any:
    """Declare a column.

    Args:
        description: what it says, for third parties.
        attr: attribute of the mapped class when it differs from the field's Python name.
        filterable: adds it to the type's filter (equality, in, range, isNull).
        sortable: adds ``NAME_ASC`` and ``NAME_DESC`` to the type's order; give it an index.
        groupable: adds it to the type's counts.
        prefix: for a uuid column annotated ``strawberry.ID``: prefix of the type it refers to.
        deprecated: reason, when it is.
        name: in GraphQL, when it differs from the Python name in camelCase.
    """
    return _field(Column(attr, filterable, sortable, groupable, prefix), description, deprecated, name)


def expr(description: str, expression: str, *, sql_type: str) -> Any:
    """Declare a value computed by SQL (reviewed text, never from a request).

    Args:
        description: what it says.
        expression: SQL over columns of the row ``{t}``: ``"{t}.valid_to IS NULL"``.
        sql_type: PostgreSQL's name of its type: ``boolean``, ``integer``, ``text`` …
    """
    return _field(Expr(expression, sql_type), description)


def one(
    key: Any, description: str, *, filterable: bool = False, groupable: bool = False, deprecated: str | None = None
) -> Any:
    """Declare an edge to at most one row; annotate it ``X | None``, since its row may be hidden.

    Args:
        key: own foreign key (``models.Site.enterprise_id``), or a unique foreign key of the target to this row.
        description: what it says.
        filterable: adds an id filter under the field's name.
        groupable: adds it to the type's counts.
        deprecated: reason, when it is.
    """
    return _field(One(key, filterable, groupable), description, deprecated)


def connection(key: Any, description: str, *, where: str | None = None) -> Any:
    """Declare a paged list of child rows; annotate it ``gql.Connection[X]``.

    Args:
        key: the child's foreign key to this row (``models.Site.enterprise_id``).
        description: what it says.
        where: reviewed SQL condition on the child ``{t}``.
    """
    return _field(Many(key, where=where), description)


def rows(key: Any, description: str, *, limit: int = MAX_PAGE, where: str | None = None) -> Any:
    """Declare a short plain list of child rows; annotate it ``list[X]``. Filter and order as in a connection.

    Args:
        key: the child's foreign key to this row.
        description: what it says.
        limit: most rows that it gives, 1 to 100.
        where: reviewed SQL condition on the child ``{t}``.
    """
    return _field(Many(key, paged=False, limit=limit, where=where), description)


def listing(description: str, *, where: str | None = None) -> Any:
    """Declare a root connection; annotate it ``gql.Connection[X]``.

    Args:
        description: what it says.
        where: reviewed SQL condition on the row ``{t}``.
    """
    return _field(Listing(where), description)


def by_id(description: str) -> Any:
    """Declare a root field ``x(id)``; annotate it ``X | None``. Unknown and foreign ids give null."""
    return _field(ById(), description)


def node_by_id(description: str) -> Any:
    """Declare the root field ``node(id)``; only ``app.api.schema`` does."""
    return _field(NodeById(), description)


def nodes_by_ids(description: str) -> Any:
    """Declare the root field ``nodes(ids)``; only ``app.api.schema`` does."""
    return _field(NodesByIds(), description)


def counts(target: type[Any], description: str, *, where: str | None = None) -> Any:
    """Declare counts per value of a groupable column; annotate it ``list[gql.GroupCount]``."""
    return _field(Counts(target, where), description)


def feed(target: type[Any], description: str) -> Any:
    """Declare a root field with a page of events in feed order; annotate it with a ``gql.FeedPage``.

    Args:
        target: the bound type of an event: its table has ``position``, ``type`` (`object.verb`) and ``object_id``.
        description: what it says.
    """
    return _field(Feed(target), description)


def tail(description: str) -> Any:
    """Declare a root field of a subscription to events; annotate it with the bound type of an event."""
    return _field(Tail(), description)


def node_of(kind: str, key: str, description: str) -> Any:
    """Declare the object that a row names, as the caller may see it now; annotate it ``gql.Node | None``.

    Args:
        kind: reviewed SQL over the row ``{t}``: prefix of the object's global id.
        key: attribute with the object's id.
        description: what it says.
    """
    return _field(NodeOf(kind, key), description)


def result(description: str) -> Any:
    """Declare the changed object of a payload; annotate it ``X | None``."""
    return _field(Result(), description)


def computed(description: str, *, needs: Sequence[str] = ()) -> Callable[[Callable[..., Any]], Any]:
    """Declare a Python resolver on a bound type; ``self`` carries the columns named in ``needs``.

    Args:
        description: what it says.
        needs: attributes of the mapped class that the resolver reads from ``self``.
    """
    decorate: Callable[[Callable[..., Any]], Any] = strawberry.field(
        description=description, metadata={MARK: Computed(tuple(needs))}
    )
    return decorate


def mutation(
    *,
    payload: type[Payload],
    description: str,
    returns: str | None = None,
    anonymous: bool = False,
    cost: int = 10,
) -> Callable[[Callable[[Any, Any], Awaitable[Any]]], Any]:
    """Declare a mutation: ``async def enterprise_update(ctx, input: EnterpriseUpdateInput) -> UUID | None``.

    The function runs in one transaction, which the runner commits; a ``Fault`` rolls it back and
    becomes the payload's ``errors``. The UUID that it returns names the object of the payload, read
    after the change as the caller's policies show it. The input has ``clientMutationId: String``,
    and for changes ``id`` and ``expectedVersion``.

    Args:
        payload: a ``Payload`` with one ``gql.result`` field, or none.
        description: names the codes of its errors.
        returns: Python name of the payload's result field.
        anonymous: whether callers without a membership may call it.
        cost: in the cost formula.
    """

    def decorate(run: Callable[[Any, Any], Awaitable[Any]]) -> Any:
        annotation = run.__annotations__["input"]
        made = _field(MutationMark(payload, returns, run, anonymous, cost), description)
        made.type_annotation = StrawberryAnnotation(payload | None)
        made.arguments = [
            StrawberryArgument(
                "input",
                None,
                StrawberryAnnotation(annotation, namespace=run.__globals__),
                description="What to do, and on what.",
            )
        ]
        return made

    return decorate


def target_of(owner: StrawberryField, definition: Any = None) -> type[Any]:
    """Return the bound class that a field's annotation names, through lists, options, lazies and connections.

    Raises:
        TypeError: it names none.
    """
    kind: Any = owner.resolve_type(type_definition=definition)
    while not hasattr(kind, "__anlan_bound__"):
        if hasattr(kind, "resolve_type") and not hasattr(kind, "__strawberry_definition__"):
            kind = kind.resolve_type()
        elif hasattr(kind, "of_type"):
            kind = kind.of_type
        elif getattr(kind, "__strawberry_definition__", None) is not None and (
            found := kind.__strawberry_definition__.type_var_map
        ):
            kind = next(iter(found.values()))
        else:
            raise TypeError(f"{owner.python_name}: its annotation names no bound type")
    return kind  # type: ignore[no-any-return]


def _argument(name: str, annotation: Any, description: str) -> StrawberryArgument:
    return StrawberryArgument(name, None, StrawberryAnnotation(annotation), description=description)


def _arguments(owner: BoundField) -> list[StrawberryArgument]:
    mark = owner.mark
    match mark:
        case ById() | NodeById():
            return [_argument("id", strawberry.ID, "Global id.")]
        case NodesByIds():
            return [_argument("ids", list[strawberry.ID], f"Global ids, at most {MAX_IDS}.")]
        case Counts(target=target):
            return [
                _argument("by", inputs.group_enum(target), "Which value to count by."),
                *_filter_argument(target),
            ]
        case Feed():
            first = _optional("first", int, f"At most how many events, 1 to {MAX_PAGE}; {DEFAULT_PAGE} when omitted.")
            about = _optional("object", strawberry.ID, "Only events of this object.")
            after = "Events after this position: the `cursor` of your last page; from the first one when omitted."
            return [_optional("after", BigInt, after), *_event_arguments(), about, first]
        case Tail():
            after = (
                "Events after this position: that of the last event that you have, or a `cursor` of the query "
                "`events`, so that nothing is missed; from now on when omitted."
            )
            return [_optional("after", BigInt, after), *_event_arguments()]
        case Many(paged=False, limit=limit):
            target = target_of(owner)
            first = _optional("first", int, f"At most how many rows, 1 to {limit}; {limit} when omitted.")
            return [*_filter_argument(target), *_order_argument(target), first]
        case Many() | Listing():
            target = target_of(owner)
            return [*_filter_argument(target), *_order_argument(target), *_page_arguments()]
    return []


def _optional(name: str, kind: Any, description: str) -> StrawberryArgument:
    return _argument(name, kind | None, description)


def _filter_argument(target: type[Any]) -> list[StrawberryArgument]:
    made = inputs.filter_input(target)
    return [] if made is None else [_optional("filter", made, "Which rows; all when omitted.")]


def _order_argument(target: type[Any]) -> list[StrawberryArgument]:
    made = inputs.order_enum(target)
    if made is None:
        return []
    return [_optional("order", made, "In which order; the type's own when omitted, mostly newest first.")]


def _event_arguments() -> list[StrawberryArgument]:
    return [
        _optional("types", list[str], "Only events of these types, such as `enterprise.approved`; at most 100."),
        _optional("objectTypes", list[str], "Only of objects of these types: prefixes of global ids; at most 100."),
    ]


def _page_arguments() -> list[StrawberryArgument]:
    return [
        _optional("first", int, f"At most how many rows, 1 to {MAX_PAGE}; {DEFAULT_PAGE} when neither is given."),
        _optional("after", str, "Rows after this cursor."),
        _optional("last", int, f"At most how many rows from the end, 1 to {MAX_PAGE}; not with `first`."),
        _optional("before", str, "Rows before this cursor."),
        _optional("offset", int, "Skip so many rows, for numbered pages; offset + first at most 10,000; no cursor."),
    ]


@dataclass(frozen=True)
class MutationCall:
    """What the audit hooks get to know of one call."""

    operation: str
    object_id: Any
    fields: Mapping[str, Any] = field(default_factory=dict)
