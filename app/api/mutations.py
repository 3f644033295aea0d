"""Runs mutations: one transaction per root field, repeats, conflicts, faults, audit.

Success is audited in the transaction; a denial in one of its own, after the rollback. The payload's
object is read before the commit, over the same bindings, as the caller's policies show it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from graphql import FieldNode, GraphQLObjectType, get_named_type
from sqlalchemy.orm.exc import StaleDataError

from app.api.compiled.binding import Bindings
from app.api.compiled.compile import Document, collect_fields, compile_object
from app.api.compiled.fallback import decode
from app.api.context import RequestContext
from app.api.errors import UNAUTHENTICATED, api_error
from app.kit import idempotency
from app.kit.errors import CONFLICT, NOT_FOUND, NOT_PERMITTED, ConflictFault, Fault, FaultGroup
from app.kit.gql.marks import MARK, MutationMark, Result
from app.kit.gql.types import Outcome, PayloadData, UserError
from app.kit.ids import parse_global_id
from app.kit.uow import WriteContext
from infra.db.port import Database
from infra.db.session import ReadSession, WriteSession
from tenants.context import Acting

_DEFINITION = "strawberry-definition"


class Auditor(Protocol):
    """What the audit slice gives the runner."""

    async def success(self, ctx: WriteContext, operation: str, object_type: str, object_id: UUID | None) -> None:
        """Write a success in the mutation's own transaction."""

    async def denial(self, ctx: RequestContext, operation: str, code: str, object_type: str, given: Any) -> None:
        """Write a denial in a transaction of its own, after the rollback."""

    async def refusal(self, db: Database, reason: str, request_id: str, person_id: UUID | None) -> None:
        """Write that a token or a membership was refused."""


@dataclass(frozen=True)
class MutationRunner:
    """Runs the mutations of a schema.

    Args:
        bindings: of the schema, for the payload's object.
        auditor: writes the audit log; None in tests without one.
    """

    bindings: Bindings
    auditor: Auditor | None = None

    async def run(self, ctx: RequestContext, mark: MutationMark, name: str, info: Any, given: Any) -> PayloadData:  # noqa: ARG002 - the port's form
        """Run one root field and return what its payload's fields read.

        Raises:
            ApiError: the caller must sign in.
        """
        if not mark.anonymous and not isinstance(ctx.caller, Acting):
            raise api_error(UNAUTHENTICATED, ctx.locale)
        call = _Call(self, ctx, mark, info._raw_info, given)  # noqa: SLF001 - the only way to the selection
        try:
            return await call.attempt()
        except StaleDataError:
            seen = getattr(given, "expected_version", 0)
            return await call.refused(ConflictFault(seen + 1))
        except Fault as fault:
            return await call.refused(fault)


class _Call:
    """One call of one mutation."""

    def __init__(self, runner: MutationRunner, ctx: RequestContext, mark: MutationMark, info: Any, given: Any) -> None:
        self.runner, self.ctx, self.mark, self.info, self.given = runner, ctx, mark, info, given
        self.operation: str = info.field_name
        blind = runner.bindings.blind(ctx.caller.login)
        self.document = Document(info.schema, runner.bindings, info.fragments, blind)
        self.payload: GraphQLObjectType = get_named_type(info.return_type)
        self.target = self._target()

    def _target(self) -> str:
        """Return the type of the payload's object; empty when it has none."""
        for field in self.payload.fields.values():
            definition = field.extensions.get(_DEFINITION)
            if definition is not None and isinstance(definition.metadata.get(MARK), Result):
                return str(get_named_type(field.type).name)
        return ""

    @property
    def object_type(self) -> str:
        """Prefix of the payload's object, for the audit log."""
        return self.runner.bindings.sources[self.target].prefix if self.target else ""

    async def attempt(self) -> PayloadData:
        """Run it in one transaction; leaving the block commits."""
        ctx = self.ctx
        person = ctx.caller.person_id
        async with ctx.db.write(ctx.caller.login, ctx.claims) as session:
            key = idempotency.key_of(person, self.operation, self.given)
            replay = await idempotency.begin(session, key) if key else None
            if replay is not None:
                seen = None if key is None or key.anonymous else replay.object_id
                return PayloadData(await self.objects(session, seen), [], replay.outcome)
            work = WriteContext(
                session=session,
                caller=ctx.caller,
                now=ctx.now,
                today=ctx.today,
                request_id=ctx.request_id,
                locale=ctx.locale,
            )
            outcome = await self.mark.run(work, self.given)
            if not isinstance(outcome, Outcome):
                outcome = Outcome(outcome)
            await session.flush()
            if self.runner.auditor is not None:
                await self.runner.auditor.success(work, self.operation, self.object_type, outcome.object_id)
            if key is not None:
                await idempotency.finish(session, key, outcome.object_id, outcome.values)
            values = {**outcome.values, **outcome.once}
            return PayloadData(await self.objects(session, outcome.object_id), [], values)

    async def refused(self, fault: Fault) -> PayloadData:
        """Return the payload of a fault, after the rollback; a conflict shows the object as it is now."""
        ctx = self.ctx
        faults: Sequence[Fault] = fault.faults if isinstance(fault, FaultGroup) else (fault,)
        if self.runner.auditor is not None:
            for one in faults:
                if one.code in (NOT_PERMITTED, NOT_FOUND):
                    await self.runner.auditor.denial(ctx, self.operation, one.code, self.object_type, self.given)
        objects: Mapping[str, Any] = {}
        conflict = next((one for one in faults if one.code == CONFLICT), None)
        if conflict is not None and self.target:
            found = parse_global_id(str(getattr(self.given, "id", "")), self.object_type)
            object_id = found[1] if found else getattr(conflict, "object_id", None)
            if object_id is not None:
                async with ctx.read_session() as session:
                    objects = await self.objects(session, object_id)
        errors = [UserError(code=one.code, field=list(one.field), message=one.message(ctx.locale)) for one in faults]
        return PayloadData(objects, errors)

    async def objects(self, session: ReadSession | WriteSession, object_id: UUID | None) -> dict[str, Any]:
        """Read the payload's object once per response key that selects it."""
        if object_id is None or not self.target:
            return {}
        variables = self.info.variable_values.coerced
        found: dict[str, Any] = {}
        for key, nodes in self._selected(variables).items():
            plan = compile_object(self.document, self.target, nodes, object_id, variables)
            connection = await session.connection()
            arguments = plan.arguments(self.ctx.claims, variables)
            result = await connection.exec_driver_sql(plan.sql, tuple(arguments))
            found[key] = decode(result.scalar_one())
        return found

    def _selected(self, variables: Mapping[str, Any]) -> dict[str, list[FieldNode]]:
        selected = collect_fields(self.document, self.payload, self.info.field_nodes, variables)
        kept: dict[str, list[FieldNode]] = {}
        for key, nodes in selected.items():
            field = self.payload.fields.get(nodes[0].name.value)
            if field is not None and isinstance(field.extensions[_DEFINITION].metadata.get(MARK), Result):
                kept[key] = nodes
        return kept
