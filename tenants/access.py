"""What each table declares about itself: its class, and which login may do what.

The declaration stands in ``Table.info["access"]``. :mod:`tenants.isolation` renders it to SQL for
the migration, and :mod:`tenants.gate` compares the catalog of a live database with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Table


class TableClass(StrEnum):
    """The classes of decision 14."""

    TENANT = "tenant"
    """Level keys; one equality policy per level and table."""
    PERSON = "person"
    """Own rows by ``app.person`` (column ``person_id``)."""
    REFERENCE = "reference"
    """Readable by all logins."""
    PUBLIC = "public"
    """Copies for the public, written by the publishing duty, readable by all logins."""
    INTAKE = "intake"
    """Written by the public through a definer function; read by the agency it is routed to, as a tenant table."""
    SYSTEM = "system"
    """Only for named system logins."""


Columns = tuple[str, ...]
Grants = Mapping[str, Columns]


@dataclass(frozen=True)
class Access:
    """Declaration of one table.

    Args:
        table_class: see :class:`TableClass`.
        select: people's logins (levels, ``assigned``, ``public``) that may read.
        insert: login to the columns it may name; no level key for people (decision 15).
        insert_only: login to the SQL condition that every row it inserts must meet, besides its policy.
        update: login to the columns it may change.
        delete: system logins that may delete.
        site: column naming a site (``site.id``) that places the row; None: the owner places it (decision 11).
        is_site: the row is a site itself: ``place_id`` names its county or township, ``park_id`` its park.
        self_keyed: the row is a tenant itself: keys of its parent plus its own at its level.
        draft_state: while ``state`` has this value only the author's own level key is filled (decision 10).
        agencies_only: never fill ``enterprise_key`` (decision 10).
        grantee: the row itself is a dated grant: ``grantee_key`` reads it through ``assigned``.
        granted: readable by ``assigned`` through ``scope_grant`` and ``incident_call``.
        hosted: readable by ``assigned`` through ``hosting``, as far as the hosted county owns the row.
        system: system login to the SQL condition of its policy (``true``: all rows).
        system_write: system login to commands besides SELECT: any of INSERT, UPDATE, DELETE.
        definer: commands of the owner of definer functions: any of SELECT, INSERT, UPDATE.
    """

    table_class: TableClass
    select: Columns = ()
    insert: Grants = field(default_factory=dict)
    insert_only: Mapping[str, str] = field(default_factory=dict)
    update: Grants = field(default_factory=dict)
    delete: Columns = ()
    site: str | None = None
    is_site: bool = False
    self_keyed: bool = False
    draft_state: str | None = None
    agencies_only: bool = False
    grantee: bool = False
    granted: bool = False
    hosted: bool = False
    system: Mapping[str, str] = field(default_factory=dict)
    system_write: Mapping[str, Columns] = field(default_factory=dict)
    definer: Columns = ()

    @property
    def keyed(self) -> bool:
        """Whether the table carries level keys."""
        return self.table_class in (TableClass.TENANT, TableClass.INTAKE)


class UndeclaredTableError(TypeError):
    """A table has no ``Access``: it would be open or closed by accident."""


def access_of(table: Table) -> Access:
    """Return the declaration of a table.

    Raises:
        UndeclaredTableError: the table declares nothing.
    """
    access = table.info.get("access")
    if not isinstance(access, Access):
        raise UndeclaredTableError(f"{table.name}: declare info={{'access': Access(...)}} (decision 14)")
    return access
