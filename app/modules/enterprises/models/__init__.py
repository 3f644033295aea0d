"""Tables of enterprises: registrations, files, change sets, sites, people (handbook 1, appendix A.2).

Who reads and writes follows handbook appendix B: the enterprise edits its file, the county registers
and verifies it, city and province read and may lock fields, its park reads, townships get nothing.
"""

from app.modules.enterprises.models.common import (
    CHANGE_KINDS,
    CHANGE_STATES,
    LIFECYCLES,
    OWN,
    PERSON_ROLES,
    READERS,
    REGISTRATION_STATES,
    REVIEWED,
    SIZE_CLASSES,
    STATUSES,
)
from app.modules.enterprises.models.file import Enterprise, EnterpriseChange
from app.modules.enterprises.models.places import EnterprisePerson, Site
from app.modules.enterprises.models.registration import Registration

__all__ = [
    "CHANGE_KINDS",
    "CHANGE_STATES",
    "LIFECYCLES",
    "OWN",
    "PERSON_ROLES",
    "READERS",
    "REGISTRATION_STATES",
    "REVIEWED",
    "SIZE_CLASSES",
    "STATUSES",
    "Enterprise",
    "EnterpriseChange",
    "EnterprisePerson",
    "Registration",
    "Site",
]
