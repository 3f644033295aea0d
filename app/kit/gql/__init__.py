"""GraphQL vocabulary of the slices: marks, shared types, scalars. The runtime is ``app.api``."""

from app.kit.gql.inputs import filter_input, group_enum, order_enum
from app.kit.gql.marks import (
    bound,
    by_id,
    column,
    computed,
    connection,
    counts,
    expr,
    feed,
    listing,
    mutation,
    node_of,
    one,
    result,
    rows,
    tail,
)
from app.kit.gql.scalars import SCALARS, BigInt
from app.kit.gql.types import Connection, Edge, FeedPage, GroupCount, Node, Outcome, PageInfo, Payload, UserError

__all__ = [
    "SCALARS",
    "BigInt",
    "Connection",
    "Edge",
    "FeedPage",
    "GroupCount",
    "Node",
    "Outcome",
    "PageInfo",
    "Payload",
    "UserError",
    "bound",
    "by_id",
    "column",
    "computed",
    "connection",
    "counts",
    "expr",
    "feed",
    "filter_input",
    "group_enum",
    "listing",
    "mutation",
    "node_of",
    "one",
    "order_enum",
    "result",
    "rows",
    "tail",
]
