"""Who may take which step, as slices type it by hand, and what a transition table really allows.

``tests/modules/<slice>/expectations.py`` holds ``STEPS``: name of the table in ``policies.py`` to lines
of text, one per step::

    state  action  next state  capability  KIND=ROLE,ROLE … [other]

``EVERY`` stands for every kind of tenant. The roles are those that may take the step; the capability is what makes
them able to. ``other``: somebody else than who took the step before. Nothing here comes from ``policies.py``.
"""

import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from uuid import UUID

import app.modules
from app.kit.errors import Fault
from app.kit.transitions import Transition, step
from tenants.context import Acting
from tenants.kinds import Kind
from tenants.roles import capabilities
from tests.tenants.expected_roles import CAPABILITIES, ROLES

KINDS = ("NATIONAL", "PROVINCE", "CITY", "COUNTY", "TOWNSHIP", "PARK", "ENTERPRISE", "RESCUE_TEAM", "AGENCY")
ME, SOMEBODY = UUID(int=1), UUID(int=2)
Table = Sequence[Transition]


@dataclass(frozen=True)
class Step:
    """One typed line."""

    source: str
    action: str
    target: str
    capability: str
    who: Mapping[str, frozenset[str]]
    """Kind to the roles that may take it."""
    other: bool


@dataclass(frozen=True)
class Typed:
    """All lines of one table."""

    steps: tuple[Step, ...]

    @property
    def states(self) -> list[str]:
        """Every state that is named."""
        return sorted({state for one in self.steps for state in (one.source, one.target)})

    @property
    def actions(self) -> list[str]:
        """Every action that is named."""
        return sorted({one.action for one in self.steps})


def typed(lines: str) -> Typed:
    """Read the lines of one table."""
    return Typed(tuple(_line(line) for line in lines.strip().splitlines()))


def _line(line: str) -> Step:
    source, action, target, capability, *rest = line.split()
    who: dict[str, frozenset[str]] = {}
    for word in rest:
        if word == "other":
            continue
        kinds, _, roles = word.partition("=")
        for kind in KINDS if kinds == "EVERY" else (kinds,):
            assert kind in KINDS, line
            who[kind] = frozenset(roles.split(","))
    assert who, line
    return Step(source, action, target, capability, who, "other" in rest)


@cache
def discovered() -> Mapping[str, Table]:
    """Return every transition table of every slice, ``slice.NAME``: tuples of entries in its ``policies.py``."""
    found: dict[str, Table] = {}
    for slice_ in pkgutil.iter_modules(app.modules.__path__):
        name = f"app.modules.{slice_.name}.policies"
        if find_spec(name) is None:
            continue
        for variable, value in vars(import_module(name)).items():
            if isinstance(value, tuple | list) and value and all(isinstance(one, Transition) for one in value):
                found[f"{slice_.name}.{variable}"] = tuple(value)
    return found


@cache
def expected() -> Mapping[str, Typed]:
    """Return every typed table, ``slice.NAME``."""
    found: dict[str, Typed] = {}
    for slice_ in pkgutil.iter_modules(app.modules.__path__):
        name = f"tests.modules.{slice_.name}.expectations"
        steps = getattr(import_module(name), "STEPS", {}) if find_spec(name) else {}
        found |= {f"{slice_.name}.{table}": typed(lines) for table, lines in steps.items()}
    return found


def differences(table: Table, wanted: Typed) -> Iterator[str]:
    """Yield what a table answers otherwise than typed: for every state, action, kind and role, and capability."""
    states = sorted({*wanted.states, *(state for one in table for state in (one.source, one.target))})
    actions = sorted({*wanted.actions, *(one.action for one in table)})
    for action in actions:
        for kind in KINDS:
            by_role = {role: capabilities(Kind(kind), [role]) for role in ROLES[kind]}
            by_capability = {name: frozenset({name}) for name in CAPABILITIES}
            for name, held in {**by_role, **by_capability}.items():
                steps = {
                    one.source: one
                    for one in wanted.steps
                    if one.action == action and kind in one.who and name in (*one.who[kind], one.capability)
                }
                for state in states:
                    for before in (ME, SOMEBODY):
                        right = _right(steps, state, before)
                        answer = _answer(table, state, action, _acting(kind, held), before)
                        if answer != right:
                            yield f"{kind} {name}, {action} from {state} after {before.int}: {answer}, typed {right}"


def _right(steps: Mapping[str, Step], state: str, before: UUID) -> str:
    if not steps:
        return "NOT_PERMITTED"
    one = steps.get(state)
    if one is None:
        return "WRONG_STATE"
    return "OTHER_PERSON" if one.other and before == ME else f"-> {one.target}"


def _answer(table: Table, state: str, action: str, acting: Acting, before: UUID) -> str:
    try:
        return f"-> {step(table, state, action, acting, (None, before)).target}"
    except Fault as refusal:
        return refusal.code


@cache
def _acting(kind: str, held: frozenset[str]) -> Acting:
    return Acting(
        membership_id=SOMEBODY,
        person_id=ME,
        tenant_id=SOMEBODY,
        tenant_key=1,
        tenant_name="",
        kind=Kind(kind),
        roles=frozenset(),
        capabilities=held,
        actor_name="",
        post="",
    )
