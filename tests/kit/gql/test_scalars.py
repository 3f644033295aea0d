"""Days and moments of the API: within the years that rules reach, and nothing else."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from graphql import GraphQLError

from app.kit.gql.scalars import parse_date, parse_datetime


@pytest.mark.parametrize("text", ["1900-01-01", "2026-03-01", "2199-12-31"])
def test_a_day_is_read(text: str) -> None:
    assert parse_date(text) == date.fromisoformat(text)
    assert parse_datetime(f"{text}T00:00:00Z") == datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("parse", "text"),
    [(parse_date, "1899-12-31"), (parse_date, "2200-01-01"), (parse_date, "9999-12-31"), (parse_date, "0001-01-01"),
     (parse_datetime, "1900-01-01T00:00:00+08:00"), (parse_datetime, "9999-12-31T23:00:00Z"),
     (parse_datetime, "0001-01-01T00:00:00+08:00"), (parse_date, "2026-02-30"), (parse_date, "２０２６-01-01"),
     (parse_date, 20260101), (parse_datetime, "2026-03-01T08:00:00"), (parse_datetime, "2026-03-01")],
)  # fmt: skip
def test_what_is_out_of_range_or_none_is_refused(parse: Callable[[Any], Any], text: Any) -> None:
    with pytest.raises(GraphQLError, match="expected a"):
        parse(text)
