"""Compares roles and delegated administration with what is typed, for the tests and their mutation run."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from uuid import UUID

from tenants import roles
from tenants.delegation import Node, Reason, may_approve, may_propose
from tenants.kinds import Kind
from tests.tenants.expected_roles import ABOVE, APART, BELOW, CAPABILITIES, GRANTS, ROLES, TWO_PERSONS

KINDS = tuple(ROLES)
LEVELS = ("PROVINCE", "CITY", "COUNTY", "TOWNSHIP", "PARK", "ENTERPRISE")
_HOME, _OTHER = 5, 7
_ME, _OTHER_PERSON, _THIRD = (UUID(int=number) for number in (1, 2, 3))


@dataclass(frozen=True)
class Who:
    """Somebody in a tenant with the key 5."""

    kind: Kind
    roles: frozenset[str]
    capabilities: frozenset[str]
    person_id: UUID = _ME
    tenant_key: int = _HOME


def who(kind: str, role: str) -> Who:
    """Return somebody with one role, and what is typed for it."""
    return Who(Kind(kind), frozenset({role}), ROLES[kind].get(role, frozenset()))


def node(kind: str, actor: str, *, below: bool) -> Node:
    """Return a tenant below, or not below, one of the kind ``actor`` with the key 5."""
    keys: dict[str, int | None] = {level.lower(): None for level in LEVELS}
    if kind in LEVELS:
        keys[kind.lower()] = _OTHER
    if actor in LEVELS and actor != kind:
        keys[actor.lower()] = _HOME if below else 6
    return Node(Kind(kind), _OTHER, keys)


def own(kind: str) -> Node:
    """Return the tenant with the key 5 itself."""
    return Node(Kind(kind), _HOME, {kind.lower(): _HOME} if kind in LEVELS else {})


def role_differences() -> Iterator[str]:
    """Yield what a role may do otherwise than typed."""
    for kind in KINDS:
        there = set(roles.ROLES.get(Kind(kind), ()))
        for role in sorted({*there, *ROLES[kind]}):
            right = ROLES[kind].get(role)
            if right is None or role not in there:
                yield f"{kind} {role}: typed {right}"
                continue
            found = roles.capabilities(Kind(kind), [role])
            if found != right:
                yield f"{kind} {role}: {sorted(found ^ right)}"
        nobody = roles.capabilities(Kind(kind), ["NO_SUCH"])
        if nobody:
            yield f"{kind}: an unknown role may {nobody}"


def delegation_differences() -> Iterator[str]:
    """Yield what delegated administration decides otherwise than typed."""
    yield from _who_grants_what()
    yield from _where()
    yield from _four_eyes()


def reach(kind: str) -> Iterator[tuple[str, Node]]:
    """Yield the tenant itself and one of each kind below it."""
    yield kind, own(kind)
    for below in BELOW.get(kind, "").split():
        yield below, node(below, kind, below=True)


def _who_grants_what() -> Iterator[str]:
    for kind in KINDS:
        for target, place in reach(kind):
            for role, wanted in product(ROLES[kind], ROLES[target]):
                decision = may_propose(who(kind, role), place, [wanted])
                right = (role in GRANTS, role in GRANTS and wanted in TWO_PERSONS)
                if (decision.ok, decision.needs_second) != right:
                    yield f"{role} of {kind} grants {wanted} of {target}: {decision}"
        for pair in combinations(sorted(ROLES[kind]), 2):
            for decision in (
                may_propose(who(kind, "ADMIN"), own(kind), pair),
                may_propose(who(kind, "ADMIN"), own(kind), pair[:1], held=pair[1:]),
            ):
                if decision.ok == (set(pair) <= APART):
                    yield f"{pair} of {kind} together: {decision}"
        if may_propose(who(kind, "ADMIN"), own(kind), ["NO_SUCH"]).reason is not Reason.UNKNOWN_ROLE:
            yield f"a role that {kind} does not have"


def _where() -> Iterator[str]:
    for actor, target in product(KINDS, KINDS):
        admin = who(actor, "ADMIN")
        wanted = [next(role for role in ROLES[target] if role not in TWO_PERSONS)]
        for below in (True, False):
            reason = may_propose(admin, node(target, actor, below=below), wanted).reason
            if target in ABOVE.get(actor, "").split():
                right = {Reason.ABOVE}
            elif below and target in BELOW.get(actor, "").split():
                right = {Reason.OK}
            elif below and actor in LEVELS and target != actor:
                continue  # no tenant of this kind ever lies below one of that
            else:
                right = {Reason.OUTSIDE}
            if reason not in right:
                yield f"{actor} administers {'its' if below else 'another'} {target}: {reason}"


def _four_eyes() -> Iterator[str]:
    for kind in KINDS:
        for name in sorted(CAPABILITIES):
            approver = Who(Kind(kind), frozenset(), frozenset({name}))
            decision = may_approve(approver, own(kind), _OTHER_PERSON, _THIRD)
            if decision.ok != (name == "member.approve"):
                yield f"{name} of {kind} approves: {decision}"
        approver = Who(Kind(kind), frozenset(), frozenset({"member.approve"}))
        for proposer, subject in ((_ME, _THIRD), (_OTHER_PERSON, _ME), (_ME, None)):
            if may_approve(approver, own(kind), proposer, subject).reason is not Reason.SAME_PERSON:
                yield f"{kind}: one person twice"
        if may_propose(who(kind, "ADMIN"), own(kind), ["ADMIN"], subject=_ME).reason is not Reason.SELF:
            yield f"{kind}: to himself"
