"""From a citizen's form to a working tenant, refusals and claims (US-04, decision 41)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Select, func, select, text

from app.kit.errors import CONFLICT, NOT_FOUND, Fault, FaultGroup, NotPermittedFault
from app.kit.texts import TEXT_CONTROL
from app.modules.enterprises import errors, policies
from app.modules.enterprises.models import Registration
from app.modules.enterprises.service import registrations
from app.modules.members.public import hash_code, tenant_id
from infra.clock import real_now
from tests.conftest import Clone
from tests.factories.enterprises import (
    CHENGJIANG,
    JIANGYIN,
    JIANGYIN_PARK,
    TODAY,
    YIXING,
    form,
    new_code,
    office,
    open_enterprise,
    stored,
    working,
)


def counted(row_id: UUID) -> Select[int]:
    return select(func.count()).where(Registration.id == row_id)


async def submitted(clone: Clone, **over: object) -> Mapping[str, Any]:
    """The row of a fresh registration."""
    return await stored(clone.admin, "registration", await received(clone, **over))


async def received(clone: Clone, **over: object) -> UUID:
    """The id of a fresh registration; the superuser's one connection is not asked, so many may go at once."""
    async with working(clone.db) as ctx:
        return await registrations.submit(ctx, form(**over))


def codes_of(caught: pytest.ExceptionInfo[Fault]) -> list[tuple[str, str]]:
    faults = caught.value.faults if isinstance(caught.value, FaultGroup) else (caught.value,)
    return [(fault.code, ".".join(fault.field)) for fault in faults]


async def test_a_registration_waits_for_the_county_that_was_named(tree_db: Clone) -> None:
    row = await submitted(tree_db)
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    assert (row["kind"], row["state"], row["owner_key"]) == ("NEW", "RECEIVED", county.tenant_key)
    assert row["enterprise_key"] is None
    assert row["phone_masked"] == "138****5678"
    async with tree_db.db.read(county.login, county.claims(TODAY)) as session:
        found = await session.scalar(counted(row["id"]))
    assert found == 1


async def test_the_neighbour_and_the_city_see_no_registration(tree_db: Clone) -> None:
    row = await submitted(tree_db)
    neighbour = await office(tree_db.admin, YIXING, "ACCEPTOR")
    async with tree_db.db.read(neighbour.login, neighbour.claims(TODAY)) as session:
        assert await session.scalar(counted(row["id"])) == 0


async def test_a_form_shows_all_its_faults_at_once(tree_db: Clone) -> None:
    with pytest.raises(FaultGroup) as caught:
        await submitted(
            tree_db,
            credit_code="91440606707539051R",
            name="",
            contact_phone="12345",
            division_code="320299",
            industry_code="9999",
        )
    assert codes_of(caught) == [
        ("USCC_CHECK_LIKELY", "creditCode"),
        ("REQUIRED", "name"),
        (errors.PHONE_INVALID, "contactPhone"),
        (errors.DIVISION_UNKNOWN, "divisionCode"),
        (errors.INDUSTRY_UNKNOWN, "industryCode"),
    ]
    assert "18" in caught.value.faults[0].message("zh-CN")


@pytest.mark.parametrize(
    ("over", "code", "field"),
    [
        ({"division_code": "3202"}, errors.DIVISION_TOO_WIDE, "divisionCode"),
        ({"longitude": 31.9, "latitude": 120.28}, errors.COORDINATE_SWAPPED, "latitude"),
        ({"latitude": None}, errors.COORDINATE_HALF, "latitude"),
        ({"longitude": 200.0}, errors.COORDINATE_INVALID, "longitude"),
        ({"park_id": tenant_id(JIANGYIN)}, errors.PARK_UNKNOWN, "park"),
        ({"address": "x" * 501}, "TOO_LONG", "address"),
        ({"name": "甲\x00乙"}, TEXT_CONTROL, "name"),
        ({"name": "江阴\u202e司公限有工化"}, TEXT_CONTROL, "name"),
        ({"contact_name": "\ufeff"}, TEXT_CONTROL, "contactName"),
    ],
)
async def test_a_wrong_field_is_named(tree_db: Clone, over: dict[str, object], code: str, field: str) -> None:
    with pytest.raises(FaultGroup) as caught:
        await submitted(tree_db, **over)
    assert codes_of(caught) == [(code, field)]


async def test_a_known_code_goes_to_its_county_whatever_was_named(tree_db: Clone) -> None:
    opened = await open_enterprise(tree_db.db, tree_db.admin)
    row = await submitted(tree_db, credit_code=opened.code, division_code=YIXING, longitude=None, latitude=None)
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    assert (row["kind"], row["owner_key"], row["enterprise_id"]) == ("CLAIM", county.tenant_key, opened.enterprise_id)


async def test_an_open_request_makes_the_next_one_of_its_county_a_claim(tree_db: Clone) -> None:
    first = await submitted(tree_db)
    second = await submitted(tree_db, credit_code=first["credit_code"])
    assert (second["kind"], second["owner_key"], second["enterprise_id"]) == ("CLAIM", first["owner_key"], None)


async def test_a_request_elsewhere_draws_nobody_there_until_it_is_approved(tree_db: Clone) -> None:
    """Else a stranger's request for another's code would get the other's name and number."""
    strangers = await submitted(tree_db, division_code=YIXING, longitude=None, latitude=None)
    own = await submitted(tree_db, credit_code=strangers["credit_code"])
    county, other = [await office(tree_db.admin, ref, "ACCEPTOR") for ref in (JIANGYIN, YIXING)]
    assert (own["kind"], own["owner_key"]) == ("NEW", county.tenant_key)
    assert strangers["owner_key"] == other.tenant_key

    async with working(tree_db.db, county) as ctx:
        opened = await registrations.approve(ctx, own["id"], 1)
    moved = await stored(tree_db.admin, "registration", strangers["id"])
    assert (moved["kind"], moved["owner_key"], moved["county_key"], moved["state"], moved["enterprise_id"]) == (
        "CLAIM", county.tenant_key, county.tenant_key, "RECEIVED", opened.enterprise_id,
    )  # fmt: skip
    assert moved["city_key"] == own["city_key"]
    assert moved["enterprise_key"] is None
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, county) as ctx:
            await registrations.approve(ctx, strangers["id"], moved["version"])
    assert codes_of(caught) == [(errors.REGISTRATION_CODE_KNOWN, "id")]


async def test_only_the_county_of_the_enterprise_gathers_requests(tree_db: Clone) -> None:
    opened = await open_enterprise(tree_db.db, tree_db.admin)
    other = await office(tree_db.admin, YIXING, "ACCEPTOR")
    async with working(tree_db.db, other) as ctx:
        moved = await ctx.session.scalars(text("SELECT app.registration_gather(:code)"), {"code": opened.code})
    assert moved.all() == []


async def test_of_requests_at_once_one_is_new(tree_db: Clone) -> None:
    code = new_code()
    made = await asyncio.gather(*(received(tree_db, credit_code=code) for _ in range(4)))
    rows = [await stored(tree_db.admin, "registration", one) for one in made]
    assert sorted(row["kind"] for row in rows) == ["CLAIM", "CLAIM", "CLAIM", "NEW"]


async def test_approval_opens_a_working_tenant(tree_db: Clone) -> None:
    opened = await open_enterprise(tree_db.db, tree_db.admin, division_code=CHENGJIANG)
    admin = tree_db.admin
    tenant = await stored(admin, "tenant", opened.enterprise_id)
    township = await office(admin, CHENGJIANG, "OFFICER")
    assert tenant["kind"] == "ENTERPRISE"
    assert (tenant["enterprise_key"], tenant["township_key"]) == (tenant["key"], township.tenant_key)
    enterprise = await stored(admin, "enterprise", opened.enterprise_id)
    assert (enterprise["status"], enterprise["owner_key"], enterprise["version"]) == ("CLAIMED", tenant["key"], 1)
    assert enterprise["completeness"] > 0
    assert enterprise["contact_phone"] == "138****5678"
    site = await admin.fetchrow("SELECT * FROM app.site WHERE enterprise_id = $1", opened.enterprise_id)
    assert (site["is_main"], site["township_key"], site["position_warning_m"]) == (True, township.tenant_key, None)
    registration = await stored(admin, "registration", opened.registration_id)
    assert (registration["state"], registration["enterprise_id"]) == ("APPROVED", opened.enterprise_id)
    history = await admin.fetch("SELECT kind FROM app.enterprise_change WHERE enterprise_id = $1", opened.enterprise_id)
    assert [row["kind"] for row in history] == ["CREATE"]
    events = await admin.fetch("SELECT type FROM app.event WHERE object_id = $1", opened.enterprise_id)
    assert [row["type"] for row in events] == ["enterprise.approved"]


async def test_the_first_user_waits_for_the_slip_of_which_only_a_digest_is_kept(tree_db: Clone) -> None:
    opened = await open_enterprise(tree_db.db, tree_db.admin)
    key = opened.head.tenant_key
    row = await tree_db.admin.fetchrow("SELECT * FROM app.membership WHERE owner_key = $1", key)
    assert (row["state"], sorted(row["roles"]), row["person_id"]) == ("PENDING", ["ADMIN", "HEAD"], None)
    assert row["slip_hash"] == hash_code(opened.slip)
    assert opened.slip not in str(dict(row))
    assert timedelta(days=6) < row["slip_expires_at"] - real_now() <= timedelta(days=7)


async def test_a_park_that_is_named_holds_the_enterprise(tree_db: Clone) -> None:
    park = await office(tree_db.admin, JIANGYIN_PARK, "OFFICER")
    opened = await open_enterprise(tree_db.db, tree_db.admin, park_id=park.tenant_id)
    enterprise = await stored(tree_db.admin, "enterprise", opened.enterprise_id)
    assert enterprise["park_key"] == park.tenant_key
    assert (
        await tree_db.admin.fetchval("SELECT park_key FROM app.site WHERE enterprise_id = $1", opened.enterprise_id)
        == park.tenant_key
    )


async def test_two_clerks_approve_once(tree_db: Clone) -> None:
    row = await submitted(tree_db)
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")

    async def approve() -> str:
        try:
            async with working(tree_db.db, county) as ctx:
                await registrations.approve(ctx, row["id"], 1)
        except Fault as fault:
            return fault.code
        return "done"

    assert sorted(await asyncio.gather(approve(), approve())) == [CONFLICT, "done"]
    count = await tree_db.admin.fetchval("SELECT count(*) FROM app.tenant WHERE credit_code = $1", row["credit_code"])
    assert count == 1


async def test_a_claim_is_not_approved_as_a_second_tenant(tree_db: Clone) -> None:
    opened = await open_enterprise(tree_db.db, tree_db.admin)
    claim = await submitted(tree_db, credit_code=opened.code)
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, county) as ctx:
            await registrations.approve(ctx, claim["id"], 1)
    assert codes_of(caught) == [(errors.REGISTRATION_CODE_KNOWN, "id")]
    async with working(tree_db.db, county) as ctx:
        done = await registrations.confirm_claim(ctx, claim["id"], 1)
    assert done.enterprise_id == opened.enterprise_id
    slips = await tree_db.admin.fetch(
        "SELECT slip_hash FROM app.membership WHERE owner_key = $1", opened.head.tenant_key
    )
    assert {row["slip_hash"] for row in slips} == {hash_code(opened.slip), hash_code(done.slip.code)}
    assert (await stored(tree_db.admin, "registration", claim["id"]))["state"] == "CLAIM_CONFIRMED"


async def test_a_claim_on_nothing_can_be_approved_as_new(tree_db: Clone) -> None:
    first = await submitted(tree_db)
    second = await submitted(tree_db, credit_code=first["credit_code"])
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    async with working(tree_db.db, county) as ctx:
        await registrations.refuse(ctx, first["id"], 1, "执照不清")
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, county) as ctx:
            await registrations.confirm_claim(ctx, second["id"], 1)
    assert codes_of(caught) == [(errors.REGISTRATION_NO_ENTERPRISE, "id")]
    async with working(tree_db.db, county) as ctx:
        await registrations.approve(ctx, second["id"], 1)
    row = await stored(tree_db.admin, "registration", second["id"])
    assert (row["state"], row["kind"]) == ("APPROVED", "NEW")


async def test_a_refusal_needs_its_reason_and_is_final(tree_db: Clone) -> None:
    row = await submitted(tree_db)
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, county) as ctx:
            await registrations.refuse(ctx, row["id"], 1, "  ")
    assert codes_of(caught) == [("REQUIRED", "reason")]
    async with working(tree_db.db, county) as ctx:
        await registrations.refuse(ctx, row["id"], 1, "执照不清")
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, county) as ctx:
            await registrations.approve(ctx, row["id"], 2)
    assert codes_of(caught) == [("WRONG_STATE", "")]


async def test_another_county_finds_nothing_to_decide(tree_db: Clone) -> None:
    row = await submitted(tree_db)
    neighbour = await office(tree_db.admin, YIXING, "ACCEPTOR")
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, neighbour) as ctx:
            await registrations.approve(ctx, row["id"], 1)
    assert codes_of(caught) == [(NOT_FOUND, "id")]


@pytest.mark.parametrize("use_case", [registrations.approve, registrations.confirm_claim])
async def test_only_the_accepting_post_decides(tree_db: Clone, use_case: Callable[..., Awaitable[Any]]) -> None:
    row = await submitted(tree_db)
    for ref, role in ((JIANGYIN, "OFFICER"), ("3202", "LEADER")):
        other = await office(tree_db.admin, ref, role)
        with pytest.raises(NotPermittedFault):
            async with working(tree_db.db, other) as ctx:
                await use_case(ctx, row["id"], 1)
    assert (await stored(tree_db.admin, "registration", row["id"]))["state"] == "RECEIVED"


async def entries_of(clone: Clone, object_id: UUID) -> list[Mapping[str, Any]]:
    return [
        dict(row)
        for row in await clone.admin.fetch("SELECT * FROM app.audit_entry WHERE object_id = $1 ORDER BY seq", object_id)
    ]


async def test_the_number_is_revealed_to_who_decides_and_the_audit_log_says_to_whom_and_why(tree_db: Clone) -> None:
    row = await submitted(tree_db)
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    async with working(tree_db.db, county) as ctx:
        assert await registrations.reveal_phone(ctx, row["id"], " 核对执照 ") == "13812345678"
    assert await stored(tree_db.admin, "registration", row["id"]) == row
    (entry,) = await entries_of(tree_db, row["id"])
    assert (entry["action"], entry["object_type"], entry["outcome"]) == (
        "registration.revealPhone", "registration", "ALLOWED",
    )  # fmt: skip
    assert (entry["owner_key"], entry["person_id"], entry["actor_name"], entry["actor_agency"]) == (
        county.tenant_key, county.person_id, county.actor_name, county.tenant_name,
    )  # fmt: skip
    assert "核对执照" in entry["details"]
    assert "13812345678" not in str(entry)


async def test_a_number_that_is_written_into_the_reason_stays_out_of_the_log(tree_db: Clone) -> None:
    row = await submitted(tree_db)
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    async with working(tree_db.db, county) as ctx:
        await registrations.reveal_phone(ctx, row["id"], "再次拨打 13812345678")
    (entry,) = await entries_of(tree_db, row["id"])
    assert "138****5678" in entry["details"]
    assert "13812345678" not in str(entry)


@pytest.mark.parametrize(
    ("reason", "code"), [("", "REQUIRED"), (" \t", "REQUIRED"), ("核", "TOO_SHORT"), ("核" * 201, "TOO_LONG")]
)
async def test_the_number_is_not_revealed_without_a_reason(tree_db: Clone, reason: str, code: str) -> None:
    row = await submitted(tree_db)
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    with pytest.raises(Fault) as caught:
        async with working(tree_db.db, county) as ctx:
            await registrations.reveal_phone(ctx, row["id"], reason)
    assert codes_of(caught) == [(code, "reason")]
    assert await entries_of(tree_db, row["id"]) == []


@pytest.mark.parametrize("reason", ["核对", "核" * 200])
async def test_the_shortest_and_the_longest_reason(tree_db: Clone, reason: str) -> None:
    row = await submitted(tree_db)
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    async with working(tree_db.db, county) as ctx:
        assert await registrations.reveal_phone(ctx, row["id"], reason) == "13812345678"


async def test_nobody_else_and_nothing_decided_is_revealed(tree_db: Clone) -> None:
    row = await submitted(tree_db)

    async def refused(ref: str, *roles: str) -> list[tuple[str, str]]:
        caller = await office(tree_db.admin, ref, *roles)
        with pytest.raises(Fault) as caught:
            async with working(tree_db.db, caller) as ctx:
                await registrations.reveal_phone(ctx, row["id"], "核对执照")
        return codes_of(caught)

    assert await refused(JIANGYIN, "OFFICER") == [("NOT_PERMITTED", "")]
    assert await refused("3202", "LEADER") == [("NOT_PERMITTED", "")]
    assert await refused(YIXING, "ACCEPTOR") == [(NOT_FOUND, "id")]
    county = await office(tree_db.admin, JIANGYIN, "ACCEPTOR")
    async with working(tree_db.db, county) as ctx:
        await registrations.refuse(ctx, row["id"], 1, "执照不清")
    assert await refused(JIANGYIN, "ACCEPTOR") == [("WRONG_STATE", "")]


async def test_the_public_writes_only_through_the_function(tree_db: Clone) -> None:
    async with tree_db.db.connect("public") as connection:
        for statement in (
            "SELECT 1 FROM app.registration",
            "INSERT INTO app.registration (id) VALUES (gen_random_uuid())",
            "SELECT 1 FROM app.enterprise",
        ):
            with pytest.raises(Exception, match="permission denied"):
                await connection.execute(statement)


def test_every_decision_has_an_entry() -> None:
    assert {entry.action for entry in policies.REGISTRATION} == {
        policies.APPROVE,
        policies.REFUSE,
        policies.CONFIRM_CLAIM,
        policies.REVEAL_PHONE,
    }
