"""Inputs and payloads of the mutations of enterprises."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import strawberry

from app.kit import gql
from app.kit.ids import parse_global_id
from app.modules.enterprises.api.types import (
    Enterprise,
    EnterpriseChange,
    EnterprisePerson,
    EnterprisePersonRole,
    Registration,
    Site,
)

_ATTEMPT = "Id of this attempt, 1 to 64 characters: a repeat with the same id does nothing again."
_VERSION = "`version` of the object as you saw it."
_KEEP = "Leave it out to keep it; null empties it."
NOBODY = UUID(int=0)
"""Stands for an id that is none, so that it takes the same way as an unknown one."""


def uuid_of(value: strawberry.ID, prefix: str) -> UUID:
    """Return the UUID of a global id; one that belongs to nothing when it is none of this type."""
    found = parse_global_id(str(value), prefix)
    return found[1] if found else NOBODY


def park_of(value: strawberry.ID | None) -> UUID | None:
    """Return the UUID of a park, given by its id as an agency or as a tenant."""
    if value is None:
        return None
    found = parse_global_id(str(value), "agency") or parse_global_id(str(value), "tenant")
    return found[1] if found else NOBODY


def sent(given: Any, *, leave: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields of an input that the client sent, enums as their words."""
    values = {name: getattr(given, name) for name in given.__dataclass_fields__ if name not in leave}
    return {
        name: value.value if isinstance(value, Enum) else value
        for name, value in values.items()
        if value is not strawberry.UNSET
    }


def _kept(description: str) -> Any:
    return strawberry.field(default=strawberry.UNSET, description=f"{description} {_KEEP}")


@strawberry.input(description="An enterprise that wants to work with the platform.")
class RegistrationSubmitInput:
    """Input of ``registrationSubmit``."""

    credit_code: str = strawberry.field(description="统一社会信用代码, 18 characters; blanks and case do not matter.")
    name: str = strawberry.field(description="Name as in the business licence, at most 120 characters.")
    division_code: str = strawberry.field(description="County (6 digits) or township (9) where it produces.")
    address: str = strawberry.field(description="Address there, at most 500 characters.")
    contact_name: str = strawberry.field(description="Who will work with the platform first.")
    contact_phone: str = strawberry.field(description="Mobile number, or landline with area code.")
    industry_code: str | None = strawberry.field(default=None, description="GB/T 4754, 2 to 4 digits.")
    park: strawberry.ID | None = strawberry.field(
        default=None, description="Chemical park (Agency) in which the whole premises lie."
    )
    longitude: float | None = strawberry.field(default=None, description="Degrees east, WGS 84.")
    latitude: float | None = strawberry.field(default=None, description="Degrees north, WGS 84.")
    client_mutation_id: str | None = strawberry.field(
        default=None, description=_ATTEMPT + " Without an account it must be a UUID."
    )


@strawberry.type(description="Outcome of `registrationSubmit`; the same whether the code is known or not.")
class RegistrationSubmitPayload(gql.Payload):
    """Payload without an object."""

    received: bool = strawberry.field(default=False, description="Whether it was received; the county decides.")


@strawberry.input(description="A registration to approve.")
class RegistrationApproveInput:
    """Input of ``registrationApprove``."""

    id: strawberry.ID = strawberry.field(description="The registration.")
    expected_version: int = strawberry.field(description=_VERSION)
    park: strawberry.ID | None = strawberry.field(
        default=None, description="Park in which the whole premises lie; the one that was named when omitted."
    )
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A claim to confirm.")
class RegistrationConfirmClaimInput:
    """Input of ``registrationConfirmClaim``."""

    id: strawberry.ID = strawberry.field(description="The registration.")
    expected_version: int = strawberry.field(description=_VERSION)
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A registration to refuse.")
class RegistrationRefuseInput:
    """Input of ``registrationRefuse``."""

    id: strawberry.ID = strawberry.field(description="The registration.")
    expected_version: int = strawberry.field(description=_VERSION)
    reason: str = strawberry.field(description="Why; the citizen is told. At most 500 characters.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.type(description="Outcome of `registrationRefuse`.")
class RegistrationPayload(gql.Payload):
    """Payload with a registration."""

    registration: Registration | None = gql.result("The registration as it is now.")


@strawberry.input(description="A registration whose contact is to be called.")
class RegistrationPhoneRevealInput:
    """Input of ``registrationPhoneReveal``."""

    id: strawberry.ID = strawberry.field(description="The registration, not decided yet.")
    reason: str = strawberry.field(description="Why the number is needed, 2 to 200 characters; the audit log keeps it.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.type(description="Outcome of `registrationPhoneReveal`.")
class RegistrationPhoneRevealPayload(gql.Payload):
    """Payload with a registration and its contact's number."""

    registration: Registration | None = gql.result("The registration; it does not change.")
    contact_phone: str | None = strawberry.field(
        default=None,
        description="The number in full, shown this once: a repeat with the same `clientMutationId` gives null.",
    )


@strawberry.type(description="Outcome of `registrationApprove` and `registrationConfirmClaim`, with the slip to print.")
class RegistrationOpenPayload(gql.Payload):
    """Payload with a registration and the activation slip of the first user."""

    registration: Registration | None = gql.result("The registration as it is now, with its enterprise.")
    slip_code: str | None = strawberry.field(
        default=None, description="激活码, shown this once: a repeat with the same `clientMutationId` gives null."
    )
    slip_qr_svg: str | None = strawberry.field(default=None, description="The code as a QR picture (SVG) to print.")
    slip_expires_at: datetime | None = strawberry.field(default=None, description="Until when it may be used.")


@strawberry.input(description="Changes of a file that apply at once. Leave a field out to keep it.")
class EnterpriseUpdateInput:
    """Input of ``enterpriseUpdate``."""

    id: strawberry.ID = strawberry.field(description="The enterprise.")
    expected_version: int = strawberry.field(description=_VERSION)
    legal_representative: str | None = _kept("法定代表人; only while it is empty and the file is not verified.")
    industry_code: str | None = _kept("GB/T 4754; only while it is empty and the file is not verified.")
    registered_address: str | None = _kept("Registered address; only while empty and the file is not verified.")
    established_on: date | None = _kept("Day of establishment.")
    capital_wan: Decimal | None = _kept("Registered capital, 万元, at most four decimals.")
    division_code: str | None = _kept("Division of registration.")
    employees: int | None = _kept("Persons employed.")
    revenue_wan: Decimal | None = _kept("Revenue of the last year, 万元.")
    assets_wan: Decimal | None = _kept("Total assets, 万元.")
    supervision_categories: list[str] | None = _kept("监管分类: codes of the table supervision_category.")
    standardization_grade: str | None = _kept("Code of the table standardization_grade.")
    contact_name: str | None = _kept("Whom to ask.")
    contact_phone: str | None = _kept("Telephone; kept with its middle hidden.")
    safety_licence_no: str | None = _kept("Number of the safety production licence.")
    hazchem_licence_no: str | None = _kept("Number of the hazardous chemicals licence.")
    liability_policy_no: str | None = _kept("Number of the liability insurance policy.")
    reason: str | None = strawberry.field(default=None, description="Why, for the history.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="New values of fields that the county reviews. Leave a field out to keep it.")
class EnterpriseReviewedFieldsInput:
    """Part of ``enterpriseChangeSubmit``."""

    name: str | None = _kept("Name as in the business licence.")
    credit_code: str | None = _kept("统一社会信用代码.")
    legal_representative: str | None = _kept("法定代表人.")
    industry_code: str | None = _kept("GB/T 4754, 2 to 4 digits.")
    registered_address: str | None = _kept("Registered address.")


@strawberry.input(description="A change set for the county to review.")
class EnterpriseChangeSubmitInput:
    """Input of ``enterpriseChangeSubmit``."""

    id: strawberry.ID = strawberry.field(description="The enterprise.")
    expected_version: int = strawberry.field(description=_VERSION)
    changes: EnterpriseReviewedFieldsInput = strawberry.field(description="What shall change.")
    reason: str = strawberry.field(description="Why; the county reads it.")
    draft: bool = strawberry.field(default=False, description="Keep it as a draft, which only the enterprise sees.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A step of a change set that needs no further word.")
class EnterpriseChangeStepInput:
    """Input of ``enterpriseChangeSend`` and ``enterpriseChangeWithdraw``."""

    id: strawberry.ID = strawberry.field(description="The change set.")
    expected_version: int = strawberry.field(description=_VERSION)
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="The county's decision on a change set.")
class EnterpriseChangeReviewInput:
    """Input of ``enterpriseChangeReview``."""

    id: strawberry.ID = strawberry.field(description="The change set.")
    expected_version: int = strawberry.field(description=_VERSION)
    accept: bool = strawberry.field(description="true accepts and applies it, false returns it.")
    reason: str | None = strawberry.field(default=None, description="Required when it is returned.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.type(description="Outcome of steps of a change set.")
class EnterpriseChangePayload(gql.Payload):
    """Payload with a change set."""

    enterprise_change: EnterpriseChange | None = gql.result("The change set as it is now.")


@strawberry.type(description="Outcome of changes of a file.")
class EnterprisePayload(gql.Payload):
    """Payload with a file."""

    enterprise: Enterprise | None = gql.result("The file as it is now.")


@strawberry.input(description="A file to confirm as it stands.")
class EnterpriseConfirmInput:
    """Input of ``enterpriseConfirm``."""

    id: strawberry.ID = strawberry.field(description="The enterprise.")
    expected_version: int = strawberry.field(description=_VERSION)
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A file to verify.")
class EnterpriseVerifyInput:
    """Input of ``enterpriseVerify``."""

    id: strawberry.ID = strawberry.field(description="The enterprise.")
    expected_version: int = strawberry.field(description=_VERSION)
    note: str | None = strawberry.field(default=None, description="For the history.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.enum(description="What happens to an enterprise: it suspends and resumes itself, the county closes it.")
class EnterpriseLifecycleAction(Enum):
    """Values are steps of :data:`policies.LIFECYCLE`."""

    SUSPEND = "enterprise.suspend"
    RESUME = "enterprise.resume"
    CLOSE = "enterprise.close"


@strawberry.input(description="A step in the life of an enterprise.")
class EnterpriseSetLifecycleInput:
    """Input of ``enterpriseSetLifecycle``."""

    id: strawberry.ID = strawberry.field(description="The enterprise.")
    expected_version: int = strawberry.field(description=_VERSION)
    action: EnterpriseLifecycleAction = strawberry.field(description="What happens.")
    reason: str = strawberry.field(description="Why, at most 500 characters.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.enum(description="A field of the file that can be locked.")
class EnterpriseField(Enum):
    """Names of columns, in upper case; see :data:`models.REVIEWED` and :data:`models.OWN`."""

    NAME = "name"
    CREDIT_CODE = "credit_code"
    LEGAL_REPRESENTATIVE = "legal_representative"
    INDUSTRY_CODE = "industry_code"
    REGISTERED_ADDRESS = "registered_address"
    ESTABLISHED_ON = "established_on"
    CAPITAL_WAN = "capital_wan"
    DIVISION_CODE = "division_code"
    EMPLOYEES = "employees"
    REVENUE_WAN = "revenue_wan"
    ASSETS_WAN = "assets_wan"
    SUPERVISION_CATEGORIES = "supervision_categories"
    STANDARDIZATION_GRADE = "standardization_grade"
    CONTACT_NAME = "contact_name"
    CONTACT_PHONE = "contact_phone"
    SAFETY_LICENCE_NO = "safety_licence_no"
    HAZCHEM_LICENCE_NO = "hazchem_licence_no"
    LIABILITY_POLICY_NO = "liability_policy_no"


@strawberry.input(description="Fields to lock or unlock.")
class EnterpriseLockFieldsInput:
    """Input of ``enterpriseLockFields``."""

    id: strawberry.ID = strawberry.field(description="The enterprise.")
    expected_version: int = strawberry.field(description=_VERSION)
    lock: list[EnterpriseField] = strawberry.field(
        default_factory=list, description="Fields that neither enterprise nor county may change any more."
    )
    unlock: list[EnterpriseField] = strawberry.field(
        default_factory=list, description="Fields that they may change again."
    )
    reason: str = strawberry.field(description="Why, at most 500 characters.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A site to add to your enterprise.")
class SiteAddInput:
    """Input of ``siteAdd``."""

    name: str = strawberry.field(description="Its name, at most 120 characters.")
    address: str = strawberry.field(description="Its address, at most 500 characters.")
    division_code: str = strawberry.field(description="County (6 digits) or township (9), valid today.")
    park: strawberry.ID | None = strawberry.field(default=None, description="Chemical park (Agency) in which it lies.")
    longitude: float | None = strawberry.field(default=None, description="Degrees east, WGS 84; with `latitude`.")
    latitude: float | None = strawberry.field(default=None, description="Degrees north, WGS 84; with `longitude`.")
    area_m2: Decimal | None = strawberry.field(default=None, name="areaM2", description="Square metres.")
    is_main: bool = strawberry.field(default=False, description="Whether it becomes the main site; the first one is.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="Changes of a site. Leave a field out to keep it.")
class SiteUpdateInput:
    """Input of ``siteUpdate``."""

    id: strawberry.ID = strawberry.field(description="The site.")
    expected_version: int = strawberry.field(description=_VERSION)
    name: str | None = _kept("Its name.")
    address: str | None = _kept("Its address.")
    division_code: str | None = _kept("County or township, valid today.")
    park: strawberry.ID | None = _kept("Chemical park (Agency).")
    longitude: float | None = _kept("Degrees east, WGS 84.")
    latitude: float | None = _kept("Degrees north, WGS 84.")
    area_m2: Decimal | None = strawberry.field(
        default=strawberry.UNSET, name="areaM2", description=f"Square metres. {_KEEP}"
    )
    is_main: bool | None = _kept("true makes it the main site.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A site to close.")
class SiteCloseInput:
    """Input of ``siteClose``."""

    id: strawberry.ID = strawberry.field(description="The site.")
    expected_version: int = strawberry.field(description=_VERSION)
    reason: str = strawberry.field(description="Why, at most 500 characters.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.type(description="Outcome of changes of a site.")
class SitePayload(gql.Payload):
    """Payload with a site."""

    site: Site | None = gql.result("The site as it is now; `positionWarningM` warns of a point outside its division.")


@strawberry.input(description="A person to add to your enterprise.")
class PersonAddInput:
    """Input of ``personAdd``."""

    name: str = strawberry.field(description="Name, at most 120 characters.")
    role: EnterprisePersonRole = strawberry.field(description="Post.")
    appointed_on: date | None = strawberry.field(default=None, description="First day in the post.")
    left_on: date | None = strawberry.field(default=None, description="Last day in the post.")
    phone: str | None = strawberry.field(default=None, description="Telephone; kept with its middle hidden.")
    certificate_type: str | None = strawberry.field(default=None, description="Kind of certificate.")
    certificate_no: str | None = strawberry.field(default=None, description="Its number; kept with its middle hidden.")
    certificate_expires_on: date | None = strawberry.field(default=None, description="Its last day.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="Changes of a person's entry. Leave a field out to keep it.")
class PersonUpdateInput:
    """Input of ``personUpdate``."""

    id: strawberry.ID = strawberry.field(description="The entry.")
    expected_version: int = strawberry.field(description=_VERSION)
    name: str | None = _kept("Name.")
    role: EnterprisePersonRole | None = _kept("Post.")
    appointed_on: date | None = _kept("First day in the post.")
    left_on: date | None = _kept("Last day in the post.")
    phone: str | None = _kept("Telephone.")
    certificate_type: str | None = _kept("Kind of certificate.")
    certificate_no: str | None = _kept("Its number.")
    certificate_expires_on: date | None = _kept("Its last day.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.input(description="A wrong entry to void.")
class PersonVoidInput:
    """Input of ``personVoid``."""

    id: strawberry.ID = strawberry.field(description="The entry.")
    expected_version: int = strawberry.field(description=_VERSION)
    reason: str = strawberry.field(description="Why, at most 500 characters.")
    client_mutation_id: str | None = strawberry.field(default=None, description=_ATTEMPT)


@strawberry.type(description="Outcome of changes of a person's entry.")
class PersonPayload(gql.Payload):
    """Payload with a person's entry."""

    person: EnterprisePerson | None = gql.result("The entry as it is now.")
