"""One use case for each entry of the slice's transition table."""

from collections.abc import Awaitable, Callable
from typing import Any

from app.kit.ids import uuid7
from app.modules.members import service
from tests.conftest import Clone
from tests.factories.audit import acting_as
from tests.factories.members import calling, create_membership
from tests.modules.used import Case, Entry, Prepared
from tests.world import World, tenant_id

_CALLS: dict[str, tuple[Callable[..., Awaitable[Any]], tuple[Any, ...]]] = {
    "approve": (service.approve, ()),
    "refuse": (service.refuse, ("兼职",)),
    "end": (service.end, ("调离",)),
    "issue-slip": (service.issue_slip, ()),
    "suspend": (service.suspend, ("离岗",)),
    "resume": (service.resume, ()),
    "change-roles": (service.change_roles, (["LEADER"],)),
}


def _case(state: str, action: str, capability: str, who: str = "county_2", role: str = "ADMIN") -> Case:
    entry: Entry = (state, action, capability)

    async def prepare(clone: Clone, world: World) -> Prepared:
        caller = acting_as(world, who, role)
        if action == "propose":
            return caller, calling(service.propose, service.NewMember(tenant_id("D112"), "王安", ("OFFICER",)))
        tenant = str(world.actors[who].tenant)
        more_of: dict[str, Any] = {}
        if capability == "member.slip":  # the first user of an enterprise that the county has registered
            tenant = "E1114"
            await clone.admin.execute("DELETE FROM app.membership WHERE owner_key = $1", world.keys[tenant])
        if (action, capability) == ("issue-slip", "member.approve"):
            more_of = {"roles": ("AUDITOR",), "approved_by": caller.person_id}
        member = await create_membership(clone.admin, world, tenant, state=state, proposed_by=uuid7(), **more_of)
        function, more = _CALLS[action]
        return caller, calling(function, member, 1, *more)

    return Case("members.MEMBERSHIP", entry, prepare)


CASES = (
    _case("NEW", "propose", "member.propose"),
    _case("PROPOSED", "approve", "member.approve", role="SECURITY"),
    _case("PROPOSED", "refuse", "member.approve", role="SECURITY"),
    _case("PROPOSED", "end", "member.end"),
    _case("PENDING", "issue-slip", "member.propose"),
    _case("PENDING", "issue-slip", "member.approve", role="SECURITY"),
    _case("PENDING", "issue-slip", "member.slip", "county_1", "ACCEPTOR"),
    _case("PENDING", "end", "member.end"),
    _case("ACTIVE", "suspend", "member.decide"),
    _case("ACTIVE", "change-roles", "member.decide"),
    _case("ACTIVE", "end", "member.end"),
    _case("SUSPENDED", "resume", "member.decide"),
    _case("SUSPENDED", "end", "member.end"),
)
