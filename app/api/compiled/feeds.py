"""The feed of events: a page in feed order for queries, and what has come since for subscriptions.

Positions are given after the commit, one transaction after the other (decision 33): whoever sees a position sees all
below it, so a cursor is a position and nothing lies between two pages.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import FieldNode

from app.api.compiled.binding import Source
from app.api.compiled.filters import MAX_IN
from app.api.compiled.paging import page_of
from app.api.compiled.rows import concat, sets_of, where_sql
from app.api.compiled.scalars import key_text, literal
from app.api.compiled.values import Getter, InputFaultError, Val, Variables
from app.kit.ids import parse_global_id

if TYPE_CHECKING:
    from app.api.compiled.compile import Compiler, Plan

AFTER = "~after"
"""Key of the cursor among the variables of a tail; no variable can have this name."""
TAIL = 200
"""Most events that a tail reads at once."""
KIND = "split_part({t}.type,'.',1)"
"""Type of the object, which is the first word of the event's type."""


class FeedSql:
    """The statement of a page or a tail."""

    def __init__(self, compiler: "Compiler", source: Source, arguments: dict[str, Val]) -> None:
        self.compiler, self.source, self.arguments = compiler, source, arguments
        self.row = compiler.row()
        self.columns: list[str] = []

    def page(self, kind: Any, nodes: list[FieldNode]) -> str:
        """Return the SQL of a page's JSON text."""
        limit = self.compiler.bind(page_of({"first": self.arguments["first"]}).size, "int8")
        start = self.arguments["after"]
        after = self.compiler.bind(start.get, "int8") if start.given else "0::int8"
        page, head = f"a{self.row.outer}", f"h{self.row.outer}"
        cursor = f"CASE WHEN {page}.c > {limit} THEN {page}.p ELSE greatest({after},{head}.n) END"
        parts: list[str] = []
        for key, group in self.compiler.collect(kind, sets_of(nodes)).items():
            match group[0].name.value:
                case "events":
                    value = self._events(limit, group)
                case "cursor":
                    value = f"'\"'||({cursor})::text||'\"'"
                case "hasMore":
                    value = f"({page}.c > {limit})::text"
                case "head":
                    value = f"'\"'||{head}.n::text||'\"'"
                case _:
                    value = literal(f'"{kind.name}"')
            parts += [literal(("," if parts else "{") + key_text(key)), value]
        text = concat([*parts, literal("}" if parts else "{}")])
        position = self.row.column("position")
        rows = self._rows(after, limit)
        more = "".join(f",{value} AS v{number}" for number, value in enumerate(self.columns))
        outer = self.row.outer
        found = (
            f"SELECT count(*) AS c,max({position}) FILTER (WHERE {outer}.r <= {limit}) AS p{more} FROM {rows} {outer}"
        )
        return f"(SELECT {text} FROM ({found}) {page},(SELECT {self.head()} AS n) {head})"

    def tail(self, key: str, nodes: list[FieldNode]) -> str:
        """Return the SQL of a text array: the cursor, then ``position:answer`` of each event."""
        limit = self.compiler.bind(lambda _: TAIL, "int8")
        after = self.compiler.bind(lambda variables: variables[AFTER], "int8")
        body = self.compiler.object(self.source, self.row, nodes)
        if not self.compiler.fallback:
            body = concat([literal('{"data":{' + key_text(key)), body, literal("}}")])
        position, outer = self.row.column("position"), self.row.outer
        only = f"FILTER (WHERE {outer}.r <= {limit})"
        cursor = f"CASE WHEN count(*) > {limit} THEN max({position}) {only} ELSE greatest({after},{self.head()}) END"
        lines = f"coalesce(array_agg({position}::text||':'||{body} ORDER BY {outer}.r) {only},'{{}}')"
        return f"(SELECT ARRAY[({cursor})::text]||{lines} FROM {self._rows(after, limit)} {outer})"

    def head(self) -> str:
        """Return the SQL of the newest position that the caller may see, 0 without any."""
        row = self.compiler.row()
        table = self.compiler.table(self.source)
        known = f"{row.inner}.position IS NOT NULL"
        return f"(SELECT coalesce(max({row.inner}.position),0) FROM {table} {row.inner} WHERE {known})"

    def _events(self, limit: str, nodes: list[FieldNode]) -> str:
        value = self.compiler.object(self.source, self.row, nodes)
        order = f"ORDER BY {self.row.outer}.r) FILTER (WHERE {self.row.outer}.r <= {limit})"
        self.columns.append(f"coalesce('['||string_agg({value},',' {order}||']','[]')")
        return f"a{self.row.outer}.v{len(self.columns) - 1}"

    def _rows(self, after: str, limit: str) -> str:
        """Return the FROM item of the events after a position: one more than wanted, numbered."""
        row = self.row
        tests = [*self.compiler.fixed(self.source, row), f"{row.inner}.position > {after}", *self._filters()]
        inner = (
            f"SELECT {row.columns} FROM {self.compiler.table(self.source)} {row.inner}{where_sql(tests)}"
            f" ORDER BY {row.inner}.position LIMIT {limit}+1"
        )
        return f"(SELECT row_number() OVER () AS r{row.names} FROM ({inner}) q)"

    def _filters(self) -> list[str]:
        inner, tests = self.row.inner, []
        kind = KIND.replace("{t}", inner)
        for argument, value in (("types", f"{inner}.type"), ("objectTypes", kind)):
            given = self.arguments.get(argument)
            if given is not None and given.given:
                tests.append(f"{value} = ANY({self.compiler.bind(_few(argument, given), 'text[]')})")
        given = self.arguments.get("object")
        if given is not None and given.given:
            tests.append(f"{inner}.object_id = {self.compiler.bind(_part(given, 1), 'uuid')}")
            tests.append(f"{kind} = {self.compiler.bind(_part(given, 0), 'text')}")
        return tests


def _few(name: str, given: Val) -> Getter:
    def get(variables: Variables) -> list[str]:
        values: list[str] = given.get(variables)
        if len(values) > MAX_IN:
            raise InputFaultError(f"{name} takes at most {MAX_IN} values")
        return values

    return get


def _part(given: Val, which: int) -> Getter:
    """Return a getter of a global id's prefix or UUID; None for what is no id: it matches nothing."""

    def get(variables: Variables) -> Any:
        found = parse_global_id(str(given.get(variables)))
        return found[which] if found else None

    return get


@dataclass(frozen=True)
class Tail:
    """What a subscription reads again and again, always from where it stands.

    Args:
        plan: its value is a text array: the cursor, then ``position:answer`` of each event.
        head: its value is the newest position.
        key: response key of the one root field.
        answers: whether the answers are whole; else graphql-core makes them of the objects.
        personal: whether the answers depend on more than the acting tenant.
        arguments: of the root field, coerced: ``after``, ``types``, ``objectTypes``.
    """

    plan: "Plan"
    head: "Plan"
    key: str
    answers: bool
    personal: bool
    arguments: dict[str, Any]
