"""Tables of the tenant tree: tenants, agencies, changes, persons, memberships, dated grants.

Divisions are facts of the standards slice; a tenant only names its division's code.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.base import Base
from tenants.access import Access, TableClass
from tenants.isolation import definer_trigger
from tenants.kinds import AUTHORITIES, LEVELS, Kind
from tenants.scoped import ScopeColumns, Stamped, Versioned

_OFFICES = ("province", "city", "county", "township", "park")
_ALL = (*LEVELS, "assigned")
_CHANGE = "id owner_key kind before after valid_from document actor_name actor_post actor_agency other_id"
_MEMBER_NEW = (
    "id owner_key person_id name post phone_masked roles state valid_from valid_to proposed_by proposed_by_name "
    "slip_hash slip_expires_at is_primary"
)
_MEMBER_CHANGE = (
    "name post phone_masked roles state valid_from valid_to approved_by approved_by_name end_reason slip_hash "
    "slip_expires_at version updated_at"
)
_GRANT_NEW = "id owner_key grantee_key grantee_name purpose valid_from valid_to document"
_KINDS = ", ".join(f"'{kind}'" for kind in Kind)
_AGENCY_TRIGGER = definer_trigger(
    "app.publish_agency",
    """BEGIN
  INSERT INTO app.agency AS a (id, key, kind, name, name_sort, division_code, parent_id, status)
  VALUES (NEW.id, NEW.key, NEW.kind, NEW.name, NEW.name_sort, NEW.division_code, NEW.parent_id, NEW.status)
  ON CONFLICT (id) DO UPDATE SET name = excluded.name, name_sort = excluded.name_sort,
    division_code = excluded.division_code, parent_id = excluded.parent_id, status = excluded.status;
  RETURN NULL;
END""",
    "CREATE TRIGGER publish_agency AFTER INSERT OR UPDATE ON app.tenant FOR EACH ROW "
    f"WHEN (NEW.kind IN ({', '.join(repr(str(kind)) for kind in AUTHORITIES)}))",
)
"""What all may read is a table of its own, kept equal by the database (decision 14)."""
_OPENED = (
    "kind = 'ENTERPRISE' AND (SELECT a.kind FROM app.agency a WHERE a.id = tenant.parent_id) IN ('COUNTY', 'TOWNSHIP')"
)
"""What a county opens: enterprises. That the parent is the county itself or a township of its own, not a park or
a neighbour, follows together with the policy of its level, which looks at the county key that the parent gave."""


class Tenant(ScopeColumns, Versioned, Stamped, Base):
    """One isolated party: an authority, a park, an enterprise, a rescue team or an agency."""

    __tablename__ = "tenant"
    __table_args__ = (
        CheckConstraint(f"kind IN ({_KINDS})", name="kind"),
        CheckConstraint("status IN ('ACTIVE', 'SUSPENDED', 'CLOSED')", name="status"),
        Index(
            "uq_tenant_division",
            "kind",
            "division_code",
            unique=True,
            postgresql_where=text("kind IN ('PROVINCE', 'CITY', 'COUNTY', 'TOWNSHIP') AND status <> 'CLOSED'"),
        ),
        Index("uq_tenant_credit_code", "credit_code", unique=True, postgresql_where=text("credit_code IS NOT NULL")),
        {
            "info": {
                "access": Access(
                    TableClass.TENANT,
                    select=_ALL,
                    insert={
                        "county": (
                            "id",
                            "kind",
                            "name",
                            "name_sort",
                            "credit_code",
                            "parent_id",
                            "home_park_id",
                            "owner_key",
                        ),
                    },
                    insert_only={"county": _OPENED},
                    update={
                        **dict.fromkeys(_OFFICES, ("name", "name_sort", "status", "config", "version", "updated_at")),
                        "enterprise": ("config", "version", "updated_at"),
                    },
                    self_keyed=True,
                    hosted=True,
                    granted=True,
                    system={
                        "sys_seed": "true",
                        "sys_move": "true",
                        "sys_identity": "true",
                        "sys_intake": "true",
                        "sys_jobs": "true",
                        "sys_audit": "true",
                    },
                    system_write={"sys_seed": ("INSERT", "UPDATE"), "sys_move": ("UPDATE",)},
                    definer=("SELECT",),
                ),
                "extra_ddl": [*_AGENCY_TRIGGER, "GRANT USAGE ON SEQUENCE app.tenant_key_seq TO anlan_sys_seed"],
            }
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[int] = mapped_column(Integer, Identity(), unique=True)
    """Internal key that level columns hold; it never leaves the installation."""
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(Text)
    name_sort: Mapped[str] = mapped_column(Text(collation="C"), server_default=text("''"))
    """Sort key by pinyin, made by the application (``app.kit.sortkey``)."""
    division_code: Mapped[str | None] = mapped_column(String(9))
    """GB/T 2260 code: 2, 4, 6 or 9 digits; NULL where the source names none."""
    credit_code: Mapped[str | None] = mapped_column(String(18))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.tenant.id"), index=True)
    home_park_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.tenant.id"))
    """Park of an enterprise whose whole premises lie in it; a site names its own park."""
    status: Mapped[str] = mapped_column(String(16), server_default=text("'ACTIVE'"), default="ACTIVE")
    successor_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.tenant.id"), index=True)
    """Who took over a closed tenant (merger, succession); its rows carry the successor's keys from then on."""
    config: Mapped[dict[str, object]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"), default=dict)


class Agency(Base):
    """Names of authorities and parks, readable by all (decision 14); kept by a trigger on ``tenant``."""

    __tablename__ = "agency"
    __table_args__ = (
        {
            "info": {
                "access": Access(
                    TableClass.REFERENCE,
                    definer=("SELECT", "INSERT", "UPDATE"),
                )
            }
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[int] = mapped_column(Integer, unique=True)
    kind: Mapped[str] = mapped_column(String(16), index=True)
    name: Mapped[str] = mapped_column(Text)
    name_sort: Mapped[str] = mapped_column(Text(collation="C"), server_default=text("''"))
    division_code: Mapped[str | None] = mapped_column(String(9), index=True)
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.agency.id"), index=True)
    status: Mapped[str] = mapped_column(String(16), server_default=text("'ACTIVE'"))


class TenantChange(ScopeColumns, Stamped, Base):
    """A dated change of a tenant: rename, move, merger, succession, closing. Append-only."""

    __tablename__ = "tenant_change"
    __table_args__ = (
        CheckConstraint("kind IN ('RENAME', 'MOVE', 'MERGE', 'SUCCEED', 'CLOSE')", name="kind"),
        ForeignKeyConstraint(["owner_key"], ["app.tenant.key"]),
        {
            "info": {
                "access": Access(
                    TableClass.TENANT,
                    select=_ALL,
                    insert=dict.fromkeys(
                        _OFFICES,
                        (
                            "id",
                            "owner_key",
                            "kind",
                            "before",
                            "after",
                            "valid_from",
                            "document",
                            "actor_name",
                            "actor_post",
                            "actor_agency",
                            "other_id",
                        ),
                    ),
                    system={"sys_seed": "true", "sys_move": "true"},
                    system_write={"sys_seed": ("INSERT",), "sys_move": ("INSERT", "UPDATE")},
                )
            }
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    before: Mapped[dict[str, object]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    after: Mapped[dict[str, object]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    valid_from: Mapped[date]
    document: Mapped[str | None] = mapped_column(Text)
    """The decision's document number."""
    other_id: Mapped[UUID | None] = mapped_column()
    """The other tenant of a merger or succession, or the new parent of a move."""
    applied_at: Mapped[datetime | None] = mapped_column()
    """Real time at which the move job had rewritten the last key; NULL: still to do. A rename has no such work."""
    actor_name: Mapped[str | None] = mapped_column(Text)
    actor_post: Mapped[str | None] = mapped_column(Text)
    actor_agency: Mapped[str | None] = mapped_column(Text)


class Person(Stamped, Base):
    """A human being who signs in; known by issuer and subject, never by a phone number."""

    __tablename__ = "person"
    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        {
            "info": {
                "access": Access(
                    TableClass.PERSON,
                    select=(*_ALL, "public"),
                    update=dict.fromkeys((*_ALL, "public"), ("display_name", "locale", "updated_at")),
                    system={"sys_identity": "true", "sys_seed": "true", "sys_jobs": "true"},
                    system_write={"sys_seed": ("INSERT",), "sys_jobs": ("INSERT", "UPDATE")},
                )
            }
        },
    )

    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    issuer: Mapped[str] = mapped_column(String(64))
    """Short name of the trusted issuer (``gov``, ``ent``), stable when its address changes."""
    subject: Mapped[str] = mapped_column(String(255))
    display_name: Mapped[str] = mapped_column(Text)
    locale: Mapped[str] = mapped_column(String(8), server_default=text("'zh-CN'"))


class Membership(ScopeColumns, Versioned, Stamped, Base):
    """A person's place in a tenant: post, roles, validity. The authority over every right (D3)."""

    __tablename__ = "membership"
    __table_args__ = (
        CheckConstraint("state IN ('PROPOSED', 'PENDING', 'ACTIVE', 'SUSPENDED', 'ENDED', 'REFUSED')", name="state"),
        UniqueConstraint("owner_key", "id"),
        ForeignKeyConstraint(["owner_key"], ["app.tenant.key"]),
        Index("ix_membership_person", "person_id"),
        Index("ix_membership_slip", "slip_hash", unique=True, postgresql_where=text("slip_hash IS NOT NULL")),
        {
            "info": {
                "access": Access(
                    TableClass.TENANT,
                    select=_ALL,
                    insert=dict.fromkeys(
                        _ALL,
                        (
                            "id",
                            "owner_key",
                            "person_id",
                            "name",
                            "post",
                            "phone_masked",
                            "roles",
                            "state",
                            "valid_from",
                            "valid_to",
                            "proposed_by",
                            "proposed_by_name",
                            "slip_hash",
                            "slip_expires_at",
                            "is_primary",
                            "version",
                        ),
                    ),
                    update=dict.fromkeys(
                        _ALL,
                        (
                            "name",
                            "post",
                            "phone_masked",
                            "roles",
                            "state",
                            "valid_from",
                            "valid_to",
                            "approved_by",
                            "approved_by_name",
                            "end_reason",
                            "slip_hash",
                            "slip_expires_at",
                            "version",
                            "updated_at",
                        ),
                    ),
                    hosted=True,
                    system={
                        "sys_identity": "true",
                        "sys_seed": "true",
                        "sys_move": "true",
                        "sys_jobs": "true",
                        "sys_intake": "true",
                    },
                    system_write={"sys_seed": ("INSERT",), "sys_move": ("UPDATE",), "sys_jobs": ("UPDATE",)},
                    definer=("SELECT", "UPDATE"),
                )
            }
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.person.person_id"))
    """NULL until the person has activated."""
    name: Mapped[str] = mapped_column(Text)
    post: Mapped[str] = mapped_column(Text, server_default=text("''"))
    phone_masked: Mapped[str | None] = mapped_column(String(20))
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    state: Mapped[str] = mapped_column(String(16))
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    is_primary: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    proposed_by: Mapped[UUID | None] = mapped_column()
    proposed_by_name: Mapped[str | None] = mapped_column(Text)
    approved_by: Mapped[UUID | None] = mapped_column()
    approved_by_name: Mapped[str | None] = mapped_column(Text)
    end_reason: Mapped[str | None] = mapped_column(Text)
    slip_hash: Mapped[str | None] = mapped_column(String(64))
    """SHA-256 of the activation slip's code; one use, 7 days (decision 47)."""
    slip_expires_at: Mapped[datetime | None]


def _grant(who: str, writers: tuple[str, ...], *columns: str) -> dict[str, dict[str, Access]]:
    return {
        "info": {
            "access": Access(
                TableClass.TENANT,
                select=(*_OFFICES, "assigned", "enterprise") if who == "enterprise" else (*_OFFICES, "assigned"),
                insert=dict.fromkeys(
                    writers,
                    (
                        "id",
                        "owner_key",
                        "grantee_key",
                        "grantee_name",
                        "purpose",
                        "valid_from",
                        "valid_to",
                        "document",
                        "version",
                        *columns,
                    ),
                ),
                update=dict.fromkeys(writers, ("valid_to", "version", "updated_at")),
                grantee=True,
                system={"sys_seed": "true", "sys_move": "true"},
                system_write={"sys_seed": ("INSERT",), "sys_move": ("UPDATE",)},
                definer=("SELECT",),
            )
        }
    }


class _Grant(ScopeColumns, Versioned, Stamped):
    """A dated row that lets one tenant read what another owns; it ends by itself.

    Ended before its first day, it holds on no day: ``valid_to`` is the day before ``valid_from``.
    """

    id: Mapped[UUID] = mapped_column(primary_key=True)
    grantee_key: Mapped[int] = mapped_column(Integer, index=True)
    grantee_name: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str] = mapped_column(Text)
    valid_from: Mapped[date]
    valid_to: Mapped[date]
    document: Mapped[str | None] = mapped_column(Text)


class ScopeGrant(_Grant, Base):
    """Delegation, experts and service agencies: the grantee reads the owner's rows while it is valid."""

    __tablename__ = "scope_grant"
    __table_args__ = (
        CheckConstraint("valid_to >= valid_from - 1", name="dates"),
        ForeignKeyConstraint(["grantee_key"], ["app.tenant.key"]),
        ForeignKeyConstraint(["owner_key"], ["app.tenant.key"]),
        _grant("enterprise", ("enterprise", "county")),
    )


class IncidentCall(_Grant, Base):
    """A rescue team called to an incident of an enterprise; ends some days after closing."""

    __tablename__ = "incident_call"
    __table_args__ = (
        CheckConstraint("valid_to >= valid_from - 1", name="dates"),
        ForeignKeyConstraint(["grantee_key"], ["app.tenant.key"]),
        ForeignKeyConstraint(["owner_key"], ["app.tenant.key"]),
        _grant("enterprise", ("county", "city", "province"), "incident_id"),
    )

    incident_id: Mapped[UUID]


class Hosting(_Grant, Base):
    """A county hosted in another's information centre: the host's operators see its members, nothing else."""

    __tablename__ = "hosting"
    __table_args__ = (
        CheckConstraint("valid_to >= valid_from - 1", name="dates"),
        ForeignKeyConstraint(["grantee_key"], ["app.tenant.key"]),
        ForeignKeyConstraint(["owner_key"], ["app.tenant.key"]),
        _grant("county", ("county", "city")),
    )


class RevokedSession(Base):
    """A session at an issuer that was ended while its tokens may still live; see :mod:`tenants.revocations`.

    Kept until ``expires_at``, by real time, when no token of it is accepted any more.
    """

    __tablename__ = "revoked_session"
    __table_args__ = (
        Index("ix_revoked_session_expires_at", "expires_at"),
        {
            "info": {
                "access": Access(
                    TableClass.SYSTEM,
                    system={"sys_identity": "true", "sys_jobs": "true", "sys_retention": "true"},
                    system_write={"sys_jobs": ("INSERT",), "sys_retention": ("DELETE",)},
                ),
                "extra_ddl": definer_trigger(
                    "app.session_revoked",
                    "BEGIN\n  PERFORM pg_notify('membership', '');\n  RETURN NULL;\nEND",
                    "CREATE TRIGGER evict AFTER INSERT ON app.revoked_session FOR EACH STATEMENT",
                ),
            }
        },
    )

    issuer: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Short name of the trusted issuer, as in ``person``."""
    sid: Mapped[str] = mapped_column(String(255), primary_key=True)
    revoked_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime]


class ClockOffset(Base):
    """Development only: the offset of the legal clock in seconds, one row that all processes read."""

    __tablename__ = "clock_offset"
    __table_args__ = (
        CheckConstraint("id = 1", name="single"),
        {
            "info": {
                "access": Access(
                    TableClass.REFERENCE,
                    system={"sys_clock": "true"},
                    system_write={"sys_clock": ("INSERT", "UPDATE")},
                )
            }
        },
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, server_default=text("1"))
    seconds: Mapped[int] = mapped_column(server_default=text("0"))
