"""The paths ``import`` and ``export`` of the matrix: what a ledger takes from an actor, and what it gives him.

Exports run as people start them, job included, and their file is read back. On imports, every row of the world is
offered to every actor: found by its key, and changed by its id, as a forged sheet would.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from app.kit.errors import Fault, NotPermittedFault
from app.kit.sheets.ledger import LEDGERS, Incoming, Ledger
from app.kit.uow import WriteContext
from app.modules.sheets import service
from tenants.context import Acting
from tests.conftest import Clone
from tests.factories.enterprises import working
from tests.factories.sheets import cells, content_of, job_of, run_job, run_of
from tests.matrix.report import Cell
from tests.matrix.run import Matrix
from tests.matrix.words import Sheet, Value, camel
from tests.modules.used import checksums
from tests.world import TODAY, Actor

Find = Callable[[Actor], Awaitable[Acting | None]]
"""Looks up the membership of an actor as a request does; None when it no longer holds."""


class _RolledBack(Exception):  # noqa: N818 - ends a transaction that is only looked at
    pass


class SheetPaths:
    """Both paths for one ledger over a world of one's own."""

    def __init__(self, matrix: Matrix, clone: Clone, sheet: Sheet, acting: Find) -> None:
        """Take what is expected of a ledger."""
        self.matrix, self.clone, self.sheet, self.find = matrix, clone, sheet, acting
        self.kind = matrix.truth.expected.types[sheet.type]

    @property
    def ledger(self) -> Ledger:
        """The ledger as the product declares it."""
        return LEDGERS[self.sheet.ledger]

    async def run(self, actor: Actor) -> None:
        """Try both paths as an actor; one whose membership has ended gets as far as nothing."""
        acting = await self.find(actor)
        assert (acting is not None) is actor.acts
        if acting is not None:
            await self._export(actor, acting)
            await self._import(actor, acting)

    def _may(self, actor: Actor, table: Any) -> bool:
        return bool(set(table.get(self.matrix.truth.world.kind(actor), ())) & set(actor.roles))

    async def _export(self, actor: Actor, acting: Acting) -> None:
        """Compare the exported file with the rows that the actor reads."""
        before = await checksums(self.clone.admin)
        try:
            async with working(self.clone.db, acting, TODAY) as ctx:
                run_id = await service.start_export(ctx, self.sheet.ledger, {}, self.sheet.columns, "matrix")
        except NotPermittedFault:
            assert not self._may(actor, self.sheet.exporters), f"{actor.name} may not export {self.sheet.ledger}"
            assert await checksums(self.clone.admin) == before
            self._judge_export(actor, None)
            return
        assert self._may(actor, self.sheet.exporters), f"{actor.name} may export {self.sheet.ledger}"
        assert await run_job(self.clone, await job_of(self.clone, run_id, "export_run"), acting) == "DONE"
        run = await run_of(self.clone, run_id, "export_run")
        _, *rows = cells(await content_of(self.clone, run["file_version_id"]))
        self._judge_export(actor, rows)

    def _judge_export(self, actor: Actor, rows: Sequence[Sequence[Any]] | None) -> None:
        truth = self.matrix.truth
        visible = truth.visible(self.sheet.type, actor)
        found = {row[0]: row for row in rows or ()}
        strange = found.keys() - {row[self.sheet.columns[0]] for row in visible.values()}
        if strange or len(found) != len(rows or ()):
            self.matrix.report.failures.append(f"export {self.sheet.ledger} {actor.name}: {sorted(strange)}")
        for row in truth.rows(self.sheet.type):
            shown = found.get(row[self.sheet.columns[0]])
            wanted = rows is not None and truth.gid(self.sheet.type, row) in visible
            for place, column in enumerate(self.sheet.columns):
                right = (shown is not None) is wanted
                if right and shown is not None:
                    right = shown[place] == ("" if row[column] is None else row[column])
                relation = truth.relation(self.sheet.type, row, actor)
                cell = Cell(self.sheet.type, camel(column), actor.name, relation, "export")
                self.matrix.report.saw(cell, ok=right, detail=f"{row['id']} in the file: {shown is not None}")

    async def _import(self, actor: Actor, acting: Acting) -> None:
        """Offer every row of the world: who may not changes nothing, who may changes only what is his."""
        way = self.ledger.importing
        assert way is not None
        may = self._may(actor, self.sheet.importers)
        assert self.ledger.may_import(acting) is may, f"{actor.name} imports into {self.sheet.ledger}"
        truth = self.matrix.truth
        rows = truth.rows(self.sheet.type)
        seen: set[UUID] = set()
        with suppress(Fault):
            async with working(self.clone.db, acting, TODAY) as ctx:
                self.ledger.for_import(acting)
                there = await way.lookup(ctx, [row[way.key] for row in rows])
                seen = {one.object_id for one in there.values()}
        for row in rows:
            relation = truth.relation(self.sheet.type, row, actor)
            his = may and relation in self.sheet.importable
            changed = await self._changes(acting, row)
            ok = changed is his and (row["id"] in seen) is (his if may else False)
            for column in sorted(way.changeable):
                shows = self.kind.fields.get(camel(column))
                if isinstance(shows, Value):
                    cell = Cell(self.sheet.type, camel(column), actor.name, relation, "import")
                    said = f"{row['id']} changed: {changed}, found by its key: {row['id'] in seen}"
                    self.matrix.report.saw(cell, ok=ok, detail=said)

    async def _changes(self, acting: Acting, row: dict[str, Any]) -> bool:
        """Try to change one row by its id; say whether the database took it, and take it back."""
        way = self.ledger.importing
        assert way is not None
        changed = False

        async def attempt(ctx: WriteContext) -> bool:
            given = Incoming(2, dict.fromkeys(self.sheet.changed, "matrix"), row["id"], row["version"])
            return (await way.write(ctx, [given]))[0].fault is None

        with suppress(_RolledBack, Fault):
            async with working(self.clone.db, acting, TODAY) as ctx:
                changed = await attempt(ctx)
                raise _RolledBack
        return changed

    def want(self, actors: Sequence[Actor]) -> None:
        """Declare every cell that a whole run must fill."""
        way = self.ledger.importing
        assert way is not None
        truth, name = self.matrix.truth, self.sheet.type
        brought = [camel(column) for column in way.changeable if isinstance(self.kind.fields.get(camel(column)), Value)]
        for actor in (actor for actor in actors if actor.acts):
            for relation in {truth.relation(name, row, actor) for row in truth.rows(name)}:
                taken = [camel(column) for column in self.sheet.columns]
                self.matrix.report.want(name, taken, actor.name, relation, "export")
                self.matrix.report.want(name, brought, actor.name, relation, "import")
