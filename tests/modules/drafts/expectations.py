"""Drafts are their person's alone, under one membership; typed by hand."""

from tests.expectations import EVERY_TENANT, Rule
from tests.matrix.words import PERSONAL, Type, values

TABLES = {"draft": Rule(EVERY_TENANT, "own person", system={"sys_retention": "all"})}

TYPES = {
    "Draft": Type("draft", "draft", PERSONAL, values("form object content expiresAt createdAt updatedAt version")),
}

ROOTS = {
    "drafts": "list Draft",
    "draft": "by id Draft",
    "draftSave": "changes Draft",
    "draftDiscard": "changes Draft",
}

IDS = {"draftSave.object": "*", "draftDiscard.id": "Draft"}
