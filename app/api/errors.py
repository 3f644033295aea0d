"""Top-level errors: authentication, limits, requests that are none, and bugs. Expected outcomes are payload data.

What a caller may see is either ours to say (a code below) or graphql-core's about the request;
everything else is masked, logged once, and found again by the request's id.
"""

import logging
from collections.abc import Iterable
from typing import Any

from graphql import GraphQLError

from app.api.compiled.values import BadVariableError, InputFaultError
from app.api.limits import LimitError
from app.kit.errors import translate
from infra.db.port import DatabaseUnavailableError

UNAUTHENTICATED = "UNAUTHENTICATED"
COST_LIMIT = "COST_LIMIT"
LIMIT = "LIMIT"
TIMEOUT = "TIMEOUT"
INTERNAL = "INTERNAL"
INVALID_REQUEST = "INVALID_REQUEST"
UNAVAILABLE = "UNAVAILABLE"

STATUS = {
    UNAUTHENTICATED: 401,
    COST_LIMIT: 400,
    LIMIT: 400,
    TIMEOUT: 504,
    INTERNAL: 500,
    INVALID_REQUEST: 400,
    UNAVAILABLE: 503,
}
"""HTTP status by code, where an answer has no data."""

QUERY_CANCELED = "57014"
"""SQLSTATE of a statement that ran into ``statement_timeout``."""

log = logging.getLogger(__name__)


class ApiError(GraphQLError):
    """A top-level error of ours."""

    def __init__(self, code: str, message: str, **extensions: Any) -> None:
        """Say what is wrong.

        Args:
            code: one of the codes of this module.
            message: for the developer or user who reads the answer.
            extensions: more for ``extensions``, such as ``retryAfter``.
        """
        super().__init__(message, extensions={"code": code, **extensions})


def api_error(code: str, locale: str, **params: Any) -> ApiError:
    """Return a top-level error with the catalogue's text."""
    return ApiError(code, translate(code, locale, **params))


def sqlstate(fault: BaseException | None) -> str | None:
    """Return the SQLSTATE behind an exception of the driver or of SQLAlchemy."""
    while fault is not None:
        state = getattr(fault, "sqlstate", None)
        if isinstance(state, str):
            return state
        fault = getattr(fault, "orig", None) or fault.__cause__
    return None


def present(errors: Iterable[GraphQLError], request_id: str, locale: str, seconds: int) -> list[dict[str, Any]]:
    """Return errors as the answer shows them, masked where they are bugs.

    Args:
        errors: of graphql-core.
        request_id: of the request; every error carries it.
        locale: of the caller.
        seconds: deadline that a timeout names.
    """
    return [_present(error, request_id, locale, seconds) for error in errors]


def _present(error: GraphQLError, request_id: str, locale: str, seconds: int) -> dict[str, Any]:
    original = error.original_error
    while isinstance(original, GraphQLError):
        original = original.original_error or None
    shown: dict[str, Any] = {"message": error.message}
    code = (error.extensions or {}).get("code")
    if isinstance(original, InputFaultError | BadVariableError):
        code = INVALID_REQUEST
    elif isinstance(original, LimitError):
        code = LIMIT
    elif isinstance(original, TimeoutError) or sqlstate(original) == QUERY_CANCELED:
        code, shown["message"] = TIMEOUT, translate(TIMEOUT, locale, seconds=seconds)
    elif isinstance(original, DatabaseUnavailableError):
        log.warning("the database is not available", extra={"request_id": request_id, "code": UNAVAILABLE})
        code, shown["message"] = UNAVAILABLE, translate(UNAVAILABLE, locale)
    elif original is not None and code is None:
        log.error("unexpected error", exc_info=original, extra={"request_id": request_id, "code": INTERNAL})
        code, shown["message"] = INTERNAL, translate(INTERNAL, locale, request_id=request_id)
    if error.locations:
        shown["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path is not None:
        shown["path"] = error.path
    shown["extensions"] = {**(error.extensions or {}), "code": code or INVALID_REQUEST, "requestId": request_id}
    return shown


def status_of(errors: list[dict[str, Any]]) -> int:
    """Return the HTTP status of an answer without data."""
    return max(STATUS.get(error["extensions"]["code"], 400) for error in errors)


def bug(fault: Exception) -> GraphQLError:
    """Wrap an exception that no resolver raised, so that it is masked and logged like every bug."""
    return GraphQLError("internal error", original_error=fault)
