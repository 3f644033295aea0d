"""GraphQL of the feed: what has happened to the objects that the caller may see (decision 33)."""

from datetime import datetime
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.kit import gql
from app.kit.jobs_models import Event as EventRow

_KIND = "split_part({t}.type, '.', 1)"


@gql.bound(
    EventRow,
    prefix="event",
    where="{t}.position IS NOT NULL",
    description="事件: something that happened to an object which you may see. Events are never changed.",
)
class Event(gql.Node):
    """A row of ``event`` that has its position."""

    position: gql.BigInt = gql.expr(
        "Place in the feed. Positions only grow, in the order in which they become visible; yours have gaps.",
        "{t}.position",
        sql_type="bigint",
    )
    type: str = gql.column("What happened, `object.verb`, such as `enterprise.approved`. Treat unknown ones as news.")
    object_type: str = gql.expr("Type of the object: prefix of its global id.", _KIND, sql_type="text")
    object_id: UUID = gql.column("The object: the part of its global id after the prefix.")
    object: str = gql.expr("Global id of the object.", f"({_KIND} || '_' || {{t}}.object_id)", sql_type="text")
    at: datetime = gql.column("When it was written, by real time; the order is that of `position`.", attr="created_at")
    payload: JSON = gql.column("Ids, codes and states that belong to what happened; no personal data.")
    node: gql.Node | None = gql.node_of(
        _KIND,
        "object_id",
        "The object as you may see it now; null when it is hidden from you, and when the selection names no field of "
        "its type. Name the types that you expect in `... on`, which is cheaper than asking all.",
    )


@strawberry.type(description="A page of events in feed order, and where to go on.")
class EventFeed(gql.FeedPage):
    """See ``gql.FeedPage``."""

    events: list[Event] = strawberry.field(description="Events of this page, oldest first.")


@strawberry.type
class FeedQuery:
    """Root fields of the slice."""

    events: EventFeed = gql.feed(
        Event,
        "What has happened, oldest first. Go on from `cursor`: nothing is missed and nothing comes twice, whatever the "
        "order in which transactions committed.",
    )


@strawberry.type
class FeedSubscription:
    """Root fields of subscriptions."""

    events: Event = gql.tail(
        "What happens, as it happens, oldest first. After a lost connection subscribe again with the `position` of the "
        "last event as `after`: nothing is missed and nothing comes twice."
    )
