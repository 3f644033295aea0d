"""One GraphQL request, whatever carried it: document, limits, compiled statement or graphql-core, answer.

The compiled path only ever answers ``{"data":…}`` without errors; whatever goes wrong there is run
again on graphql-core, which says where. Mutations never take it and are never run twice.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
from graphql import ExecutionResult, GraphQLError, OperationType, execute, get_variable_values

from app.api import errors as top
from app.api.compiled.plan import Documents, Operation, Refusal
from app.api.compiled.values import BadVariableError, InputFaultError
from app.api.context import RequestContext
from app.api.limits import LimitError, Limits
from app.api.schema import Api
from app.api.trusted import TrustedDocuments, UnknownDocumentError, UntrustedDocumentError
from app.kit.errors import translate
from app.kit.gql import marks
from infra.db.port import DatabaseUnavailableError
from tenants.context import Acting

log = logging.getLogger(__name__)
_SERIALIZATION = "40001"
"""SQLSTATE after which a read is tried once more, as after a lost connection and a fault of the driver."""


@dataclass(frozen=True)
class GraphQLRequest:
    """What a client asks for."""

    query: str | None
    document_id: str | None = None
    operation_name: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What the client gets: the body, and what the transport turns into status and headers."""

    body: bytes
    path: str
    """``compiled``, ``fallback``, ``mutation`` or ``refused``."""
    codes: tuple[str, ...] = ()
    """Codes of the top-level errors."""
    has_data: bool = True
    """Whether there is a ``data`` that is not null."""
    request_error: bool = False
    """Whether nothing was executed."""
    status: int = 200
    """HTTP status where there is no data, for ``application/graphql-response+json``."""
    cost: int | None = None
    budget: int | None = None


class Engine:
    """Executes requests against one schema."""

    def __init__(self, api: Api, limits: Limits, trusted: TrustedDocuments) -> None:
        """Prepare the cache of documents and read the trusted ones into it."""
        self.api, self.limits, self.trusted = api, limits, trusted
        self.documents = Documents(api.schema, api.bindings, limits)
        for one in trusted.documents.values():
            self.documents.get(one.text, None)

    def budget(self, ctx: RequestContext) -> int:
        """Return what one request of this caller may cost."""
        return self.limits.user if ctx.token is not None else self.limits.anonymous

    async def run(
        self, request: GraphQLRequest, ctx: RequestContext, *, queries_only: bool = False, compiled: bool = True
    ) -> Answer:
        """Execute a request.

        Args:
            request: what is asked for.
            ctx: who asks.
            queries_only: whether the transport forbids mutations (GET).
            compiled: False forces graphql-core, for tests of equivalence.

        Raises:
            MutationByGetError: a mutation came by a transport for queries only.
        """
        try:
            text = self.trusted.resolve(request.document_id, request.query, ctx.identity.client)
        except UnknownDocumentError:
            return self._refuse(ctx, [self._fault("UNKNOWN_DOCUMENT", ctx)])
        except UntrustedDocumentError:
            return self._refuse(ctx, [self._fault("UNTRUSTED_DOCUMENT", ctx)])
        operation = self.documents.get(text, request.operation_name)
        if isinstance(operation, Refusal):
            return self._refuse(ctx, operation.errors)
        if operation.node.operation is OperationType.MUTATION and queries_only:
            raise MutationByGetError
        return await self._operate(operation, request, ctx, compiled=compiled)

    async def _operate(
        self, operation: Operation, request: GraphQLRequest, ctx: RequestContext, *, compiled: bool
    ) -> Answer:
        if operation.node.operation is OperationType.SUBSCRIPTION:
            return self._refuse(ctx, [GraphQLError("subscriptions are not served here")])
        try:
            values = operation.coercer.coerce(request.variables)
        except (BadVariableError, RecursionError):
            return self._refuse(ctx, self._variable_errors(operation, request))
        budget = self.budget(ctx)
        try:
            cost = operation.analysis.price(values)
        except LimitError as fault:
            return self._refuse(ctx, [top.ApiError(top.LIMIT, str(fault))])
        if cost > budget:
            fault_ = top.api_error(top.COST_LIMIT, ctx.locale, cost=cost, limit=budget)
            return self._refuse(ctx, [fault_], cost, budget)
        if operation.node.operation is OperationType.MUTATION and self._needs_membership(operation, ctx):
            return self._refuse(ctx, [top.api_error(top.UNAUTHENTICATED, ctx.locale)], cost, budget)
        work = self._timed(operation, request, values, ctx, (cost, budget), compiled=compiled)
        if operation.node.operation is OperationType.MUTATION:
            # A client that goes away does not leave a mutation half-way: it ends, or rolls back whole.
            return await asyncio.shield(asyncio.ensure_future(work))
        return await work

    async def _timed(
        self,
        operation: Operation,
        request: GraphQLRequest,
        values: Mapping[str, Any],
        ctx: RequestContext,
        price: tuple[int, int],
        *,
        compiled: bool,
    ) -> Answer:
        """Run a priced operation within the deadline."""
        cost, budget = price
        try:
            async with asyncio.timeout(self.limits.seconds):
                if compiled and operation.node.operation is OperationType.QUERY:
                    body = await self._compiled(operation, values, ctx)
                    if body is not None:
                        return Answer(body, "compiled", cost=cost, budget=budget)
                return await self._execute(operation, request, ctx, cost, budget)
        except TimeoutError:
            message = translate(top.TIMEOUT, ctx.locale, seconds=self.limits.seconds)
            return self._refuse(ctx, [top.ApiError(top.TIMEOUT, message)], cost, budget)

    async def _compiled(self, operation: Operation, values: Mapping[str, Any], ctx: RequestContext) -> bytes | None:
        """Run the compiled statement; None: graphql-core shall run the operation."""
        try:
            plan = operation.plan(values, ctx.caller.login)
            if plan is None:
                return None
            arguments = plan.arguments(ctx.claims, values)
        except InputFaultError:
            return None
        reader = ctx.db.reader(ctx.caller.login)
        for again in (True, False):
            try:
                return cast("bytes", await reader.fetchval(plan.sql, *arguments))
            except Exception as fault:
                state = top.sqlstate(fault)
                if state == top.QUERY_CANCELED:
                    raise TimeoutError from fault
                if again and _may_pass(fault, state):
                    continue
                log.warning("compiled read failed", extra={"request_id": ctx.request_id, "code": state or "driver"})
                break
        return None

    async def _execute(
        self, operation: Operation, request: GraphQLRequest, ctx: RequestContext, cost: int, budget: int
    ) -> Answer:
        ctx.variables = request.variables
        made = execute(
            self.api.schema,
            operation.document,
            context_value=ctx,
            variable_values=dict(request.variables),
            operation_name=operation.node.name.value if operation.node.name else None,
            hide_suggestions=True,
        )
        result = await made if not isinstance(made, ExecutionResult) else made
        shown: dict[str, Any] = {"data": result.data}
        codes: tuple[str, ...] = ()
        status = 200
        if result.errors:
            shown["errors"] = top.present(result.errors, ctx.request_id, ctx.locale, self.limits.seconds)
            codes = tuple(error["extensions"]["code"] for error in shown["errors"])
            status = top.status_of(shown["errors"])
        path = "mutation" if operation.node.operation is OperationType.MUTATION else "fallback"
        empty = result.data is None or (bool(result.errors) and all(value is None for value in result.data.values()))
        return Answer(
            orjson.dumps(shown, default=str), path, codes, has_data=not empty, status=status, cost=cost, budget=budget
        )

    def _needs_membership(self, operation: Operation, ctx: RequestContext) -> bool:
        """Whether a root field of a mutation is for members only and the caller is none."""
        if isinstance(ctx.caller, Acting) or self.api.schema.mutation_type is None:
            return False
        for definition in self.api.schema.mutation_type.fields.items():
            name, field_ = definition
            found = field_.extensions.get("strawberry-definition")
            mark = found.metadata.get(marks.MARK) if found is not None else None
            if name in operation.roots and isinstance(mark, marks.MutationMark) and not mark.anonymous:
                return True
        return False

    def _variable_errors(self, operation: Operation, request: GraphQLRequest) -> list[GraphQLError]:
        found = get_variable_values(
            self.api.schema,
            operation.node.variable_definitions or (),
            dict(request.variables),
            max_errors=20,
            hide_suggestions=True,
        )
        return found if isinstance(found, list) and found else [GraphQLError("variables do not fit")]

    def _fault(self, code: str, ctx: RequestContext) -> top.ApiError:
        return top.ApiError(top.INVALID_REQUEST, translate(code, ctx.locale), reason=code)

    def _refuse(self, ctx: RequestContext, found: Any, cost: int | None = None, budget: int | None = None) -> Answer:
        return refusal(found, ctx.request_id, ctx.locale, self.limits.seconds, cost=cost, budget=budget)


def _may_pass(fault: Exception, state: str | None) -> bool:
    """Whether a failed read is worth a second try."""
    if isinstance(fault, DatabaseUnavailableError) or state == _SERIALIZATION:
        return True
    return state is None and not isinstance(fault, ValueError)


class MutationByGetError(Exception):
    """GET carries queries only."""


def refusal(
    found: Any, request_id: str, locale: str, seconds: int, *, cost: int | None = None, budget: int | None = None
) -> Answer:
    """Return the answer of a request of which nothing was executed."""
    shown = top.present(found, request_id, locale, seconds)
    return Answer(
        orjson.dumps({"errors": shown}, default=str),
        "refused",
        tuple(error["extensions"]["code"] for error in shown),
        has_data=False,
        request_error=True,
        status=top.status_of(shown),
        cost=cost,
        budget=budget,
    )
