"""Who may do what: the transition tables of this slice (handbook appendix B).

Rows are limited by the database; these tables limit verbs. ``CHANGE``, ``REGISTRATION``, ``SITE``
and ``PERSON`` go by the object's state, ``STATUS``, ``IMPORT`` and ``LIFECYCLE`` by those of the file.
"""

from collections.abc import Iterable

from app.kit.errors import NotPermittedFault
from app.kit.transitions import Transition
from tenants.context import Acting
from tenants.kinds import Kind

_ENTERPRISE = frozenset({Kind.ENTERPRISE})
_COUNTY = frozenset({Kind.COUNTY})
_ABOVE = frozenset({Kind.PROVINCE, Kind.CITY})
_DECIDE = "registration.decide"
_EDIT = "enterprise.edit"
_SUBMIT = "enterprise.submit"
_VERIFY = "enterprise.verify"
_LOCK = "enterprise.lock"

APPROVE = "registration.approve"
REFUSE = "registration.refuse"
CONFIRM_CLAIM = "registration.confirmClaim"
REVEAL_PHONE = "registration.revealPhone"
EDIT = "enterprise.edit"
CONFIRM = "enterprise.confirm"
SUSPEND = "enterprise.suspend"
RESUME = "enterprise.resume"
CLOSE = "enterprise.close"
LOCK = "enterprise.lockFields"
CLAIM = "enterprise.claim"
VERIFY = "enterprise.verify"
BRING_IN = "enterprise.import"
CHANGE_SUBMIT = "change.submit"
CHANGE_WITHDRAW = "change.withdraw"
CHANGE_ACCEPT = "change.accept"
CHANGE_RETURN = "change.return"
SITE_EDIT = "site.edit"
SITE_CLOSE = "site.close"
PERSON_EDIT = "person.edit"
PERSON_VOID = "person.void"

REGISTRATION = (
    Transition("RECEIVED", APPROVE, "APPROVED", _COUNTY, _DECIDE),
    Transition("RECEIVED", REFUSE, "REFUSED", _COUNTY, _DECIDE),
    Transition("RECEIVED", CONFIRM_CLAIM, "CLAIM_CONFIRMED", _COUNTY, _DECIDE),
    Transition("RECEIVED", REVEAL_PHONE, "RECEIVED", _COUNTY, _DECIDE),
)

STATUS = (
    Transition("UNVERIFIED", CLAIM, "CLAIMED", _COUNTY, _DECIDE),
    Transition("CLAIMED", CLAIM, "CLAIMED", _COUNTY, _DECIDE),
    Transition("VERIFIED", CLAIM, "VERIFIED", _COUNTY, _DECIDE),
    Transition("CLAIMED", VERIFY, "VERIFIED", _COUNTY, _VERIFY),
)

IMPORT = (
    Transition("NEW", BRING_IN, "UNVERIFIED", _COUNTY, _DECIDE),
    Transition("UNVERIFIED", BRING_IN, "UNVERIFIED", _COUNTY, _DECIDE),
)
"""A county's own ledger by Excel: opens files, and mends those that nobody of the enterprise works with yet."""

LIFECYCLE = (
    Transition("ACTIVE", EDIT, "ACTIVE", _ENTERPRISE, _EDIT),
    Transition("SUSPENDED", EDIT, "SUSPENDED", _ENTERPRISE, _EDIT),
    Transition("ACTIVE", CONFIRM, "ACTIVE", _ENTERPRISE, _SUBMIT),
    Transition("SUSPENDED", CONFIRM, "SUSPENDED", _ENTERPRISE, _SUBMIT),
    Transition("ACTIVE", LOCK, "ACTIVE", _ABOVE, _LOCK),
    Transition("SUSPENDED", LOCK, "SUSPENDED", _ABOVE, _LOCK),
    Transition("ACTIVE", SUSPEND, "SUSPENDED", _ENTERPRISE, _SUBMIT),
    Transition("SUSPENDED", RESUME, "ACTIVE", _ENTERPRISE, _SUBMIT),
    Transition("ACTIVE", CLOSE, "CLOSED", _COUNTY, _VERIFY),
    Transition("SUSPENDED", CLOSE, "CLOSED", _COUNTY, _VERIFY),
)

CHANGE = (
    Transition("DRAFT", CHANGE_SUBMIT, "SUBMITTED", _ENTERPRISE, _SUBMIT),
    Transition("DRAFT", CHANGE_WITHDRAW, "WITHDRAWN", _ENTERPRISE, _SUBMIT),
    Transition("SUBMITTED", CHANGE_WITHDRAW, "WITHDRAWN", _ENTERPRISE, _SUBMIT),
    Transition("SUBMITTED", CHANGE_ACCEPT, "ACCEPTED", _COUNTY, _VERIFY),
    Transition("SUBMITTED", CHANGE_RETURN, "RETURNED", _COUNTY, _VERIFY),
)

SITE = (
    Transition("ACTIVE", SITE_EDIT, "ACTIVE", _ENTERPRISE, _EDIT),
    Transition("ACTIVE", SITE_CLOSE, "CLOSED", _ENTERPRISE, _EDIT),
)

PERSON = (
    Transition("ACTIVE", PERSON_EDIT, "ACTIVE", _ENTERPRISE, _EDIT),
    Transition("ACTIVE", PERSON_VOID, "VOID", _ENTERPRISE, _EDIT, other_person=True),
)


def may(table: Iterable[Transition], action: str, acting: Acting) -> None:
    """Check that this membership may take this step from some state, before anything is read.

    Raises:
        NotPermittedFault: no entry for its kind and capabilities.
    """
    entries = [entry for entry in table if entry.action == action]
    if not any(acting.kind in entry.kinds and entry.capability in acting.capabilities for entry in entries):
        raise NotPermittedFault(action)
