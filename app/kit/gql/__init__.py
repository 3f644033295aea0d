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
    listing,
    mutation,
    one,
    result,
    rows,
)
from app.kit.gql.scalars import SCALARS, BigInt
from app.kit.gql.types import Connection, Edge, GroupCount, Node, Outcome, PageInfo, Payload, UserError

__all__ = [
    "SCALARS",
    "BigInt",
    "Connection",
    "Edge",
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
    "filter_input",
    "group_enum",
    "listing",
    "mutation",
    "one",
    "order_enum",
    "result",
    "rows",
]
