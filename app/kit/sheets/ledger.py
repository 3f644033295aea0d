"""What a slice declares in its ``sheets.py``: ledgers that can be filled and taken out by Excel.

A slice's ``LEDGERS`` are registered when a process starts (``app.registry.load_ledgers``). The kit knows cells, files
and jobs; the ledger knows its columns, what a row means, how rows are looked up, checked and written, in batches.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.kit.errors import Fault, NotPermittedFault
from app.kit.uow import WriteContext
from tenants.context import Acting
from tenants.kinds import Kind

Values = Mapping[str, Any]
"""Column's name to its checked value, JSON only: days and decimals as text."""


class Cell(StrEnum):
    """What a column holds."""

    TEXT = "TEXT"
    CODE = "CODE"
    """Letters and digits that are no quantity: full-width ones become half-width, blanks go."""
    INTEGER = "INTEGER"
    DECIMAL = "DECIMAL"
    DATE = "DATE"
    BOOLEAN = "BOOLEAN"
    CHOICE = "CHOICE"
    """A word of a list: its code or its title."""
    CHOICES = "CHOICES"
    """Several of them, parted by 、 or a comma."""


@dataclass(frozen=True)
class Code:
    """A word of a list.

    Args:
        code: what is stored.
        zh: its Chinese title.
        en: its English title; the Chinese one when empty.
    """

    code: str
    zh: str
    en: str = ""

    def title(self, locale: str) -> str:
        """Return the title in a language."""
        return self.en if locale == "en" and self.en else self.zh


Codes = Callable[[WriteContext], Awaitable[Sequence[Code]]]


@dataclass(frozen=True)
class Column:
    """A column of a ledger.

    Args:
        name: snake case, stable; the field of the API in camel case where there is one.
        zh: heading in Chinese.
        en: heading in English.
        cell: what it holds.
        required: whether a new row must have it.
        codes: the list of a CHOICE: fixed, or asked for the acting membership.
        limit: most characters of a text.
        note_zh: how to fill it in, for the instructions.
        note_en: the same in English.
        example: a value as somebody would type it.
        imported: whether an import may bring it.
        exported: whether an export shows it.
        width: of the column, in characters.
    """

    name: str
    zh: str
    en: str
    cell: Cell = Cell.TEXT
    required: bool = False
    codes: tuple[Code, ...] | Codes = ()
    limit: int = 500
    note_zh: str = ""
    note_en: str = ""
    example: str = ""
    imported: bool = True
    exported: bool = True
    width: int = 18

    def title(self, locale: str) -> str:
        """Return the heading in a language."""
        return self.en if locale == "en" else self.zh

    def note(self, locale: str) -> str:
        """Return the instruction in a language."""
        return self.note_en if locale == "en" else self.note_zh

    async def words(self, ctx: WriteContext) -> Sequence[Code]:
        """Return the list of this column for whoever acts."""
        return await self.codes(ctx) if callable(self.codes) else self.codes


@dataclass(frozen=True)
class Existing:
    """A row of the ledger that is there already, as the acting membership sees it.

    Args:
        object_id: its id.
        version: its version.
        values: its columns as checked values, to tell changes from repetitions.
        faults: column to why an import may not change it; the empty name: why it may change nothing.
    """

    object_id: UUID
    version: int
    values: Values
    faults: Mapping[str, Fault] = field(default_factory=dict)


@dataclass(frozen=True)
class Incoming:
    """A row to write.

    Args:
        number: of the sheet.
        values: checked values.
        object_id: the object to change; None: a new one.
        version: version of the object that the check compared with.
    """

    number: int
    values: Values
    object_id: UUID | None = None
    version: int | None = None


@dataclass(frozen=True)
class Written:
    """What became of a row.

    Args:
        number: of the sheet.
        object_id: the object that it became or changed.
        fault: why nothing was written; then there is no object.
    """

    number: int
    object_id: UUID | None = None
    fault: Fault | None = None


Faults = Mapping[int, Sequence[Fault]]
"""Number of a row to what is wrong with it; a fault's field begins with the column's name."""
Lookup = Callable[[WriteContext, Sequence[str]], Awaitable[Mapping[str, Existing]]]
Check = Callable[[WriteContext, Sequence[Incoming]], Awaitable[tuple[Mapping[int, Values], Faults]]]
Write = Callable[[WriteContext, Sequence[Incoming]], Awaitable[Sequence[Written]]]


@dataclass(frozen=True)
class Importing:
    """How rows come in.

    Args:
        kinds: kinds of tenants whose members may.
        capability: what the membership must allow.
        key: the column that identifies a row.
        lookup: keys to the rows that are there.
        check: checked cells to values as the use cases store them, or faults; writes nothing.
        write: writes one batch in the caller's transaction, one statement per table.
        changeable: columns that an update changes; the others are for new rows only.
    """

    kinds: frozenset[Kind]
    capability: str
    key: str
    lookup: Lookup
    check: Check
    write: Write
    changeable: frozenset[str]


@dataclass(frozen=True)
class Exporting:
    """How rows go out.

    Args:
        kinds: kinds of tenants whose members may.
        capability: what the membership must allow.
        source: returns the bound GraphQL type whose filter chooses the rows; imported late.
        values: column's name to attribute of the mapped class, where they differ.
    """

    kinds: frozenset[Kind]
    capability: str
    source: Callable[[], type[Any]]
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ledger:
    """A ledger.

    Args:
        name: stable word, ``enterprises``.
        zh: title in Chinese.
        en: title in English.
        prefix: of the global ids of its objects.
        columns: in the order of the sheet.
        importing: how rows come in; None: they do not.
        exporting: how rows go out; None: they do not.
    """

    name: str
    zh: str
    en: str
    prefix: str
    columns: tuple[Column, ...]
    importing: Importing | None = None
    exporting: Exporting | None = None

    def title(self, locale: str) -> str:
        """Return the title in a language."""
        return self.en if locale == "en" else self.zh

    @property
    def incoming(self) -> tuple[Column, ...]:
        """The columns of an import."""
        return tuple(column for column in self.columns if column.imported)

    @property
    def outgoing(self) -> tuple[Column, ...]:
        """The columns of an export."""
        return tuple(column for column in self.columns if column.exported)

    def may_import(self, acting: Acting) -> bool:
        """Say whether this membership may import."""
        way = self.importing
        return way is not None and acting.kind in way.kinds and way.capability in acting.capabilities

    def may_export(self, acting: Acting) -> bool:
        """Say whether this membership may export."""
        way = self.exporting
        return way is not None and acting.kind in way.kinds and way.capability in acting.capabilities

    def for_import(self, acting: Acting) -> Importing:
        """Return how rows come in.

        Raises:
            NotPermittedFault: not by this membership.
        """
        if self.importing is None or not self.may_import(acting):
            raise NotPermittedFault(f"{self.name}.import")
        return self.importing

    def for_export(self, acting: Acting) -> Exporting:
        """Return how rows go out.

        Raises:
            NotPermittedFault: not by this membership.
        """
        if self.exporting is None or not self.may_export(acting):
            raise NotPermittedFault(f"{self.name}.export")
        return self.exporting


LEDGERS: dict[str, Ledger] = {}
"""Every registered ledger by name."""


def register(*ledgers: Ledger) -> None:
    """Register ledgers; the same one again changes nothing.

    Raises:
        ValueError: another ledger has the name, or an import's key is no column.
    """
    for ledger in ledgers:
        if LEDGERS.setdefault(ledger.name, ledger) is not ledger:
            raise ValueError(f"ledger {ledger.name} is declared twice")
        if ledger.importing and ledger.importing.key not in {column.name for column in ledger.incoming}:
            raise ValueError(f"ledger {ledger.name}: its key {ledger.importing.key} is no column")


def ledger_named(name: str, *field: str) -> Ledger:
    """Return a ledger.

    Raises:
        Fault: ``LEDGER_UNKNOWN``.
    """
    found = LEDGERS.get(name)
    if found is None:
        raise Fault("LEDGER_UNKNOWN", field or ("ledger",), name=name, known=", ".join(sorted(LEDGERS)))
    return found
