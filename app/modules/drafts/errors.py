"""Codes of expected errors; their texts stand in ``app/kit/messages/drafts.<locale>.json``."""

FORM = "DRAFT_FORM"
OBJECT = "DRAFT_OBJECT"
CONTENT = "DRAFT_CONTENT"
TOO_LARGE = "DRAFT_TOO_LARGE"
TOO_MANY = "DRAFT_TOO_MANY"
