"""Trusted documents: ``graphql/operations/**/*.graphql`` by the SHA-256 of their text.

They stand in front of every transport: in production free text is for registered clients only;
anonymous callers and cookie sessions name a document (decision 31).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from app.api.contract import contract_folder


@dataclass(frozen=True)
class TrustedDocument:
    """One registered document."""

    document_id: str
    """SHA-256 of the text, hexadecimal."""
    path: str
    """Below ``graphql/operations``."""
    text: str


class UnknownDocumentError(LookupError):
    """No document has this id."""


class UntrustedDocumentError(PermissionError):
    """This caller may not send free text here."""


class TrustedDocuments:
    """The manifest, and who may do without it."""

    def __init__(self, documents: Mapping[str, TrustedDocument], *, free_text: bool, clients: frozenset[str]) -> None:
        """Decide by environment and client.

        Args:
            documents: by id.
            free_text: whether everybody may send free text (development and tests).
            clients: registered clients (``azp``) that may in production.
        """
        self.documents = documents
        self._free_text = free_text
        self._clients = clients

    def resolve(self, document_id: str | None, text: str | None, client: str | None) -> str:
        """Return the text of a request.

        Args:
            document_id: SHA-256, with or without ``sha256:`` in front.
            text: free text of the request.
            client: the verified token's client; None for anonymous callers.

        Raises:
            UnknownDocumentError: no such document.
            UntrustedDocumentError: free text from a caller who may not send it.
        """
        if document_id is not None:
            found = self.documents.get(document_id.removeprefix("sha256:"))
            if found is None:
                raise UnknownDocumentError(document_id)
            return found.text
        assert text is not None  # noqa: S101 - the transport has checked that one of the two is there
        if self._free_text or (client is not None and client in self._clients):
            return text
        if hashlib.sha256(text.encode()).hexdigest() in self.documents:
            return text
        raise UntrustedDocumentError


@cache
def load_documents(folder: Path | None = None) -> Mapping[str, TrustedDocument]:
    """Read the documents of the contract, sorted by path."""
    root = (folder or contract_folder()) / "operations"
    found: dict[str, TrustedDocument] = {}
    for path in sorted(root.glob("**/*.graphql")):
        text = path.read_text(encoding="utf-8")
        key = hashlib.sha256(text.encode()).hexdigest()
        found[key] = TrustedDocument(key, path.relative_to(root).as_posix(), text)
    return found


def manifest(documents: Mapping[str, TrustedDocument]) -> dict[str, Any]:
    """Return the persisted-documents manifest: id to text."""
    ordered = sorted(documents.values(), key=lambda one: one.path)
    return {one.document_id: one.text for one in ordered}
