"""The columns that every tenant table carries, and its standard indexes (decisions 9 and 22)."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, FetchedValue, Identity, Index, Integer, Table, event, text
from sqlalchemy.orm import Mapped, mapped_column

from tenants.access import Access
from tenants.kinds import LEVELS, key_column


class ScopeColumns:
    """Level keys, owner, author and order of a row of a tenant table.

    The level keys say who sees the row. People never name them: the database fills them from the
    row's owner or site (decision 15), so the mapper fetches them and never sends them.
    """

    province_key: Mapped[int | None] = mapped_column(Integer, FetchedValue(), sort_order=900)
    city_key: Mapped[int | None] = mapped_column(Integer, FetchedValue(), sort_order=901)
    county_key: Mapped[int | None] = mapped_column(Integer, FetchedValue(), sort_order=902)
    township_key: Mapped[int | None] = mapped_column(Integer, FetchedValue(), sort_order=903)
    park_key: Mapped[int | None] = mapped_column(Integer, FetchedValue(), sort_order=904)
    enterprise_key: Mapped[int | None] = mapped_column(Integer, FetchedValue(), sort_order=905)
    owner_key: Mapped[int] = mapped_column(Integer, FetchedValue(), sort_order=906)
    """The tenant whose record it is, whoever writes it."""
    author_key: Mapped[int | None] = mapped_column(Integer, FetchedValue(), sort_order=907)
    """The tenant that wrote it; set by the database from the claim."""
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), sort_order=908)
    """Order of arrival at the server; the default order of lists, never the id."""


class Versioned:
    """Optimistic locking: every update names the version that it saw (decision 21)."""

    version: Mapped[int] = mapped_column(Integer, server_default=text("1"), default=1, sort_order=950)


class Stamped:
    """When a row was made and last changed, in UTC."""

    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"), sort_order=951)
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"), sort_order=952)


@event.listens_for(Table, "after_parent_attach")
def _standard_indexes(table: Table, _parent: Any) -> None:
    """Give each keyed table an index (level key, seq) for every level."""
    access = table.info.get("access")
    if not isinstance(access, Access) or not access.keyed:
        return
    for level in LEVELS:
        column = key_column(level)
        Index(f"ix_{table.name}_{column}_seq", table.c[column], table.c.seq)
    Index(f"ix_{table.name}_owner_key_seq", table.c.owner_key, table.c.seq)
