"""Use cases of enterprises; each runs in one transaction that its caller opened and commits."""

from app.modules.enterprises.service import bulk, changes, file, people, registrations, sites

__all__ = ["bulk", "changes", "file", "people", "registrations", "sites"]
