"""Types of enterprises: rows of tables, nothing else."""

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry.scalars import JSON

from app.kit import gql
from app.modules.enterprises import models

if TYPE_CHECKING:
    from app.modules.members.api.types import Agency, Tenant

_HERE = "app.modules.enterprises.api.types"
_MEMBERS = "app.modules.members.api.types"


@strawberry.enum(description="NEW, or CLAIM when the credit code was known or already requested.")
class RegistrationKind(Enum):
    """See :class:`models.Registration`."""

    NEW = "NEW"
    CLAIM = "CLAIM"


@strawberry.enum(description="Where a registration stands; all but RECEIVED are final.")
class RegistrationState(Enum):
    """See :data:`policies.REGISTRATION`."""

    RECEIVED = "RECEIVED"
    APPROVED = "APPROVED"
    REFUSED = "REFUSED"
    CLAIM_CONFIRMED = "CLAIM_CONFIRMED"


@strawberry.enum(description="大型, 中型, 小型, 微型 (工信部联企业〔2011〕300号).")
class EnterpriseSizeClass(Enum):
    """See :mod:`app.kit.rules.size_class`."""

    LARGE = "LARGE"
    MEDIUM = "MEDIUM"
    SMALL = "SMALL"
    MICRO = "MICRO"


@strawberry.enum(
    description="UNVERIFIED nobody of the enterprise works with the file yet, CLAIMED somebody does, VERIFIED the "
    "county has verified it: only then statutory reports can be submitted."
)
class EnterpriseStatus(Enum):
    """See :data:`policies.STATUS`."""

    UNVERIFIED = "UNVERIFIED"
    CLAIMED = "CLAIMED"
    VERIFIED = "VERIFIED"


@strawberry.enum(description="存续, 停产, 注销: an enterprise suspends and resumes itself, the county closes it.")
class EnterpriseLifecycle(Enum):
    """See :data:`policies.LIFECYCLE`."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    CLOSED = "CLOSED"


@strawberry.enum(
    description="CREATE the file was opened, EDIT a change that applied at once, REVIEW a change set that the county "
    "reviews, VERIFY, LOCK, CONFIRM steps of the file."
)
class EnterpriseChangeKind(Enum):
    """See :class:`models.EnterpriseChange`."""

    CREATE = "CREATE"
    EDIT = "EDIT"
    REVIEW = "REVIEW"
    VERIFY = "VERIFY"
    LOCK = "LOCK"
    CONFIRM = "CONFIRM"


@strawberry.enum(description="Where a change stands: DRAFT is the enterprise's own, ACCEPTED is in force.")
class EnterpriseChangeState(Enum):
    """See :data:`policies.CHANGE`."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    RETURNED = "RETURNED"
    WITHDRAWN = "WITHDRAWN"


@strawberry.enum(description="Whether a site works.")
class SiteState(Enum):
    """See :data:`policies.SITE`."""

    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"


@strawberry.enum(description="主要负责人, 安全总监, 安全生产管理人员, 注册安全工程师, 特种作业人员.")
class EnterprisePersonRole(Enum):
    """See :data:`models.PERSON_ROLES`."""

    HEAD = "HEAD"
    SAFETY_DIRECTOR = "SAFETY_DIRECTOR"
    SAFETY_MANAGER = "SAFETY_MANAGER"
    SAFETY_ENGINEER = "SAFETY_ENGINEER"
    OPERATOR = "OPERATOR"


@strawberry.enum(description="VOID: a wrong entry, voided by somebody else than who wrote it.")
class EnterprisePersonState(Enum):
    """See :data:`policies.PERSON`."""

    ACTIVE = "ACTIVE"
    VOID = "VOID"


@gql.bound(
    models.Enterprise,
    prefix="enterprise",
    description="企业档案: the file of an enterprise; its UUID is also its tenant's. The enterprise edits it, the "
    "county verifies it, city, province and its park read it.",
)
class Enterprise(gql.Node):
    """A row of ``enterprise``."""

    tenant: Annotated["Tenant", strawberry.lazy(_MEMBERS)] | None = gql.one(models.Enterprise.id, "Its tenant.")
    credit_code: str = gql.column("统一社会信用代码: unified social credit code, GB 32100-2015.", filterable=True)
    name: str = gql.column("Its name.", filterable=True)
    name_sort: str = gql.column("Sort key of the name by pinyin; order by it for Chinese order.", sortable=True)
    former_names: list[str] = gql.column("Names that it had before, oldest first.")
    legal_representative: str | None = gql.column("法定代表人; the county reviews changes.")
    established_on: date | None = gql.column("Day of establishment.", filterable=True)
    capital_wan: Decimal | None = gql.column("Registered capital, 万元.")
    registered_address: str | None = gql.column("Registered address; the county reviews changes.")
    division_code: str | None = gql.column(
        "Division of registration; where it produces is said by its sites.", filterable=True, groupable=True
    )
    industry_code: str | None = gql.column(
        "国民经济行业, GB/T 4754, 2 to 4 digits; the county reviews changes.", filterable=True, groupable=True
    )
    employees: int | None = gql.column("从业人员: persons employed.", filterable=True)
    revenue_wan: Decimal | None = gql.column("Revenue of the last year, 万元.")
    assets_wan: Decimal | None = gql.column("Total assets, 万元.")
    size_class: EnterpriseSizeClass | None = gql.column(
        "Size class by its rule; null while a number is missing or the industry has none.",
        filterable=True,
        groupable=True,
    )
    size_class_as_of: date | None = gql.column("Day on which the size class was computed.")
    size_basis: JSON = gql.column(
        "What the size class rests on: `industry` of the rule, `missing` fields, `tests` with sizeClass, indicator, "
        "unit, value, minimum, passed."
    )
    duties: JSON = gql.column(
        "Statutory duties that follow from categories and employees: a list of `code`, `applies` (null: unknown), "
        "`because`, `legalBasis`, `mark`."
    )
    supervision_categories: list[str] = gql.column("监管分类: codes of the table supervision_category.")
    standardization_grade: str | None = gql.column(
        "安全生产标准化等级: code of the table standardization_grade, 1 is the highest.",
        filterable=True,
        groupable=True,
    )
    contact_name: str | None = gql.column("Whom to ask.")
    contact_phone: str | None = gql.column("Telephone, its middle hidden.")
    safety_licence_no: str | None = gql.column("安全生产许可证: number of the safety production licence.")
    hazchem_licence_no: str | None = gql.column("Number of the licence to trade or use hazardous chemicals.")
    liability_policy_no: str | None = gql.column("安责险: number of the liability insurance policy.")
    status: EnterpriseStatus = gql.column("How far the file can be relied on.", filterable=True, groupable=True)
    lifecycle: EnterpriseLifecycle = gql.column("Whether it works.", filterable=True, groupable=True)
    completeness: int = gql.column("档案完整度: 0 to 100, by the weights in force.", filterable=True)
    confirmed_on: date | None = gql.column("Day on which the enterprise last confirmed its file.", filterable=True)
    claimed_at: datetime | None = gql.column("When somebody of the enterprise was first let in.")
    verified_at: datetime | None = gql.column("When the county verified it.")
    verified_by_name: str | None = gql.column("Official who verified it.")
    locked_fields: list[str] = gql.column("Fields, in snake case, that a higher authority has locked.")
    locks: JSON = gql.column("Locked field to `kind` and `agency` of the authority that locked it.")
    version: int = gql.column("For `expectedVersion`.")
    created_at: datetime = gql.column("When the file was opened.")
    updated_at: datetime = gql.column("When it last changed.")
    sites: gql.Connection[Annotated["Site", strawberry.lazy(_HERE)]] = gql.connection(
        models.Site.enterprise_id, "Its sites that you see."
    )
    people: gql.Connection[Annotated["EnterprisePerson", strawberry.lazy(_HERE)]] = gql.connection(
        models.EnterprisePerson.enterprise_id, "Its people whose post or certificate the law asks for."
    )
    changes: gql.Connection[Annotated["EnterpriseChange", strawberry.lazy(_HERE)]] = gql.connection(
        models.EnterpriseChange.enterprise_id, "Every change of the file, newest first."
    )


@gql.bound(
    models.Site,
    prefix="site",
    description="厂区、生产经营场所: a site. The county, township's county and park where it stands see it, whoever "
    "registered the enterprise.",
)
class Site(gql.Node):
    """A row of ``site``."""

    enterprise: Enterprise | None = gql.one(
        models.Site.enterprise_id, "Whose it is; null for authorities that do not see the file.", filterable=True
    )
    enterprise_name: str = gql.column("Name of the enterprise when the site last changed.", filterable=True)
    place: Annotated["Agency", strawberry.lazy(_MEMBERS)] | None = gql.one(
        models.Site.place_id, "County or township where it stands.", filterable=True
    )
    park: Annotated["Agency", strawberry.lazy(_MEMBERS)] | None = gql.one(
        models.Site.park_id, "Chemical park in which it lies; null: none.", filterable=True
    )
    name: str = gql.column("Its name.", filterable=True)
    address: str = gql.column("Its address.")
    division_code: str = gql.column("Division where it stands, 6 or 9 digits.", filterable=True, groupable=True)
    division_on: date = gql.column("Day on which that code was valid.")
    longitude: float | None = gql.column("Degrees east, WGS 84.")
    latitude: float | None = gql.column("Degrees north, WGS 84.")
    area_m2: Decimal | None = gql.column("Area of the ground, square metres.", name="areaM2")
    is_main: bool = gql.column("Whether it is the enterprise's main site.", filterable=True)
    position_warning_m: int | None = gql.column(
        "Warning: metres by which the point lies outside its division; null: inside, or no point.",
        filterable=True,
        name="positionWarningM",
    )
    state: SiteState = gql.column("Whether it works.", filterable=True, groupable=True)
    closed_on: date | None = gql.column("Day on which it was closed.")
    close_reason: str | None = gql.column("Why it was closed.")
    version: int = gql.column("For `expectedVersion`.")
    created_at: datetime = gql.column("When it was entered.")


@gql.bound(
    models.EnterprisePerson,
    prefix="enterprise_person",
    description="A person whose post or certificate the law asks for (安全生产法 24, 27, 30); identity data masked.",
)
class EnterprisePerson(gql.Node):
    """A row of ``enterprise_person``."""

    enterprise: Enterprise | None = gql.one(models.EnterprisePerson.enterprise_id, "Where.", filterable=True)
    name: str = gql.column("Name of the person.", filterable=True)
    role: EnterprisePersonRole = gql.column("Post.", filterable=True, groupable=True)
    appointed_on: date | None = gql.column("First day in the post.")
    left_on: date | None = gql.column("Last day in the post; null: still there.", filterable=True)
    phone_masked: str | None = gql.column("Telephone, its middle hidden.")
    certificate_type: str | None = gql.column("Kind of certificate.")
    certificate_no_masked: str | None = gql.column("Number of the certificate, its middle hidden.")
    certificate_expires_on: date | None = gql.column("Last day of the certificate.", filterable=True)
    state: EnterprisePersonState = gql.column("Whether the entry holds.", filterable=True, groupable=True)
    void_reason: str | None = gql.column("Why it was voided.")
    voided_by_name: str | None = gql.column("Who voided it.")
    version: int = gql.column("For `expectedVersion`.")
    created_at: datetime = gql.column("When it was entered.")


@gql.bound(
    models.EnterpriseChange,
    prefix="enterprise_change",
    description="A change of a file: what stood before and after, who, when, why; or a change set under review.",
)
class EnterpriseChange(gql.Node):
    """A row of ``enterprise_change``."""

    enterprise: Enterprise | None = gql.one(models.EnterpriseChange.enterprise_id, "Of which file.", filterable=True)
    kind: EnterpriseChangeKind = gql.column("What kind of change.", filterable=True, groupable=True)
    state: EnterpriseChangeState = gql.column("Where it stands.", filterable=True, groupable=True)
    before: JSON = gql.column("Field, in snake case, to its value before.")
    after: JSON = gql.column("Field, in snake case, to its value after.")
    reason: str | None = gql.column("Why.")
    made_on: date = gql.column("Legal day on which it was made.", filterable=True)
    actor_name: str = gql.column("Who made it, as he was then.")
    actor_post: str = gql.column("His post then.")
    actor_agency: str = gql.column("His tenant then.")
    submitted_at: datetime | None = gql.column("When it was handed to the county.")
    reviewed_by_name: str | None = gql.column("Official who accepted or returned it.")
    reviewed_by_post: str | None = gql.column("The official's post then.")
    reviewed_by_agency: str | None = gql.column("The official's authority then.")
    reviewed_at: datetime | None = gql.column("When it was reviewed.")
    review_reason: str | None = gql.column("Why it was returned, or a note.")
    version: int = gql.column("For `expectedVersion`.")
    created_at: datetime = gql.column("When it was written.")


@gql.bound(
    models.Registration,
    prefix="registration",
    description="A citizen's request for an enterprise; only the county that decides it sees it.",
)
class Registration(gql.Node):
    """A row of ``registration``."""

    kind: RegistrationKind = gql.column("Whether it is about a new enterprise.", filterable=True, groupable=True)
    state: RegistrationState = gql.column("Where it stands.", filterable=True, groupable=True)
    credit_code: str = gql.column("Credit code that was given; its check character is right.", filterable=True)
    name: str = gql.column("Name that was given.", filterable=True)
    division_code: str = gql.column("Division that was named; a claim may name another county.", filterable=True)
    address: str = gql.column("Address that was given.")
    longitude: float | None = gql.column("Degrees east, WGS 84.")
    latitude: float | None = gql.column("Degrees north, WGS 84.")
    contact_name: str = gql.column("Who asks.")
    phone_masked: str = gql.column("Telephone, its middle hidden; `registrationPhoneReveal` shows it in full.")
    industry_code: str | None = gql.column("Industry that was given, GB/T 4754.", filterable=True)
    park: Annotated["Agency", strawberry.lazy(_MEMBERS)] | None = gql.one(
        models.Registration.park_id, "Park that was named."
    )
    enterprise: Enterprise | None = gql.one(
        models.Registration.enterprise_id, "The enterprise that was opened, or that a claim is about.", filterable=True
    )
    decided_by_name: str | None = gql.column("Official who decided.")
    decided_at: datetime | None = gql.column("When it was decided.")
    reason: str | None = gql.column("Why it was refused.")
    version: int = gql.column("For `expectedVersion`.")
    created_at: datetime = gql.column("When it arrived.")
