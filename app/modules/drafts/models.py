"""Tables of drafts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, Integer, String, text
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.base import Base
from tenants.access import Access, TableClass
from tenants.kinds import PEOPLE_LOGINS
from tenants.scoped import Stamped, Versioned

ACTIVE, DISCARDED = "ACTIVE", "DISCARDED"
DRAFT_STATES = (ACTIVE, DISCARDED)
ID_LENGTH = 100
"""Longest global id that a draft names."""


class Draft(Versioned, Stamped, Base):
    """草稿: what somebody has filled into a form and not sent yet; one per membership, form and object."""

    __tablename__ = "draft"
    __table_args__ = (
        CheckConstraint(f"state IN ({', '.join(map(repr, DRAFT_STATES))})", name="state"),
        Index(
            "uq_draft_form",
            "membership_id",
            "form",
            text("coalesce(object, '')"),
            unique=True,
            postgresql_where=text("state = 'ACTIVE'"),
        ),
        Index("ix_draft_person", "person_id", "seq"),
        Index("ix_draft_expires", "expires_at"),
        {
            "info": {
                "access": Access(
                    TableClass.PERSON,
                    select=PEOPLE_LOGINS,
                    insert=dict.fromkeys(
                        PEOPLE_LOGINS,
                        (
                            *("id", "person_id", "membership_id", "owner_key", "form", "object", "content"),
                            *("expires_at", "version"),
                        ),
                    ),
                    update=dict.fromkeys(PEOPLE_LOGINS, ("content", "state", "expires_at", "version", "updated_at")),
                    system={"sys_retention": "true"},
                    system_write={"sys_retention": ("DELETE",)},
                )
            }
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    person_id: Mapped[UUID]
    membership_id: Mapped[UUID]
    """Under which membership it was written; another one of the same person does not see it."""
    owner_key: Mapped[int] = mapped_column(Integer)
    """The tenant that the person acts for."""
    form: Mapped[str] = mapped_column(String(64))
    object: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    """Global id of what the form changes; NULL: something new."""
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    """As text, so that it comes back as it was, order of keys included."""
    state: Mapped[str] = mapped_column(String(12), server_default=text(f"'{ACTIVE}'"))
    expires_at: Mapped[datetime]
    """Real time after which it is removed; each saving puts it off."""
