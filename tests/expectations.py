"""Who should see what, typed by hand from handbook 0.4 and appendix B and from the decisions.

Nothing here is computed from the product. ``tests/oracle.py`` decides rows with it; tests compare the
declarations of tables with it, never the other way round. A table without an entry fails the build.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

OFFICES = frozenset({"PROVINCE", "CITY", "COUNTY", "TOWNSHIP", "PARK"})
SUPERVISORS = frozenset({"PROVINCE", "CITY", "COUNTY", "PARK"})
"""Appendix B, row "enterprise file": R R R – R; the township has no right to it."""
OTHERS = frozenset({"NATIONAL", "RESCUE_TEAM", "AGENCY"})
"""Kinds without a level: own rows, and rows named by dated grants (decision 16)."""
EVERY_TENANT = OFFICES | {"ENTERPRISE"} | OTHERS
EVERYBODY = EVERY_TENANT | {"PUBLIC"}


@dataclass(frozen=True)
class Rule:
    """Who reads the rows of one table.

    Args:
        readers: kinds of tenants whose members may read; PUBLIC: without a membership.
        scope: ``all``, ``own person``, ``level`` (the tenants above and below), or ``none`` (system).
        place: what places a row: ``owner``, ``site`` (column ``site_id``), ``self`` (it is a tenant), ``is site``.
        draft: value of ``state`` under which only its author's tenant sees a row.
        agencies_only: never shown to the enterprise; ``column``: where the row says so.
        grantee: the row is a dated grant, shown to the one it names.
        granted: shown to holders of a valid ``scope_grant`` or ``incident_call`` of the enterprise.
        hosted: shown to the host of the county that owns it, while a ``hosting`` is valid.
        system: system logins that read it, with a word for the rows.
    """

    readers: frozenset[str] = frozenset()
    scope: str = "level"
    place: str = "owner"
    draft: str | None = None
    agencies_only: str = "no"
    grantee: bool = False
    granted: bool = False
    hosted: bool = False
    system: dict[str, str] = field(default_factory=dict)


def _all(*logins: str) -> dict[str, str]:
    return dict.fromkeys(logins, "all")


_REFERENCE = Rule(EVERYBODY, "all")
_BASE = MappingProxyType(
    {
        # what all may read (decision 14)
        "agency": _REFERENCE,
        "division": _REFERENCE,
        "standard_table": _REFERENCE,
        "standard_version": _REFERENCE,
        "standard_row": _REFERENCE,
        "calendar_year": _REFERENCE,
        "calendar_day": _REFERENCE,
        "clock_offset": _REFERENCE,
        # one's own (decision 14, class person)
        "person": Rule(EVERYBODY, "own person", system=_all("sys_identity", "sys_seed", "sys_jobs")),
        "job": Rule(EVERY_TENANT, "own person", system=_all("sys_jobs", "sys_retention")),
        "idempotency": Rule(EVERYBODY, "own person", system=_all("sys_retention")),
        # the tree and its people
        "tenant": Rule(
            EVERY_TENANT,
            place="self",
            granted=True,
            hosted=True,
            system=_all("sys_seed", "sys_move", "sys_identity", "sys_intake", "sys_jobs", "sys_audit"),
        ),
        "tenant_change": Rule(EVERY_TENANT, system=_all("sys_seed", "sys_move")),
        "membership": Rule(
            EVERY_TENANT,
            hosted=True,
            system=_all("sys_identity", "sys_seed", "sys_move", "sys_jobs", "sys_intake"),
        ),
        "scope_grant": Rule(EVERY_TENANT, grantee=True, system=_all("sys_seed", "sys_move")),
        "incident_call": Rule(EVERY_TENANT, grantee=True, system=_all("sys_seed", "sys_move")),
        "hosting": Rule(OFFICES | OTHERS, grantee=True, system=_all("sys_seed", "sys_move")),
        # what happened
        "event": Rule(
            EVERY_TENANT,
            place="site",
            draft="DRAFT",
            agencies_only="column",
            system=_all("sys_relay", "sys_audit", "sys_move", "sys_jobs"),
        ),
        "audit_entry": Rule(
            EVERY_TENANT,
            place="site",
            system={
                **_all("sys_audit", "sys_move"),
                "sys_jobs": "nobody's act",
                "sys_identity": "nobody's denial",
            },
        ),
        "audit_head": Rule(EVERY_TENANT, system=_all("sys_audit", "sys_move")),
        # appendix B, row "enterprise file"
        "enterprise": Rule(SUPERVISORS | {"ENTERPRISE"} | OTHERS, granted=True, system=_all("sys_seed", "sys_move")),
        "enterprise_change": Rule(SUPERVISORS | {"ENTERPRISE"}, draft="DRAFT", system=_all("sys_seed", "sys_move")),
        "enterprise_person": Rule(
            SUPERVISORS | {"ENTERPRISE"} | OTHERS, granted=True, system=_all("sys_seed", "sys_move")
        ),
        "site": Rule(
            SUPERVISORS | {"ENTERPRISE"} | OTHERS,
            place="is site",
            granted=True,
            system=_all("sys_seed", "sys_move"),
        ),
        # decision 41: decided on the county's page
        "registration": Rule(
            frozenset({"COUNTY"}), agencies_only="always", system=_all("sys_seed", "sys_move", "sys_retention")
        ),
        # only for duties of the system
        "outbox": Rule(scope="none", system=_all("sys_relay")),
        "event_position": Rule(scope="none", system=_all("sys_relay", "sys_audit")),
        "job_attempt": Rule(scope="none", system=_all("sys_jobs", "sys_relay")),
        "dead_letter": Rule(scope="none", system=_all("sys_jobs", "sys_relay")),
        "actor_done": Rule(scope="none", system=_all("sys_jobs", "sys_relay")),
        "object_version": Rule(scope="none", system=_all("sys_jobs", "sys_retention")),
        "revoked_session": Rule(scope="none", system=_all("sys_identity", "sys_jobs", "sys_retention")),
    }
)


class _Tables(Mapping[str, Rule]):
    """The tables above and those that slices type next to their tests, ``tests/modules/*/expectations.py``.

    Read when first asked, since those files import :class:`Rule` from here.
    """

    @cached_property
    def _merged(self) -> dict[str, Rule]:
        found = dict(_BASE)
        for path in sorted((Path(__file__).parent / "modules").glob("*/expectations.py")):
            module = import_module(f"tests.modules.{path.parent.name}.expectations")
            more: Mapping[str, Rule] = getattr(module, "TABLES", {})
            if twice := found.keys() & more.keys():
                raise ValueError(f"{path}: {sorted(twice)} has an expectation already")
            found |= more
        return found

    def __getitem__(self, name: str) -> Rule:
        return self._merged[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._merged)

    def __len__(self) -> int:
        return len(self._merged)


TABLES = _Tables()
"""Table to its rule."""
