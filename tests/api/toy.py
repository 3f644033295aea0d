"""A toy schema on toy tables with row-level security: firms, places, notes, licences.

Its mapped classes have a base of their own, so that they are no part of the product's metadata.
"""

import enum
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import strawberry
from sqlalchemy import (
    ARRAY,
    TIMESTAMP,
    BigInteger,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    MetaData,
    Numeric,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from strawberry.scalars import JSON

from app.kit import gql
from app.kit.errors import ConflictFault, Fault, FaultGroup, NotFoundFault, NotPermittedFault
from app.kit.ids import parse_global_id, uuid7


class ToyBase(DeclarativeBase):
    """Base of the toy's tables."""

    type_annotation_map = {datetime: TIMESTAMP(timezone=True), str: Text()}  # noqa: RUF012
    metadata = MetaData(schema="toy")


class FirmRow(ToyBase):
    __tablename__ = "firm"
    __table_args__ = (
        UniqueConstraint("owner_key", "id"),
        Index("ix_firm_county_name", "county_key", "name"),
        Index("ix_firm_founded", "founded"),
        Index("ix_firm_staff", "staff"),
        Index("ix_firm_opened", "opened_at"),
        Index("ix_firm_score", "score"),
        Index("ix_firm_parent", "parent_id"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)
    owner_key: Mapped[int]
    county_key: Mapped[int]
    enterprise_key: Mapped[int]
    name: Mapped[str]
    state: Mapped[str]
    founded: Mapped[date | None]
    opened_at: Mapped[datetime]
    staff: Mapped[int | None]
    big: Mapped[int | None] = mapped_column(BigInteger)
    score: Mapped[Decimal | None] = mapped_column(Numeric)
    ratio: Mapped[float | None] = mapped_column(Float(53))
    active: Mapped[bool | None]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    extra: Mapped[Any | None] = mapped_column(JSONB)
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("toy.firm.id"))
    version: Mapped[int] = mapped_column(default=1)


class PlaceRow(ToyBase):
    __tablename__ = "place"
    __table_args__ = (
        ForeignKeyConstraint(["owner_key", "firm_id"], ["toy.firm.owner_key", "toy.firm.id"]),
        Index("ix_place_firm", "owner_key", "firm_id"),
        Index("ix_place_area", "area"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)
    owner_key: Mapped[int]
    county_key: Mapped[int]
    enterprise_key: Mapped[int]
    firm_id: Mapped[UUID]
    title: Mapped[str]
    area: Mapped[int | None]


class NoteRow(ToyBase):
    __tablename__ = "note"
    __table_args__ = (Index("ix_note_place", "place_id"), UniqueConstraint("code"))
    id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str]
    place_id: Mapped[UUID] = mapped_column(ForeignKey("toy.place.id"))
    county_key: Mapped[int]
    enterprise_key: Mapped[int]
    body: Mapped[str | None]


class LicenceRow(ToyBase):
    __tablename__ = "licence"
    __table_args__ = (UniqueConstraint("firm_id"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    firm_id: Mapped[UUID] = mapped_column(ForeignKey("toy.firm.id"))
    county_key: Mapped[int]
    number: Mapped[str]


@strawberry.enum(description="State of a firm.")
class State(enum.Enum):
    OPEN = "OPEN"
    CLOSED = "CLOSED"
    DRAFT = "DRAFT"


@gql.bound(FirmRow, prefix="firm", description="A firm.")
class Firm(gql.Node):
    name: str = gql.column("Name.", filterable=True, sortable=True)
    state: State = gql.column("State.", filterable=True, groupable=True)
    founded: date | None = gql.column("Founded.", filterable=True, sortable=True, groupable=True)
    opened: datetime = gql.column("Opened.", attr="opened_at", filterable=True, sortable=True)
    staff: int | None = gql.column("Staff.", filterable=True, sortable=True, groupable=True)
    big: gql.BigInt | None = gql.column("Big.", filterable=True)
    score: Decimal | None = gql.column("Score.", sortable=True)
    ratio: float | None = gql.column("Ratio.")
    active: bool | None = gql.column("Active.", filterable=True, groupable=True)
    tags: list[str] = gql.column("Tags.")
    extra: JSON | None = gql.column("Extra.")
    big_staff: bool | None = gql.expr("More than 50 people.", "{t}.staff > 50", sql_type="boolean")
    name_length: int = gql.expr("Characters of the name.", "length({t}.name)", sql_type="integer")
    parent: "Firm | None" = gql.one(FirmRow.parent_id, "Parent.", filterable=True, groupable=True)
    children: gql.Connection["Firm"] = gql.connection(FirmRow.parent_id, "Children.")
    places: gql.Connection[Annotated["Place", strawberry.lazy("tests.api.toy")]] = gql.connection(
        PlaceRow.firm_id, "Places."
    )
    licence: Annotated["Licence", strawberry.lazy("tests.api.toy")] | None = gql.one(LicenceRow.firm_id, "Licence.")
    version: int = gql.column("Version.")

    @gql.computed("Name, shouted.", needs=("name",))
    def shout(self) -> str:
        return self.name.upper() + "!"


@gql.bound(PlaceRow, prefix="place", description="A place.")
class Place(gql.Node):
    title: str = gql.column("Title.", filterable=True)
    area: int | None = gql.column("Area.", filterable=True, sortable=True)
    firm: Firm | None = gql.one(PlaceRow.firm_id, "Firm.", filterable=True)
    notes: list[Annotated["Note", strawberry.lazy("tests.api.toy")]] = gql.rows(
        NoteRow.place_id, "Notes.", limit=3, where="{t}.body IS DISTINCT FROM 'hidden'"
    )


@gql.bound(NoteRow, prefix="note", description="A note.", order="code")
class Note(gql.Node):
    code: str = gql.column("Code.")
    body: str | None = gql.column("Body.", filterable=True)


@gql.bound(LicenceRow, prefix="licence", description="A licence.")
class Licence(gql.Node):
    number: str = gql.column("Number.")
    firm: Firm | None = gql.one(LicenceRow.firm_id, "Firm.")


@strawberry.type(description="Reads of the toy.")
class ToyQuery:
    firms: gql.Connection[Firm] = gql.listing("Firms.")
    open_firms: gql.Connection[Firm] = gql.listing("Open firms.", where="{t}.state = 'OPEN'")
    firm: Firm | None = gql.by_id("A firm.")
    firm_counts: list[gql.GroupCount] = gql.counts(Firm, "Firms by value.")
    notes: gql.Connection[Note] = gql.listing("Notes.")

    @strawberry.field(description="A Python resolver.")
    async def hello(self, name: Annotated[str, strawberry.argument(description="Who.")]) -> str:
        return f"hello {name}"

    @strawberry.field(description="A resolver with a defect.")
    async def broken(self) -> str | None:
        raise RuntimeError("secret detail")


@strawberry.type(description="Outcome of `firmRename`.")
class FirmRenamePayload(gql.Payload):
    firm: Firm | None = gql.result("The firm.")


@strawberry.input(description="A new name.")
class FirmRenameInput:
    id: strawberry.ID = strawberry.field(description="The firm.")
    name: str = strawberry.field(description="Name.")
    expected_version: int = strawberry.field(description="Version that you saw.")
    client_mutation_id: str | None = strawberry.field(default=None, description="Id of this attempt.")


@strawberry.input(description="A new firm.")
class FirmAddInput:
    name: str = strawberry.field(description="Name.")
    fail: str | None = strawberry.field(default=None, description="How to fail.")
    client_mutation_id: str | None = strawberry.field(default=None, description="Id of this attempt.")


async def _rename(ctx: Any, given: Any) -> UUID:
    found = parse_global_id(given.id, "firm")
    row = await ctx.session.get(FirmRow, found[1]) if found else None
    if row is None:
        raise NotFoundFault("id")
    if row.version != given.expected_version:
        raise ConflictFault(row.version)
    row.name, row.version = given.name, row.version + 1
    return UUID(str(row.id))


async def _add(ctx: Any, given: Any) -> UUID:
    acting = ctx.acting
    row = FirmRow(
        id=uuid7(), owner_key=acting.tenant_key, county_key=acting.tenant_key, enterprise_key=0, name=given.name,
        state="OPEN", opened_at=ctx.now, tags=[], version=1,
    )  # fmt: skip
    ctx.session.add(row)
    await ctx.session.flush()
    match given.fail:
        case "fault":
            raise Fault("INVALID", ("name",), reason="x")
        case "group":
            raise FaultGroup([Fault("INVALID", ("name",), reason="x"), Fault("INVALID", ("fail",), reason="y")])
        case "permission":
            raise NotPermittedFault("firm.add")
        case "bug":
            raise RuntimeError("secret detail")
    return UUID(str(row.id))


@strawberry.type(description="Changes of the toy.")
class ToyMutation:
    @gql.mutation(payload=FirmRenamePayload, returns="firm", description="Rename a firm.")
    async def firm_rename(ctx: Any, input: FirmRenameInput) -> UUID:  # noqa: A002, N805
        return await _rename(ctx, input)

    @gql.mutation(payload=FirmRenamePayload, returns="firm", description="Add a firm.")
    async def firm_add(ctx: Any, input: FirmAddInput) -> UUID:  # noqa: A002, N805
        return await _add(ctx, input)

    @gql.mutation(payload=FirmRenamePayload, description="Say something, signed in or not.", anonymous=True)
    async def say(ctx: Any, input: FirmAddInput) -> UUID | None:  # noqa: A002, N805
        return uuid7()


LOGINS = ("county", "enterprise", "public")


def statements() -> list[str]:
    """Policies and grants of the toy's tables."""
    made: list[str] = []
    claim = "(select nullif(current_setting('app.key',true),'')::int)"
    for table, columns in {
        "firm": ("county", "enterprise"),
        "place": ("county", "enterprise"),
        "note": ("county", "enterprise"),
        "licence": ("county",),
    }.items():
        made.append(f"ALTER TABLE toy.{table} ENABLE ROW LEVEL SECURITY")
        made.extend(f"GRANT SELECT ON toy.{table} TO anlan_{login}" for login in LOGINS)
        for login in columns:
            made.append(f"GRANT INSERT, UPDATE ON toy.{table} TO anlan_{login}")
            made.append(f"CREATE POLICY {login} ON toy.{table} TO anlan_{login} USING ({login}_key = {claim})")
    made += [f"GRANT USAGE ON SCHEMA toy TO anlan_{login}" for login in LOGINS]
    return made
