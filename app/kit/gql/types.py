"""Types that every slice shares: Node, pages, counts, user errors, payloads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import UUID

import strawberry

from app.kit.gql.scalars import BigInt

T = TypeVar("T")


@strawberry.interface(description="An object with an identity of its own, readable by `node(id)`.")
class Node:
    """Interface of every bound type."""

    id: strawberry.ID = strawberry.field(
        description="Opaque id, the same for ever and everywhere; never take it apart or build it."
    )


@strawberry.type(description="Where a page of a connection stands.")
class PageInfo:
    """Relay's page info."""

    has_next_page: bool = strawberry.field(description="Whether rows follow this page, when paging with `first`.")
    has_previous_page: bool = strawberry.field(
        description="Whether rows precede this page. Exact with `last`; with `first` it says that `after` or "
        "`offset` skipped rows."
    )
    start_cursor: str | None = strawberry.field(description="Cursor of the first row of this page; null when empty.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last row of this page; null when empty.")


@strawberry.type(description="One row of a connection with its cursor.")
class Edge(Generic[T]):
    """Relay's edge."""

    node: T = strawberry.field(description="The row.")
    cursor: str = strawberry.field(description="Opaque position of this row in this order; for `after` and `before`.")


@strawberry.type(description="A page of rows, keyset-paged. `nodes` is short for `edges { node }`.")
class Connection(Generic[T]):
    """Relay's connection plus `nodes` and a saturating count."""

    edges: list[Edge[T]] = strawberry.field(description="Rows of this page with their cursors.")
    nodes: list[T] = strawberry.field(description="Rows of this page.")
    page_info: PageInfo = strawberry.field(description="Where this page stands.")
    total_count: int = strawberry.field(
        description="How many rows match the filter: exact up to 100,000, then 100,000 and `totalCountIsExact` false."
    )
    total_count_is_exact: bool = strawberry.field(description="Whether `totalCount` is exact.")


@strawberry.type(description="A page of events in feed order.")
class FeedPage:
    """Base of pages of a feed; subclasses add ``events``."""

    cursor: BigInt = strawberry.field(
        description="Where to go on: give it as `after`, of the next page or of a subscription. Also there, and often "
        "further, when the page is empty."
    )
    has_more: bool = strawberry.field(description="Whether more events wait behind this page.")
    head: BigInt = strawberry.field(
        description="Position of the newest event that you may see; start there to hear only of what is to come."
    )


@strawberry.type(description="How many rows share one value.")
class GroupCount:
    """One group of a count."""

    key: str | None = strawberry.field(description="The shared value as text (an id where it is a reference); or null.")
    count: int = strawberry.field(description="How many rows have it.")


@strawberry.type(description="An expected outcome that the caller can act on.")
class UserError:
    """See architecture.md 4: expected errors are data."""

    code: str = strawberry.field(description="Stable code, listed in the mutation's description.")
    field: list[str] = strawberry.field(description="Path into the input; empty when it concerns the whole.")
    message: str = strawberry.field(description="For the user, in the user's language; says what to do.")


class PayloadData:
    """What the mutation runner hands to the payload's fields."""

    __slots__ = ("errors", "objects", "values")

    def __init__(
        self, objects: Mapping[str, Any], errors: list[UserError], values: Mapping[str, Any] | None = None
    ) -> None:
        """Hold the objects by response key, the errors, and further values by Python name."""
        self.objects = objects
        self.errors = errors
        self.values = values or {}


@strawberry.type(description="Outcome of a mutation: the changed object and the errors of the user.")
class Payload:
    """Base of mutation payloads; subclasses add one ``gql.result`` field."""

    errors: list[UserError] = strawberry.field(description="Empty on success.")


@dataclass(frozen=True)
class Outcome:
    """What a mutation returns when its payload has more than the object.

    Args:
        object_id: the changed object.
        values: further fields of the payload by Python name, JSON only: they are kept for repeats.
        once: the same, but never kept: secrets that are shown once; a repeat answers null there.
    """

    object_id: UUID | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    once: Mapping[str, Any] = field(default_factory=dict)
