"""The record of the slice."""

from app.kit.module import Module
from app.modules.audit.api import AuditQuery

MODULE = Module("audit", "审计 Audit", query=AuditQuery)
