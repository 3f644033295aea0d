"""Many files at once, as a county brings its ledger in by Excel: the same checks, one statement per table and batch.

A new row opens a tenant, its file (UNVERIFIED: nobody of the enterprise works with it yet), its main site and the
first entry of its history. A row that is there may be mended as long as it is UNVERIFIED; from then on the enterprise
keeps its own file, and changes go by review.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from app.kit.errors import ConflictFault, Fault, FaultGroup
from app.kit.events import emit_all
from app.kit.ids import uuid7
from app.kit.sheets.ledger import Existing, Faults, Incoming, Values, Written
from app.kit.sortkey import sort_key
from app.kit.transitions import step
from app.kit.uow import WriteContext
from app.modules.audit import public as audit
from app.modules.enterprises import errors, policies
from app.modules.enterprises.models import REVIEWED, Enterprise, EnterpriseChange, EnterprisePerson, Site
from app.modules.enterprises.service.changes import rename
from app.modules.enterprises.service.common import camel, clean, plain, snapshot, values_of
from app.modules.enterprises.service.computing import FIELDS, Surroundings, asked, duties, indicators, size_columns
from app.modules.enterprises.service.fields import check_fields
from app.modules.enterprises.service.file import refuse_locked
from app.modules.enterprises.service.placing import Place, check_point, find_place
from app.modules.standards import public as standards
from tenants.kinds import Kind

CHANGEABLE = frozenset(REVIEWED) - {"credit_code"}
"""What an import may mend of a file that is there; where it stands and whom to ask is for new files only."""
_OF_FILE = (*REVIEWED, "contact_name", "contact_phone")
_NAMES = {camel(name): name for name in (*_OF_FILE, "division_code", "address", "longitude", "latitude")}
_EMPTY = dict.fromkeys(FIELDS) | {"supervision_categories": []}
_TENANTS = text(
    "INSERT INTO app.tenant (id, kind, name, name_sort, credit_code, parent_id)"
    " SELECT r.id, 'ENTERPRISE', r.name, r.name_sort, r.credit_code, r.parent_id"
    " FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(id uuid, name text, name_sort text, credit_code text,"
    " parent_id uuid) ORDER BY r.credit_code ON CONFLICT DO NOTHING RETURNING id, key"
)
_FILES = text(
    "INSERT INTO app.enterprise (id, owner_key, credit_code, name, name_sort, legal_representative, industry_code,"
    " registered_address, division_code, contact_name, contact_phone)"
    " SELECT r.id, r.owner_key, r.credit_code, r.name, r.name_sort, r.legal_representative, r.industry_code,"
    " r.registered_address, r.division_code, r.contact_name, r.contact_phone"
    " FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(id uuid, owner_key int, credit_code text, name text,"
    " name_sort text, legal_representative text, industry_code text, registered_address text, division_code text,"
    " contact_name text, contact_phone text)"
)
_COMPUTED = text(
    "UPDATE app.enterprise e SET size_class = r.size_class, size_class_as_of = r.size_class_as_of,"
    " size_basis = r.size_basis, duties = r.duties, completeness = r.completeness"
    " FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r(id uuid, size_class text, size_class_as_of date,"
    " size_basis jsonb, duties jsonb, completeness int) WHERE e.id = r.id"
)


@dataclass
class Answers:
    """What was asked of the standards for one batch: five thousand rows name a few dozen industries and places."""

    ctx: WriteContext
    known: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    async def once(self, key: tuple[Any, ...], ask: Callable[[], Awaitable[Any]]) -> Any:
        """Return the answer for a key; a fault is an answer, too.

        Raises:
            Fault: what the first asking raised.
        """
        if key not in self.known:
            try:
                self.known[key] = await ask()
            except Fault as fault:
                self.known[key] = fault
        found = self.known[key]
        if isinstance(found, Fault):
            raise found
        return found

    async def place(self, code: str) -> Place:
        """Return a place of the acting county.

        Raises:
            Fault: ``DIVISION_…``; ``DIVISION_NOT_YOURS`` for another county's.
        """
        found: Place = await self.once(("place", code), lambda: find_place(self.ctx, code, "divisionCode"))
        if found.county_id != self.ctx.acting.tenant_id:
            raise Fault(errors.DIVISION_NOT_YOURS, ("divisionCode",), name=found.division.full_name)
        return found

    async def industry(self, given: Mapping[str, str]) -> dict[str, object]:
        """Return a checked industry code; ``given`` holds it, or nothing.

        Raises:
            FaultGroup: ``INDUSTRY_UNKNOWN``.
        """
        found: dict[str, object] = await self.once(("industry", *given.values()), lambda: check_fields(self.ctx, given))
        return found

    async def computed(self, file: Mapping[str, Any], around: Surroundings) -> dict[str, Any]:
        """Return size class, duties and completeness of a file, as :func:`file.computed` does."""
        session, today = self.ctx.session, self.ctx.today
        categories = list(file["supervision_categories"])
        numbers, size = indicators(file), None
        if file["industry_code"] is not None:
            key = ("size", file["industry_code"], *numbers.values())
            size = await self.once(key, lambda: standards.size_class_on(session, file["industry_code"], numbers, today))
        flags = await self.once(
            ("flags", *categories, file["employees"]),
            lambda: standards.flags_on(session, categories, file["employees"], today),
        )
        filled = asked(file, around)
        score = await self.once(
            ("score", *categories, *(filled[name] is None for name in filled)),
            lambda: standards.completeness_on(session, filled, categories, today),
        )
        return {**size_columns(size, today), "duties": duties(flags), "completeness": score.percent}


async def check(ctx: WriteContext, rows: Sequence[Incoming]) -> tuple[Mapping[int, Values], Faults]:
    """Check rows as the use cases do; writes nothing.

    Returns:
        Values as they are stored, by the row's number, and the faults of rows that have any.
    """
    policies.may(policies.IMPORT, policies.BRING_IN, ctx.acting)
    answers = Answers(ctx)
    values: dict[int, Values] = {}
    faults: dict[int, Sequence[Fault]] = {}
    for row in rows:
        checked, wrong = await _check(answers, row.values)
        if wrong:
            faults[row.number] = [_named(fault) for fault in wrong]
        else:
            values[row.number] = checked
    return values, faults


async def _check(answers: Answers, given: Values) -> tuple[dict[str, Any], list[Fault]]:
    ctx, wrong = answers.ctx, list[Fault]()
    sent = {name: given[name] for name in _OF_FILE if given.get(name) is not None}
    checked: dict[str, Any] = {}
    coded = {"industry_code": sent.pop("industry_code")} if "industry_code" in sent else {}
    for asked_for in (check_fields(ctx, sent), answers.industry(coded)):
        try:
            checked |= await asked_for
        except Fault as fault:
            wrong += fault.faults if isinstance(fault, FaultGroup) else (fault,)
    try:
        place = await answers.place(given["division_code"])
        checked["division_code"] = place.division.code
        checked["address"] = clean(given["address"], ("address",))
        for name in ("longitude", "latitude"):
            checked[name] = None if given.get(name) is None else float(given[name])
        check_point(checked["longitude"], checked["latitude"], place.division)
    except Fault as fault:
        wrong.append(fault)
    return checked, wrong


def _named(fault: Fault) -> Fault:
    """Name the column instead of the API's field."""
    return Fault(fault.code, tuple(_NAMES.get(part, part) for part in fault.field), **fault.params)


async def lookup(ctx: WriteContext, codes: Sequence[str]) -> Mapping[str, Existing]:
    """Return the files with these credit codes that the acting county sees."""
    found: dict[str, Existing] = {}
    for row in await ctx.session.scalars(select(Enterprise).where(Enterprise.credit_code.in_(codes))):
        faults: dict[str, Fault] = {}
        if row.status != "UNVERIFIED" or row.lifecycle == "CLOSED":
            faults[""] = Fault(errors.FILE_IN_USE, ("credit_code",), creditCode=row.credit_code)
        for name in row.locked_fields:
            try:
                refuse_locked(row, {name: None})
            except FaultGroup as fault:
                faults[name] = _named(fault.faults[0])
        found[row.credit_code] = Existing(row.id, row.version, plain(values_of(row, _OF_FILE)), faults)
    return found


async def write(ctx: WriteContext, rows: Sequence[Incoming]) -> list[Written]:
    """Write one batch: open new files, mend those that are there.

    Returns:
        The file of each row, or why nothing was written of it.
    """
    policies.may(policies.IMPORT, policies.BRING_IN, ctx.acting)
    answers = Answers(ctx)
    new = [row for row in rows if row.object_id is None]
    changed = [row for row in rows if row.object_id is not None]
    return [*await _open_all(answers, new), *await _mend_all(answers, changed)]


async def _open_all(answers: Answers, rows: Sequence[Incoming]) -> list[Written]:
    """Open files; when one of them is refused by the database, each for itself, so that only that one fails."""
    if not rows:
        return []
    step(policies.IMPORT, "NEW", policies.BRING_IN, answers.ctx.acting)
    try:
        async with answers.ctx.session.begin_nested():
            return await _open(answers, rows)
    except IntegrityError:
        if len(rows) == 1:
            return [Written(rows[0].number, fault=_taken(rows[0]))]
    return [one for row in rows for one in await _open_all(answers, [row])]


def _taken(row: Incoming) -> Fault:
    return Fault(errors.CREDIT_CODE_TAKEN, ("credit_code",), creditCode=row.values["credit_code"])


async def _open(answers: Answers, rows: Sequence[Incoming]) -> list[Written]:
    ctx = answers.ctx
    places = {row.number: await answers.place(row.values["division_code"]) for row in rows}
    made = [
        {
            **dict.fromkeys(_OF_FILE),
            **row.values,
            "id": str(uuid7()),
            "number": row.number,
            "name_sort": sort_key(row.values["name"]),
            "parent_id": str(places[row.number].authority_id),
            "division_code": places[row.number].division.code,
        }
        for row in rows
    ]
    opened = {row.id: row.key for row in await ctx.session.execute(_TENANTS, {"rows": _json(made)})}
    files = [{**one, "owner_key": opened[key]} for one in made if (key := UUID(one["id"])) in opened]
    if files:
        await ctx.session.execute(_FILES, {"rows": _json(files)})
        await _sites(ctx, files, places)
        await _history(ctx, files)
        computed = []
        for one in files:
            around = Surroundings(1, int(one["longitude"] is not None), frozenset())
            file = _EMPTY | {name: one[name] for name in (*_OF_FILE, "division_code")}
            computed.append({"id": one["id"], **await answers.computed(file, around)})
        await ctx.session.execute(_COMPUTED, {"rows": _json(computed)})
        objects = [(UUID(one["id"]), one["owner_key"]) for one in files]
        await audit.record_all(ctx, "enterprise.imported", "enterprise", objects)
        await emit_all(ctx.session, "enterprise.imported", objects)
    done = {one["number"]: UUID(one["id"]) for one in files}
    return [
        Written(row.number, done[row.number]) if row.number in done else Written(row.number, fault=_taken(row))
        for row in rows
    ]


async def _sites(ctx: WriteContext, files: Sequence[Mapping[str, Any]], places: Mapping[int, Place]) -> None:
    await ctx.session.execute(
        insert(Site.__table__),  # type: ignore[arg-type]
        [
            {
                "id": uuid7(),
                "owner_key": one["owner_key"],
                "enterprise_id": UUID(one["id"]),
                "enterprise_name": one["name"],
                "name": one["name"],
                "address": one["address"],
                "division_code": one["division_code"],
                "division_on": ctx.today,
                "place_id": places[one["number"]].authority_id,
                "longitude": one["longitude"],
                "latitude": one["latitude"],
                "position_warning_m": check_point(one["longitude"], one["latitude"], places[one["number"]].division),
                "is_main": True,
                "version": 1,
            }
            for one in files
        ],
    )


async def _history(ctx: WriteContext, files: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        _entry(ctx, (UUID(one["id"]), one["owner_key"]), "CREATE", {}, {k: one[k] for k in ("name", "credit_code")})
        for one in files
    ]
    await ctx.session.execute(insert(EnterpriseChange.__table__), rows)  # type: ignore[arg-type]


def _entry(
    ctx: WriteContext, file: tuple[UUID, int], kind: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "owner_key": file[1],
        "enterprise_id": file[0],
        "kind": kind,
        "state": "ACCEPTED",
        "before": plain(before),
        "after": plain(after),
        "made_on": ctx.today,
        "version": 1,
        **snapshot(ctx.acting),
    }


async def _mend_all(answers: Answers, rows: Sequence[Incoming]) -> list[Written]:
    """Change files that nobody works with; what changed since the check is left as it is."""
    if not rows:
        return []
    ctx = answers.ctx
    query = (
        select(Enterprise)
        .where(Enterprise.id.in_([row.object_id for row in rows]))
        .order_by(Enterprise.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    files = {row.id: row for row in await ctx.session.scalars(query)}
    around = await _around(ctx, list(files))
    written: list[Written] = []
    updates: list[dict[str, Any]] = []
    history: list[dict[str, Any]] = []
    for row in rows:
        file = files.get(row.object_id) if row.object_id else None
        try:
            change = _changes(ctx, row, file)
        except Fault as fault:
            single = fault.faults[0] if isinstance(fault, FaultGroup) else fault
            written.append(Written(row.number, fault=_named(single)))
            continue
        assert file is not None  # noqa: S101 - else _changes has raised
        more = await rename(ctx, file, change["name"]) if "name" in change else {}
        whole = {**values_of(file, FIELDS), **change}
        computed = await answers.computed(whole, around[file.id])
        updates.append(
            {"b_id": file.id, **values_of(file, _SET), **change, **more, **computed, "b_version": file.version + 1}
        )
        history.append(_entry(ctx, (file.id, file.owner_key), "EDIT", values_of(file, tuple(change)), change))
        written.append(Written(row.number, file.id))
    if updates:
        await ctx.session.execute(_UPDATE, [{**one, "b_now": ctx.now} for one in updates])
        await ctx.session.execute(insert(EnterpriseChange.__table__), history)  # type: ignore[arg-type]
        objects = [(one["b_id"], files[one["b_id"]].owner_key) for one in updates]
        await audit.record_all(ctx, "enterprise.changed", "enterprise", objects)
        await emit_all(ctx.session, "enterprise.changed", objects)
    return written


_RESULTS = ("size_class", "size_class_as_of", "size_basis", "duties", "completeness")
_SET = (*sorted(CHANGEABLE), "name_sort", "former_names", *_RESULTS)
_FILE = Enterprise.__table__
_UPDATE = (
    update(_FILE)  # type: ignore[arg-type]
    .where(_FILE.c.id == bindparam("b_id"))
    .values(
        {name: bindparam(name, type_=_FILE.c[name].type) for name in _SET}
        | {"version": bindparam("b_version"), "updated_at": bindparam("b_now")}
    )
)


def _changes(ctx: WriteContext, row: Incoming, file: Enterprise | None) -> dict[str, Any]:
    """Return what a row changes of a locked file.

    Raises:
        Fault: it is gone from sight, has changed since the check, is in use, or a field is locked.
    """
    if file is None:
        raise Fault("NOT_FOUND", ("credit_code",))
    if file.version != row.version:
        raise ConflictFault(file.version)
    if file.lifecycle == "CLOSED" or file.status != "UNVERIFIED":
        raise Fault(errors.FILE_IN_USE, ("credit_code",), creditCode=file.credit_code)
    step(policies.IMPORT, file.status, policies.BRING_IN, ctx.acting)
    change = {name: row.values[name] for name in CHANGEABLE if row.values.get(name) is not None}
    refuse_locked(file, change)
    return change


async def _around(ctx: WriteContext, ids: Sequence[UUID]) -> dict[UUID, Surroundings]:
    """Return sites and posts of many files in two statements."""
    sites: dict[UUID, list[bool]] = {one: [] for one in ids}
    roles: dict[UUID, set[str]] = {one: set() for one in ids}
    found = await ctx.session.execute(
        select(Site.enterprise_id, Site.longitude).where(Site.enterprise_id.in_(ids), Site.state == "ACTIVE")
    )
    for owner, longitude in found:
        sites[owner].append(longitude is not None)
    people = await ctx.session.execute(
        select(EnterprisePerson.enterprise_id, EnterprisePerson.role).where(
            EnterprisePerson.enterprise_id.in_(ids),
            EnterprisePerson.state == "ACTIVE",
            EnterprisePerson.left_on.is_(None) | (EnterprisePerson.left_on >= ctx.today),
        )
    )
    for owner, role in people:
        roles[owner].add(role)
    return {one: Surroundings(len(sites[one]), sum(sites[one]), frozenset(roles[one])) for one in ids}


async def places(ctx: WriteContext) -> list[tuple[str, str]]:
    """Return code and name of the acting county and its townships, for the list of the template."""
    if ctx.acting.kind is not Kind.COUNTY:
        return []
    rows = await ctx.session.execute(
        text(
            "SELECT a.division_code, coalesce((SELECT d.name FROM app.division d WHERE d.code = a.division_code"
            " AND (d.valid_from IS NULL OR d.valid_from <= :today) AND (d.valid_to IS NULL OR d.valid_to >= :today)"
            " LIMIT 1), a.name) AS name FROM app.agency a WHERE (a.id = :id OR a.parent_id = :id)"
            " AND a.status = 'ACTIVE' AND a.kind IN ('COUNTY', 'TOWNSHIP') AND a.division_code IS NOT NULL"
            " ORDER BY length(a.division_code), 1"
        ),
        {"id": ctx.acting.tenant_id, "today": ctx.today},
    )
    return [(row.division_code, row.name) for row in rows]


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(rows, ensure_ascii=False, default=str)
