"""The declarative base: one schema, one naming convention."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import TIMESTAMP, MetaData
from sqlalchemy.orm import DeclarativeBase

SCHEMA = "app"


class Base(DeclarativeBase):
    """Base of every mapped class; every moment is ``timestamptz``."""

    type_annotation_map: ClassVar = {datetime: TIMESTAMP(timezone=True)}
    metadata = MetaData(
        schema=SCHEMA,
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        },
    )
