"""Codes of expected errors; their texts stand in ``app/kit/messages/audit.<locale>.json``."""

TENANT_UNKNOWN = "AUDIT_TENANT_UNKNOWN"
