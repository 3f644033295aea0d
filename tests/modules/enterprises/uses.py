"""One use case for each entry of the slice's transition tables."""

from collections.abc import Awaitable, Callable
from typing import Any

from app.kit.sheets.ledger import Incoming
from app.modules.enterprises import policies
from app.modules.enterprises.service import bulk, changes, file, people, registrations, sites
from tests.conftest import Clone
from tests.factories.enterprises import JIANGYIN, WUXI, Opened, form, new_code, office, open_enterprise, working
from tests.factories.members import calling
from tests.modules.used import Case, Prepared

Make = Callable[[Clone, Opened], Awaitable[Prepared]]
REASON = "变更"


async def _version(clone: Clone, opened: Opened) -> int:
    found: int = await clone.admin.fetchval("SELECT version FROM app.enterprise WHERE id = $1", opened.enterprise_id)
    return found


def _county(function: Any, *more: Any, **over: Any) -> Make:
    """The county decides on a registration that has just come in."""

    async def make(clone: Clone, opened: Opened) -> Prepared:
        filled = {name: getattr(opened, value) for name, value in over.items()}
        async with working(clone.db) as ctx:
            registration = await registrations.submit(ctx, form(**filled))
        return await office(clone.admin, JIANGYIN, "ACCEPTOR"), calling(function, registration, 1, *more)

    return make


async def _reveal(clone: Clone, opened: Opened) -> Prepared:
    """The county asks for the number of a registration that has just come in."""
    async with working(clone.db) as ctx:
        registration = await registrations.submit(ctx, form())
    county = await office(clone.admin, JIANGYIN, "ACCEPTOR")
    return county, calling(registrations.reveal_phone, registration, "核实")


def _on_file(who: str, function: Any, *more: Any) -> Make:
    """Somebody does something with the file."""

    async def make(clone: Clone, opened: Opened) -> Prepared:
        callers = {
            "firm": opened.manager,
            "county": await office(clone.admin, JIANGYIN, "ACCEPTOR"),
            "city": await office(clone.admin, WUXI, "LEADER"),
        }
        return callers[who], calling(function, opened.enterprise_id, await _version(clone, opened), *more)

    return make


async def _lock(ctx: Any, *given: Any) -> Any:
    return await file.lock_fields(ctx, *given, lock=["name"], unlock=[], reason=REASON)


def _on_change(who: str, function: Any, *, draft: bool) -> Make:
    """Somebody does something with a change set."""

    async def make(clone: Clone, opened: Opened) -> Prepared:
        sent = {"legal_representative": "钱明"}
        async with working(clone.db, opened.head) as ctx:
            made = await changes.submit(ctx, opened.enterprise_id, 1, sent, REASON, draft=draft)
        caller = opened.head if who == "firm" else await office(clone.admin, JIANGYIN, "ACCEPTOR")
        return caller, calling(function, made, 1 if draft else 2)

    return make


async def _accept(ctx: Any, *given: Any) -> Any:
    return await changes.review(ctx, *given, accept=True)


async def _return(ctx: Any, *given: Any) -> Any:
    return await changes.review(ctx, *given, accept=False, reason=REASON)


def _on_site(function: Any, more: Any) -> Make:
    async def make(clone: Clone, opened: Opened) -> Prepared:
        site = await clone.admin.fetchval("SELECT id FROM app.site WHERE enterprise_id = $1", opened.enterprise_id)
        return opened.manager, calling(function, site, 1, more)

    return make


def _on_person(function: Any, more: Any) -> Make:
    async def make(clone: Clone, opened: Opened) -> Prepared:
        async with working(clone.db, opened.head) as ctx:
            person = await people.add(ctx, people.NewPerson("赵明", "HEAD"))
        return opened.manager, calling(function, person, 1, more)

    return make


def _bring_in(source: str) -> Make:
    """The county's sheet opens a file, or mends one."""

    async def make(clone: Clone, opened: Opened) -> Prepared:
        county = await office(clone.admin, JIANGYIN, "ACCEPTOR")
        place = {"division_code": JIANGYIN, "address": "试验路 1 号", "longitude": None, "latitude": None}
        row = Incoming(2, {"credit_code": new_code(), "name": "江阴导入有限公司", **place})
        if source != "NEW":
            await clone.admin.execute("UPDATE app.enterprise SET status = $1", source)
            changes = {"legal_representative": "钱明"}
            row = Incoming(2, changes, opened.enterprise_id, await _version(clone, opened))
        return county, calling(_written, row)

    return make


async def _written(ctx: Any, row: Incoming) -> None:
    """Write one row; a fault of the row is the fault of the call."""
    done = await bulk.write(ctx, [row])
    if done[0].fault is not None:
        raise done[0].fault


def _case(table: str, state: str, action: str, capability: str, make: Make) -> Case:
    """Open an enterprise, bring it into the state, and prepare the use case."""

    async def prepare(clone: Clone) -> Prepared:
        opened = await open_enterprise(clone.db, clone.admin)
        column = {"STATUS": "status", "LIFECYCLE": "lifecycle"}.get(table)
        if column is not None:
            await clone.admin.execute(
                f"UPDATE app.enterprise SET {column} = $2 WHERE id = $1", opened.enterprise_id, state
            )
        return await make(clone, opened)

    return Case(f"enterprises.{table}", (state, action, capability), prepare)


_DECIDE, _EDIT, _SUBMIT, _VERIFY = "registration.decide", "enterprise.edit", "enterprise.submit", "enterprise.verify"
_CLAIM = _county(registrations.confirm_claim, credit_code="code")
_ALIVE = ("ACTIVE", "SUSPENDED")
CASES = (
    _case("REGISTRATION", "RECEIVED", "registration.approve", _DECIDE, _county(registrations.approve)),
    _case("REGISTRATION", "RECEIVED", "registration.refuse", _DECIDE, _county(registrations.refuse, REASON)),
    _case("REGISTRATION", "RECEIVED", "registration.confirmClaim", _DECIDE, _CLAIM),
    _case("REGISTRATION", "RECEIVED", "registration.revealPhone", _DECIDE, _reveal),
    *(_case("STATUS", state, "enterprise.claim", _DECIDE, _CLAIM) for state in ("UNVERIFIED", "CLAIMED", "VERIFIED")),
    *(_case("IMPORT", state, "enterprise.import", _DECIDE, _bring_in(state)) for state in ("NEW", "UNVERIFIED")),
    _case("STATUS", "CLAIMED", "enterprise.verify", _VERIFY, _on_file("county", file.verify)),
    *(
        case
        for state in _ALIVE
        for case in (
            _case("LIFECYCLE", state, "enterprise.edit", _EDIT, _on_file("firm", file.update_file, {"employees": 7})),
            _case("LIFECYCLE", state, "enterprise.confirm", _SUBMIT, _on_file("firm", file.confirm)),
            _case("LIFECYCLE", state, "enterprise.lockFields", "enterprise.lock", _on_file("city", _lock)),
            _case(
                "LIFECYCLE",
                state,
                "enterprise.close",
                _VERIFY,
                _on_file("county", file.set_lifecycle, policies.CLOSE, REASON),
            ),
        )
    ),
    _case(
        "LIFECYCLE",
        "ACTIVE",
        "enterprise.suspend",
        _SUBMIT,
        _on_file("firm", file.set_lifecycle, policies.SUSPEND, REASON),
    ),
    _case(
        "LIFECYCLE",
        "SUSPENDED",
        "enterprise.resume",
        _SUBMIT,
        _on_file("firm", file.set_lifecycle, policies.RESUME, REASON),
    ),
    _case("CHANGE", "DRAFT", "change.submit", _SUBMIT, _on_change("firm", changes.send, draft=True)),
    _case("CHANGE", "DRAFT", "change.withdraw", _SUBMIT, _on_change("firm", changes.withdraw, draft=True)),
    _case("CHANGE", "SUBMITTED", "change.withdraw", _SUBMIT, _on_change("firm", changes.withdraw, draft=False)),
    _case("CHANGE", "SUBMITTED", "change.accept", _VERIFY, _on_change("county", _accept, draft=False)),
    _case("CHANGE", "SUBMITTED", "change.return", _VERIFY, _on_change("county", _return, draft=False)),
    _case("SITE", "ACTIVE", "site.edit", _EDIT, _on_site(sites.edit, {"name": "一厂"})),
    _case("SITE", "ACTIVE", "site.close", _EDIT, _on_site(sites.close, REASON)),
    _case("PERSON", "ACTIVE", "person.edit", _EDIT, _on_person(people.edit, {"name": "赵光明"})),
    _case("PERSON", "ACTIVE", "person.void", _EDIT, _on_person(people.void, REASON)),
)
