"""The record of the slice."""

from app.kit.module import Module
from app.modules.audit.api import AuditQuery
from app.modules.audit.public import ApiAuditor

MODULE = Module("audit", "审计 Audit", query=AuditQuery)
AUDITOR = ApiAuditor()
"""The web server hands it to the mutation runner."""
