"""Transition tables: who may take which step from which state (decision 15).

Policies limit rows; a slice's table limits verbs. Every change of state is one entry, so that a
reader sees the whole life of an object in one place and a test can remove each entry in turn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.kit.errors import Fault, NotPermittedFault
from tenants.context import Acting
from tenants.kinds import Kind


@dataclass(frozen=True)
class Transition:
    """One entry.

    Args:
        source: state before.
        action: what is done; also the word in messages and in the audit log.
        target: state after.
        kinds: kinds of tenants whose members may do it.
        capability: what the membership must allow.
        other_person: the step must be taken by somebody else than who took the one before.
    """

    source: str
    action: str
    target: str
    kinds: frozenset[Kind]
    capability: str
    other_person: bool = False


def step(
    table: Iterable[Transition],
    state: str,
    action: str,
    acting: Acting,
    before: Sequence[UUID | None] = (),
) -> Transition:
    """Return the entry that allows this step.

    Args:
        table: the slice's transition table.
        state: current state of the object.
        action: the step.
        acting: who takes it.
        before: persons who took the steps before, for the other-person rule.

    Raises:
        Fault: ``WRONG_STATE`` when no entry leads on from this state, ``OTHER_PERSON``.
        NotPermittedFault: entries exist, none for this membership.
    """
    entries = [entry for entry in table if entry.action == action]
    mine = [entry for entry in entries if acting.kind in entry.kinds and entry.capability in acting.capabilities]
    if not mine:
        raise NotPermittedFault(action)
    fitting = [entry for entry in mine if entry.source == state]
    if not fitting:
        raise Fault("WRONG_STATE", (), state=state, action=action)
    entry = fitting[0]
    if entry.other_person and acting.person_id in before:
        raise Fault("OTHER_PERSON", (), action=action)
    return entry
