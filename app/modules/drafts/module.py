"""The record of the slice."""

from app.kit.module import Module
from app.modules.drafts.api import DraftsMutation, DraftsQuery

MODULE = Module("drafts", "草稿 Drafts", query=DraftsQuery, mutation=DraftsMutation)
