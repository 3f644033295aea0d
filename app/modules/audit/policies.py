"""Who may read the audit log."""

from typing import Any

from app.kit.errors import NotPermittedFault
from tenants.context import Acting, Caller
from tenants.isolation import acting_may

READ = "audit.read"
"""Capability of auditors (审计管理员), exclusive of administrators and security officers."""

AUDITORS_ONLY = acting_may(READ)
"""SQL: the acting membership is an auditor's; another one of the same person counts for nothing (decision 30).

Every read of entries carries it, nested ones too."""


def require_reader(caller: Caller) -> Acting:
    """Return the acting membership if it may read the audit log.

    Raises:
        NotPermittedFault: it may not.
    """
    if not isinstance(caller, Acting) or READ not in caller.capabilities:
        raise NotPermittedFault(READ)
    return caller


def plain(details: dict[str, Any]) -> bool:
    """Whether details hold ids, codes and counts only: text, whole numbers, yes or no, and lists of them.

    Fractions have no one written form, which a hash needs; nested objects invite whole records.
    """
    return all(
        all(_scalar(item) for item in value) if isinstance(value, list) else _scalar(value)
        for value in details.values()
    )


def _scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int)
