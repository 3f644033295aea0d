"""Uploads of sheets and downloads of results, by signed addresses: ``PUT /sheets/KEY``, ``GET /sheets/VERSION``."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote
from uuid import UUID

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, Router

from app.api.context import locale_of
from app.kit.errors import translate
from app.kit.sheets.files import BUCKET, Files, find, received
from infra.db.port import Database
from infra.objects.port import AddressRefusedError, ObjectMissingError, StoreUnavailableError, TooLargeError
from tenants.context import Visitor

_SAFE = {"x-content-type-options": "nosniff", "cache-control": "no-store", "content-security-policy": "sandbox"}


class SheetFiles:
    """The routes below ``/sheets``."""

    def __init__(self, db: Database, files: Files) -> None:
        """Serve the files of one store."""
        self._db, self._files = db, files
        self.router = Router(
            [
                Route("/{version:uuid}", self.download, methods=["GET"]),
                Route("/{key:path}", self.upload, methods=["PUT"]),
            ]
        )

    async def upload(self, request: Request) -> Response:
        """Take the file of an import, once, up to the signed length."""
        key = request.path_params["key"]
        try:
            signed = self._files.signer.verify("PUT", f"{BUCKET}/{key}", request.query_params.multi_items())
        except AddressRefusedError:
            return _refusal(request, 403, "ADDRESS_REFUSED")
        most = int(signed["most"])
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > most:
            return _refusal(request, 413, "SHEET_TOO_LARGE", limit=most // 2**20)
        try:
            kept = await received(self._db, UUID(signed["run"]), key, request.stream(), most)
        except TooLargeError:
            return _refusal(request, 413, "SHEET_TOO_LARGE", limit=most // 2**20)
        except StoreUnavailableError:
            return _refusal(request, 503, "STORE_UNAVAILABLE")
        except ClientDisconnect:
            return Response(status_code=400)
        return Response(status_code=204) if kept else _refusal(request, 409, "IMPORT_NOT_WAITING")

    async def download(self, request: Request) -> Response:
        """Give a result under its file name."""
        version_id: UUID = request.path_params["version"]
        try:
            signed = self._files.signer.verify("GET", f"{BUCKET}/{version_id}", request.query_params.multi_items())
            version = await find(self._db, version_id)
            content = self._files.store.read(version)
            first = await anext(content, b"")
        except (AddressRefusedError, ObjectMissingError):
            return _refusal(request, 403, "ADDRESS_REFUSED")
        name = quote(signed["name"])
        headers = {"content-disposition": f"attachment; filename*=UTF-8''{name}", "content-length": str(version.size)}
        return StreamingResponse(
            _chained(first, content), media_type=version.content_type, headers={**_SAFE, **headers}
        )


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _refusal(request: Request, status: int, code: str, **params: Any) -> Response:
    message = translate(code, locale_of(request.headers.get("accept-language"), Visitor()), **params)
    return JSONResponse({"code": code, "message": message}, status, headers={"cache-control": "no-store"})
