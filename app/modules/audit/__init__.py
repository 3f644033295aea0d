"""Slice audit 审计: who did what to which object, and proof that nobody changed the record since."""
