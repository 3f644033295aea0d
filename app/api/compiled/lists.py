"""Connections: a page of rows by keyset, counted and numbered only where the selection asks for it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphql import FieldNode, get_named_type

from app.api.compiled.binding import Source
from app.api.compiled.paging import Order, Page, casted, position
from app.api.compiled.rows import Row, concat, sets_of, where_sql
from app.api.compiled.scalars import key_text, literal

if TYPE_CHECKING:
    from app.api.compiled.compile import Compiler

SATURATED = 100_000
"""Up to here ``totalCount`` is exact."""


class ConnectionSql:
    """One connection: a page of rows, counted and numbered only where the selection asks for it."""

    def __init__(
        self,
        compiler: "Compiler",
        source: Source,
        order: Order,
        page: Page,
        where: Callable[[Row], list[str]],
    ) -> None:
        self.compiler, self.source, self.order, self.page, self.where = compiler, source, order, page, where
        self.row = compiler.row()
        self.columns: list[Callable[[bool], str]] = []
        self.counted = False
        self.size = ""

    def sql(self, kind: Any, nodes: list[FieldNode]) -> str:
        """Return the SQL of the connection's JSON text."""
        compiler = self.compiler
        parts: list[str] = []
        for key, group in compiler.collect(kind, sets_of(nodes)).items():
            parts += [literal(("," if parts else "{") + key_text(key)), self._value(kind, group)]
        text = concat([*parts, literal("}" if parts else "{}")])
        tables: list[str] = []
        if self.columns:
            numbered = bool(self.size) or self.page.backward
            rows = self._rows(numbered=numbered)
            columns = ",".join(f"{make(numbered)} AS v{i}" for i, make in enumerate(self.columns))
            tables.append(f"(SELECT {columns} FROM {rows} {self.row.outer}) a{self.row.outer}")
        if self.counted:
            row = compiler.row()
            table = self.compiler.table(self.source)
            inner = f"SELECT 1 FROM {table} {row.inner}{where_sql(self.where(row))} LIMIT {SATURATED + 1}"
            tables.append(f"(SELECT count(*) AS n FROM ({inner}) q) c{self.row.outer}")
        return f"(SELECT {text} FROM {','.join(tables)})" if tables else text

    def _value(self, kind: Any, nodes: list[FieldNode]) -> str:
        match nodes[0].name.value:
            case "__typename":
                return literal(f'"{kind.name}"')
            case "totalCount":
                self.counted = True
                return f"least(c{self.row.outer}.n,{SATURATED})"
            case "totalCountIsExact":
                self.counted = True
                return f"(c{self.row.outer}.n <= {SATURATED})::text"
            case "nodes":
                return self._aggregate(self.compiler.object(self.source, self.row, nodes))
            case "edges":
                return self._aggregate(self._edge(get_named_type(kind.fields["edges"].type), nodes))
            case _:
                return self._page_info(get_named_type(kind.fields["pageInfo"].type), nodes)

    def _edge(self, kind: Any, nodes: list[FieldNode]) -> str:
        parts: list[str] = []
        for key, group in self.compiler.collect(kind, sets_of(nodes)).items():
            match group[0].name.value:
                case "cursor":
                    value = self.order.cursor(self.row.column)
                case "node":
                    value = self.compiler.object(self.source, self.row, group)
                case _:
                    value = literal(f'"{kind.name}"')
            parts += [literal(("," if parts else "{") + key_text(key)), value]
        return concat([*parts, literal("}" if parts else "{}")])

    def _page_info(self, kind: Any, nodes: list[FieldNode]) -> str:
        page, outer = self.page, self.row.outer
        parts: list[str] = []
        for key, group in self.compiler.collect(kind, sets_of(nodes)).items():
            match group[0].name.value:
                case "hasNextPage" if not page.backward:
                    value = self._more()
                case "hasPreviousPage" if page.backward:
                    value = self._more()
                case "hasNextPage":
                    value = literal(str(page.before.given).lower())
                case "hasPreviousPage" if page.offset is not None:
                    value = f"({self.compiler.bind(page.offset, 'int8')} > 0)::text"
                case "hasPreviousPage":
                    value = literal(str(page.after.given).lower())
                case "startCursor" | "endCursor" as which:
                    size = self._limit()
                    edge = "1" if (which == "startCursor") != page.backward else f"least({outer}.c,{size})"
                    chosen = f"max({self.order.cursor(self.row.column)}) FILTER (WHERE {outer}.r = {edge})"
                    value = self._add(_always(f"coalesce({chosen},'null')"))
                case _:
                    value = literal(f'"{kind.name}"')
            parts += [literal(("," if parts else "{") + key_text(key)), value]
        return concat([*parts, literal("}" if parts else "{}")])

    def _add(self, make: Callable[[bool], str]) -> str:
        self.columns.append(make)
        return f"a{self.row.outer}.v{len(self.columns) - 1}"

    def _more(self) -> str:
        return self._add(_always(f"(count(*) > {self._limit()})::text"))

    def _limit(self) -> str:
        """Return the parameter of the page's size; naming it makes the inner SELECT number its rows."""
        if not self.size:
            self.size = self.compiler.bind(self.page.size, "int8")
        return self.size

    def _aggregate(self, value: str) -> str:
        outer = self.row.outer
        way = f" ORDER BY {outer}.r{' DESC' if self.page.backward else ''}"

        def make(numbered: bool) -> str:  # noqa: FBT001 - one fact about the page
            if not numbered:
                return f"coalesce('['||string_agg({value},',')||']','[]')"
            only = f"FILTER (WHERE {outer}.r <= {self._limit()})"
            return f"coalesce('['||string_agg({value},','{way}) {only}||']','[]')"

        return self._add(make)

    def _rows(self, *, numbered: bool) -> str:
        """Return the FROM item of the page: one row more and numbered when a page info asks for it."""
        compiler, page, order, row = self.compiler, self.page, self.order, self.row
        tests = self.where(row)
        for cursor, reverse in ((page.after, False), (page.before, True)):
            if cursor.given:
                value, tie = position(order, cursor)
                first = None if value is None or order.single else compiler.bind(value, casted(order.column))
                second = compiler.bind(tie, casted(order.tie))
                tests.append(order.beyond(row.inner, first, second, reverse=reverse))
        limit = f"{self._limit()}+1" if numbered else compiler.bind(page.size, "int8")
        skip = "" if page.offset is None else f" OFFSET {compiler.bind(page.offset, 'int8')}"
        inner = (
            f"SELECT {row.columns} FROM {self.compiler.table(self.source)} {row.inner}{where_sql(tests)} "
            f"ORDER BY {order.sql(row.inner, reverse=page.backward)} LIMIT {limit}{skip}"
        )
        if not numbered:
            return f"({inner})"
        return f"(SELECT row_number() OVER () AS r,count(*) OVER () AS c{row.names} FROM ({inner}) q)"


def _always(text: str) -> Callable[[bool], str]:
    return lambda _: text
