"""Registrations: the door through which the public asks for a tenant (decision 41)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    String,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.modules.enterprises.models.common import REGISTRATION_STATES, SYSTEM_WRITE, one_of
from infra.db.base import Base
from tenants.access import Access, TableClass
from tenants.isolation import definer_function
from tenants.kinds import LEVELS, PEOPLE_LOGINS, key_column
from tenants.scoped import ScopeColumns, Stamped, Versioned

_RECEIVE = definer_function(
    "app.registration_receive(p_id uuid, p_credit_code text, p_name text, p_county_code text, p_division_code text, "
    "p_address text, p_longitude double precision, p_latitude double precision, p_contact_name text, "
    "p_contact_phone text, p_phone_masked text, p_industry_code text, p_park_id uuid)",
    "void",
    # An existing enterprise's code goes to its county, whatever county was named; the caller cannot tell.
    # A mere request of another county draws nothing there: else whoever is quicker gets the other's papers.
    """DECLARE
  known uuid;
  routed int;
  named int;
  asked boolean;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('app.registration:' || p_credit_code, 0));
  SELECT t.key INTO named FROM app.tenant t
   WHERE t.kind = 'COUNTY' AND t.division_code = p_county_code AND t.status = 'ACTIVE';
  IF NOT FOUND THEN RAISE check_violation USING MESSAGE = 'no such county'; END IF;
  SELECT e.id, e.county_key INTO known, routed FROM app.enterprise e WHERE e.credit_code = p_credit_code;
  IF routed IS NULL THEN
    SELECT e.id, t.county_key INTO known, routed FROM app.tenant t LEFT JOIN app.enterprise e ON e.id = t.id
     WHERE t.credit_code = p_credit_code;
  END IF;
  asked := EXISTS (SELECT FROM app.registration r
    WHERE r.credit_code = p_credit_code AND r.state = 'RECEIVED' AND r.owner_key = named);
  INSERT INTO app.registration (id, owner_key, kind, credit_code, name, division_code, address, longitude, latitude,
    contact_name, contact_phone, phone_masked, industry_code, park_id, enterprise_id)
  VALUES (p_id, coalesce(routed, named), CASE WHEN routed IS NULL AND NOT asked THEN 'NEW' ELSE 'CLAIM' END,
    p_credit_code, p_name, p_division_code, p_address, p_longitude, p_latitude, p_contact_name, p_contact_phone,
    p_phone_masked, p_industry_code, p_park_id, known);
END""",
    ("public", *PEOPLE_LOGINS),
    stable=False,
)

_GATHER = definer_function(
    "app.registration_gather(p_credit_code text)",
    "SETOF uuid",
    # Only for the county that has the enterprise: the other counties' open requests are claims there now.
    f"""DECLARE
  claim int := nullif(current_setting('app.key', true), '')::int;
  o app.tenant%ROWTYPE;
  known uuid;
BEGIN
  SELECT e.id INTO known FROM app.enterprise e WHERE e.credit_code = p_credit_code AND e.county_key = claim;
  IF NOT FOUND THEN RETURN; END IF;
  SELECT t.* INTO o FROM app.tenant t WHERE t.key = claim;
  RETURN QUERY UPDATE app.registration r SET owner_key = o.key, kind = 'CLAIM', enterprise_id = known,
    {", ".join(f"{key_column(level)} = o.{key_column(level)}" for level in LEVELS)},
    version = r.version + 1, updated_at = now()
  WHERE r.credit_code = p_credit_code AND r.state = 'RECEIVED' AND r.owner_key <> claim RETURNING r.id;
END""",
    ("county",),
    stable=False,
)


class Registration(ScopeColumns, Versioned, Stamped, Base):
    """A request of the public to use the platform for an enterprise; written by a definer function only."""

    __tablename__ = "registration"
    __table_args__ = (
        CheckConstraint("kind IN ('NEW', 'CLAIM')", name="kind"),
        one_of("state", REGISTRATION_STATES),
        CheckConstraint("state = 'RECEIVED' OR decided_at IS NOT NULL", name="decided"),
        CheckConstraint("state <> 'REFUSED' OR reason IS NOT NULL", name="refused_with_reason"),
        CheckConstraint("(longitude IS NULL) = (latitude IS NULL)", name="point"),
        Index("ix_registration_open", "credit_code", "seq", postgresql_where=text("state = 'RECEIVED'")),
        Index("ix_registration_enterprise_id", "enterprise_id"),
        {
            "info": {
                "access": Access(
                    TableClass.INTAKE,
                    select=("county",),
                    update={
                        "county": (
                            "kind",
                            "state",
                            "decided_by",
                            "decided_by_name",
                            "decided_at",
                            "reason",
                            "enterprise_id",
                            "version",
                            "updated_at",
                        )
                    },
                    agencies_only=True,
                    system={"sys_seed": "true", "sys_move": "true", "sys_retention": "true"},
                    system_write={**SYSTEM_WRITE, "sys_retention": ("DELETE",)},
                    definer=("SELECT", "INSERT", "UPDATE"),
                ),
                "extra_ddl": [*_RECEIVE, *_GATHER],
            }
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    """Version 4: the time of a citizen's request does not show in it."""
    kind: Mapped[str] = mapped_column(String(8))
    """NEW, or CLAIM when the code was known, or already requested in this county (decision 41)."""
    state: Mapped[str] = mapped_column(String(16), server_default=text("'RECEIVED'"))
    credit_code: Mapped[str] = mapped_column(String(18))
    name: Mapped[str] = mapped_column(Text)
    division_code: Mapped[str] = mapped_column(String(9))
    """What the citizen named; a claim may have been routed to another county."""
    address: Mapped[str] = mapped_column(Text)
    longitude: Mapped[float | None] = mapped_column(Double)
    latitude: Mapped[float | None] = mapped_column(Double)
    contact_name: Mapped[str] = mapped_column(Text)
    contact_phone: Mapped[str] = mapped_column(String(20))
    """In full: only the county that decides reads this table."""
    phone_masked: Mapped[str] = mapped_column(String(20))
    industry_code: Mapped[str | None] = mapped_column(String(4))
    park_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.agency.id"))
    enterprise_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.enterprise.id"))
    """The enterprise that was approved, or the one that a claim is about."""
    decided_by: Mapped[UUID | None]
    decided_by_name: Mapped[str | None] = mapped_column(Text)
    decided_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)
