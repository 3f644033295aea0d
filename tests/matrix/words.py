"""Words in which expectations of the API are typed, by hand, next to each slice's tests.

``tests/modules/<slice>/expectations.py`` holds tables, each of which may be missing:

* ``TABLES``: table to :class:`tests.expectations.Rule`, for ``tests/oracle.py``;
* ``TYPES``: type of the API to :class:`Type`: its table, who reads it in which relation, what each field shows;
* ``ROOTS``: root field to a word: ``list X``, ``by id X``, ``counts X``, ``feed X``, ``changes X``, or ``plain``: its answer
  depends on no tenant's rows, or only on the caller's own memberships;
* ``IDS``: argument or input field with an id (``scopeGrantGive.owner``) to the type that it names;
* ``SHEETS``: ledger to :class:`Sheet`: who brings rows in by Excel, who takes them out;
* ``STEPS``: transition table to its steps, for :mod:`tests.modules.steps`.

Nothing here comes from the product. What the schema has and these tables do not is an empty cell, and red.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

RELATIONS = (
    "own",
    "child",
    "parent",
    "sibling",
    "other_province",
    "park_overlap",
    "hosted",
    "called",
    "granted",
    "expired",
    "anonymous",
    "named",
    "draft",
    "office",
    "shared",
)
"""What a row is to who asks; see :mod:`tests.matrix.relations`. ``shared``: a row that belongs to nobody;
``office``: a row about an enterprise that only agencies see."""

ALL_KINDS = (
    "NATIONAL",
    "PROVINCE",
    "CITY",
    "COUNTY",
    "TOWNSHIP",
    "PARK",
    "ENTERPRISE",
    "RESCUE_TEAM",
    "AGENCY",
    "PUBLIC",
)
SHARED = MappingProxyType(dict.fromkeys(ALL_KINDS, frozenset({"shared"})))
"""Readers of reference rows: everybody, also without a membership (decision 14)."""

BELOW = frozenset({"own", "child"})
"""A level reads itself and what lies below it (handbook 0.4)."""
CHILD, OVERLAP, OWN = frozenset({"child"}), frozenset({"park_overlap"}), frozenset({"own"})
OVERSIGHT: Mapping[str, frozenset[str]] = MappingProxyType(
    {"PROVINCE": BELOW, "CITY": BELOW, "COUNTY": BELOW, "PARK": OWN | OVERLAP, "ENTERPRISE": OWN}
)
"""Rows of any tenant; appendix B, row "enterprise file": R R R – R C U, the township has no right to it."""
OF_FIRMS: Mapping[str, frozenset[str]] = MappingProxyType(
    {"PROVINCE": CHILD, "CITY": CHILD, "COUNTY": CHILD, "PARK": OVERLAP, "ENTERPRISE": OWN}
)
"""The same for rows that only enterprises and other companies own."""


@dataclass(frozen=True)
class Value:
    """A field that shows a column of the row.

    Args:
        column: its name.
        prefix: of global ids, when the field shows one.
    """

    column: str
    prefix: str = ""


@dataclass(frozen=True)
class Shown:
    """A field computed from the row.

    Args:
        expected: the row to the value; None: any value will do as long as the row may be seen.
        why: what it says.
    """

    expected: Callable[[dict[str, Any]], Any] | None
    why: str


@dataclass(frozen=True)
class Edge:
    """A field that shows at most one row of another type, if the caller may see that row.

    Args:
        target: type of the API.
        own: column of this row.
        other: column of the other row that equals it.
    """

    target: str
    own: str
    other: str = "id"


@dataclass(frozen=True)
class Rows:
    """A field that lists rows of another type: as many of them as the caller may see."""

    target: str
    other: str
    own: str = "id"


Field = Value | Shown | Edge | Rows


@dataclass(frozen=True)
class Type:
    """A type of the API that shows rows of a table.

    Args:
        table: its name.
        prefix: of its global ids.
        readers: kind of the actor's tenant to the relations in which he reads a row; absent: never.
        fields: what each field shows.
        roles: only actors with one of these roles, `ROLE` or `KIND ROLE`; empty: any role.
        key: column of the id.
    """

    table: str
    prefix: str
    readers: Mapping[str, frozenset[str]]
    fields: Mapping[str, Field]
    roles: frozenset[str] = frozenset()
    key: str = "id"


@dataclass(frozen=True)
class Sheet:
    """Who may bring rows into a ledger by Excel, and take them out.

    Args:
        ledger: its name.
        type: type of the API that shows its rows.
        exporters: kind to roles; each exports the rows that he reads.
        importers: kind to roles.
        importable: relations in which an importer changes a row.
        columns: some columns of the export that show a column of the table as it is; the first tells rows apart.
        changed: columns that the import tries to change.
    """

    ledger: str
    type: str
    exporters: Mapping[str, frozenset[str]]
    importers: Mapping[str, frozenset[str]]
    importable: frozenset[str]
    columns: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Expected:
    """Every expectation of the API."""

    types: Mapping[str, Type]
    roots: Mapping[str, str]
    ids: Mapping[str, str]


PERSONAL: Mapping[str, frozenset[str]] = MappingProxyType({kind: OWN for kind in ALL_KINDS if kind != "PUBLIC"})
"""One's own jobs, imports, exports: whoever acts for a tenant, and nobody else, whatever his level."""


def values(names: str) -> dict[str, Field]:
    """Return fields that each show the column of the same name: ``divisionCode`` shows ``division_code``."""
    return {name: Value(_snake(name)) for name in names.split()}


def camel(name: str) -> str:
    """Return a column's name as the API writes it."""
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
