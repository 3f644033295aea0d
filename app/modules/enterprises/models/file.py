"""The file of an enterprise, and every change of it."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.modules.enterprises.models.common import (
    CHANGE_KINDS,
    CHANGE_STATES,
    COMPUTED,
    FIRST,
    LIFECYCLES,
    OWN,
    READERS,
    REVIEWED,
    SIZE_CLASSES,
    STATUSES,
    SYSTEM,
    SYSTEM_WRITE,
    of_enterprise,
    one_of,
)
from infra.db.base import Base
from tenants.access import Access, TableClass
from tenants.isolation import definer_trigger
from tenants.scoped import ScopeColumns, Stamped, Versioned


def _guard() -> list[str]:
    """A trigger that keeps reviewed fields from the enterprise's login, and locked ones from both logins."""
    # An empty field is filled at once as long as nobody has verified the file.
    reviewed = " OR ".join(
        f"(NEW.{name} IS DISTINCT FROM OLD.{name} AND (OLD.{name} IS NOT NULL OR OLD.status = 'VERIFIED'))"
        for name in REVIEWED
    )
    return definer_trigger(
        "app.guard_enterprise",
        f"""BEGIN
  IF session_user = 'anlan_enterprise' AND ({reviewed}) THEN
    RAISE insufficient_privilege USING MESSAGE = 'the county reviews changes of this field';
  END IF;
  IF EXISTS (SELECT FROM unnest(OLD.locked_fields) AS l(name)
      WHERE to_jsonb(NEW) -> l.name IS DISTINCT FROM to_jsonb(OLD) -> l.name) THEN
    RAISE insufficient_privilege USING MESSAGE = 'a higher authority has locked this field';
  END IF;
  RETURN NEW;
END""",
        "CREATE TRIGGER guard BEFORE UPDATE ON app.enterprise FOR EACH ROW "
        "WHEN (session_user IN ('anlan_enterprise', 'anlan_county'))",
    )


class Enterprise(ScopeColumns, Versioned, Stamped, Base):
    """The file of an enterprise (企业档案); its id is the tenant's id."""

    __tablename__ = "enterprise"
    __table_args__ = (
        UniqueConstraint("owner_key", "id"),
        UniqueConstraint("owner_key"),
        UniqueConstraint("credit_code"),
        ForeignKeyConstraint(["id"], ["app.tenant.id"]),
        ForeignKeyConstraint(["owner_key"], ["app.tenant.key"]),
        one_of("status", STATUSES),
        one_of("lifecycle", LIFECYCLES),
        one_of("size_class", SIZE_CLASSES),
        CheckConstraint("completeness BETWEEN 0 AND 100", name="completeness"),
        CheckConstraint("employees >= 0 AND capital_wan >= 0 AND revenue_wan >= 0 AND assets_wan >= 0", name="amounts"),
        *(Index(f"ix_enterprise_{key}_name_sort", key, "name_sort") for key in ("province_key", "city_key")),
        Index("ix_enterprise_county_key_name_sort", "county_key", "name_sort"),
        {
            "info": {
                "access": Access(
                    TableClass.TENANT,
                    select=(*READERS, "assigned"),
                    insert={
                        "county": (
                            "id",
                            "owner_key",
                            "name_sort",
                            "status",
                            "claimed_at",
                            "division_code",
                            "contact_name",
                            "contact_phone",
                            "completeness",
                            "version",
                            *REVIEWED,
                        )
                    },
                    update={
                        "enterprise": (*FIRST, *OWN, *COMPUTED, "lifecycle", "confirmed_on"),
                        "county": (
                            *REVIEWED,
                            *COMPUTED,
                            "name_sort",
                            "former_names",
                            "status",
                            "lifecycle",
                            "claimed_at",
                            "verified_at",
                            "verified_by_name",
                        ),
                        **dict.fromkeys(("province", "city"), ("locked_fields", "locks", "version", "updated_at")),
                    },
                    granted=True,
                    system=SYSTEM,
                    system_write=SYSTEM_WRITE,
                    definer=("SELECT",),
                ),
                "extra_ddl": _guard(),
            }
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    credit_code: Mapped[str] = mapped_column(String(18))
    """统一社会信用代码, GB 32100-2015."""
    name: Mapped[str] = mapped_column(Text)
    name_sort: Mapped[str] = mapped_column(Text(collation="C"))
    former_names: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    legal_representative: Mapped[str | None] = mapped_column(Text)
    established_on: Mapped[date | None]
    capital_wan: Mapped[Decimal | None] = mapped_column(Numeric(18, 4))
    registered_address: Mapped[str | None] = mapped_column(Text)
    division_code: Mapped[str | None] = mapped_column(String(9))
    """Division of registration; where it produces is said by its sites."""
    industry_code: Mapped[str | None] = mapped_column(String(4))
    """GB/T 4754."""
    employees: Mapped[int | None] = mapped_column(Integer)
    revenue_wan: Mapped[Decimal | None] = mapped_column(Numeric(18, 4))
    assets_wan: Mapped[Decimal | None] = mapped_column(Numeric(18, 4))
    size_class: Mapped[str | None] = mapped_column(String(8))
    size_class_as_of: Mapped[date | None]
    size_basis: Mapped[dict[str, object]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """Industry of the rule, what is missing, and each comparison that was made."""
    duties: Mapped[list[object]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    """Statutory duties that follow from the categories and the number of employees, each with its article."""
    supervision_categories: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    """监管分类, codes of the table ``supervision_category``."""
    standardization_grade: Mapped[str | None] = mapped_column(String(1))
    contact_name: Mapped[str | None] = mapped_column(Text)
    contact_phone: Mapped[str | None] = mapped_column(String(20))
    """Masked."""
    safety_licence_no: Mapped[str | None] = mapped_column(String(64))
    hazchem_licence_no: Mapped[str | None] = mapped_column(String(64))
    liability_policy_no: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16), server_default=text("'UNVERIFIED'"))
    lifecycle: Mapped[str] = mapped_column(String(16), server_default=text("'ACTIVE'"))
    completeness: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    confirmed_on: Mapped[date | None]
    """Legal day on which the enterprise last confirmed that its file is right (every quarter)."""
    claimed_at: Mapped[datetime | None]
    verified_at: Mapped[datetime | None]
    verified_by_name: Mapped[str | None] = mapped_column(Text)
    locked_fields: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    locks: Mapped[dict[str, object]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """Locked field to the kind and name of the authority that locked it."""


class EnterpriseChange(ScopeColumns, Versioned, Stamped, Base):
    """One change of a file: fields before and after, by whom, why; a change set that the county reviews."""

    __tablename__ = "enterprise_change"
    __table_args__ = (
        one_of("kind", CHANGE_KINDS),
        one_of("state", CHANGE_STATES),
        CheckConstraint("kind = 'REVIEW' OR state = 'ACCEPTED'", name="reviewed_kind"),
        # The enterprise's login may not name the reviewer, so it cannot write an accepted change set.
        CheckConstraint("kind <> 'REVIEW' OR state <> 'ACCEPTED' OR reviewed_by_name IS NOT NULL", name="accepted"),
        CheckConstraint("state <> 'RETURNED' OR review_reason IS NOT NULL", name="returned_with_reason"),
        Index(
            "uq_enterprise_change_open",
            "owner_key",
            unique=True,
            postgresql_where=text("kind = 'REVIEW' AND state IN ('DRAFT', 'SUBMITTED')"),
        ),
        Index("ix_enterprise_change_enterprise_id", "enterprise_id", "seq"),
        *of_enterprise(
            Access(
                TableClass.TENANT,
                select=READERS,
                insert=dict.fromkeys(
                    ("enterprise", "county", "city", "province"),
                    (
                        "id",
                        "owner_key",
                        "enterprise_id",
                        "kind",
                        "state",
                        "before",
                        "after",
                        "reason",
                        "actor_id",
                        "actor_name",
                        "actor_post",
                        "actor_agency",
                        "made_on",
                        "version",
                    ),
                ),
                update={
                    "enterprise": (
                        "state",
                        "before",
                        "after",
                        "reason",
                        "submitted_at",
                        "version",
                        "updated_at",
                        "actor_id",
                        "actor_name",
                        "actor_post",
                    ),
                    "county": (
                        "state",
                        "reviewed_by",
                        "reviewed_by_name",
                        "reviewed_by_post",
                        "reviewed_by_agency",
                        "reviewed_at",
                        "review_reason",
                        "version",
                        "updated_at",
                    ),
                },
                draft_state="DRAFT",
                system=SYSTEM,
                system_write=SYSTEM_WRITE,
            )
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    enterprise_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(16))
    before: Mapped[dict[str, object]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    after: Mapped[dict[str, object]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    reason: Mapped[str | None] = mapped_column(Text)
    made_on: Mapped[date]
    """Legal day."""
    actor_id: Mapped[UUID | None]
    actor_name: Mapped[str] = mapped_column(Text)
    actor_post: Mapped[str] = mapped_column(Text, server_default=text("''"))
    actor_agency: Mapped[str] = mapped_column(Text)
    submitted_at: Mapped[datetime | None]
    reviewed_by: Mapped[UUID | None]
    reviewed_by_name: Mapped[str | None] = mapped_column(Text)
    reviewed_by_post: Mapped[str | None] = mapped_column(Text)
    reviewed_by_agency: Mapped[str | None] = mapped_column(Text)
    reviewed_at: Mapped[datetime | None]
    review_reason: Mapped[str | None] = mapped_column(Text)
