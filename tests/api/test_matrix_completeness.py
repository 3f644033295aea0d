"""The matrix itself under test: what nobody thought of is an empty cell, and a hole in the product is a failed one."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import strawberry
from graphql import GraphQLField, GraphQLString
from sqlalchemy import Column, Integer, MetaData, Table, Uuid

import tests.matrix.run as matrix_run
from app.api.schema import Api, build
from app.asgi import load_api
from app.kit import gql
from app.registry import slice_parts
from infra.db.base import Base
from tenants.access import UndeclaredTableError, access_of
from tenants.models import Agency
from tests.api.stack import Stack
from tests.conftest import Clone
from tests.expectations import TABLES
from tests.matrix.collect import expected
from tests.matrix.plan import Catalogue
from tests.matrix.run import Matrix
from tests.matrix.truth import Truth
from tests.matrix.words import Expected
from tests.world import ACTORS, World

EXPECTED = expected()


@gql.bound(Agency, prefix="forgotten", description="A type that nobody has an expectation for.")
class Forgotten(gql.Node):
    name: str = gql.column("Its name.")


@strawberry.type
class ForgottenQuery:
    forgotten_ones: gql.Connection[Forgotten] = gql.listing("All of them.")
    forgotten_one: Forgotten | None = gql.by_id("One of them.")


def with_forgotten() -> Api:
    modules = [part.MODULE for part in slice_parts("module")]
    queries = [module.query for module in modules if module.query is not None]
    mutations = [module.mutation for module in modules if module.mutation is not None]
    return build([*queries, ForgottenQuery], mutations, [kind for module in modules for kind in module.types])


def without(table: str, name: str) -> Expected:
    """The expectations without one entry."""
    entries = dict(getattr(EXPECTED, table))
    del entries[name]
    return dataclasses.replace(EXPECTED, **{table: entries})


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.of(load_api().schema)


async def nothing(*_: Any) -> Any:
    raise AssertionError("asks nothing")


def test_the_expectations_are_complete(catalogue: Catalogue) -> None:
    assert catalogue.empty(EXPECTED) == []


def test_a_new_type_and_its_root_fields_are_empty_cells(world: World) -> None:
    found = Catalogue.of(with_forgotten().schema)
    assert found.empty(EXPECTED) == [
        "type Forgotten",
        "root field forgottenOne",
        "root field forgottenOnes",
        "id forgottenOne.id",
    ]
    report = Matrix(found, Truth(world, EXPECTED), nothing)
    shown = report.as_json()
    assert shown["empty"] == 4
    assert report.report.empty == found.empty(EXPECTED)


def test_a_new_field_is_an_empty_cell() -> None:
    schema = load_api().schema
    schema.type_map["Membership"].fields["secret"] = GraphQLField(GraphQLString)  # type: ignore[attr-defined]
    assert Catalogue.of(schema).empty(EXPECTED) == ["field Membership.secret"]


@pytest.mark.parametrize("table", ["types", "roots", "ids"])
def test_every_entry_is_needed(catalogue: Catalogue, table: str) -> None:
    names = [name for name in getattr(EXPECTED, table) if EXPECTED.roots.get(name) != "node"]
    assert [name for name in names if not catalogue.empty(without(table, name))] == []


def test_every_field_needs_its_expectation(catalogue: Catalogue) -> None:
    unnoticed = []
    for name, kind in EXPECTED.types.items():
        for field in kind.fields:
            left = {key: shows for key, shows in kind.fields.items() if key != field}
            types = {**EXPECTED.types, name: dataclasses.replace(kind, fields=left)}
            if f"field {name}.{field}" not in catalogue.empty(dataclasses.replace(EXPECTED, types=types)):
                unnoticed.append(f"{name}.{field}")
    assert unnoticed == []


def test_a_kind_without_an_actor_is_empty(catalogue: Catalogue, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_run, "ACTORS", tuple(actor for actor in ACTORS if actor.tenant != "N0"))
    assert "kind NATIONAL has no actor" in matrix_run.witnesses(catalogue, Truth(world, EXPECTED))


def test_a_promise_that_no_row_can_show_is_empty(catalogue: Catalogue, world: World) -> None:
    kind = EXPECTED.types["Registration"]
    types = {**EXPECTED.types, "Registration": dataclasses.replace(kind, readers={"COUNTY": frozenset({"named"})})}
    truth = Truth(world, dataclasses.replace(EXPECTED, types=types))
    assert matrix_run.witnesses(catalogue, truth) == ["Registration: no row is named to a COUNTY"]


def test_a_table_without_class_or_rule_is_seen() -> None:
    metadata = MetaData()
    for table in Base.metadata.sorted_tables:
        table.to_metadata(metadata)
    toy = Table("toy", metadata, Column("id", Uuid, primary_key=True), Column("owner_key", Integer), schema="app")
    with pytest.raises(UndeclaredTableError):
        access_of(toy)
    assert {table.name for table in metadata.sorted_tables} - set(TABLES) == {"toy"}
    assert {kind.table for kind in EXPECTED.types.values()} <= set(TABLES)


# -- holes in the product ---------------------------------------------------------------------------------


@pytest.fixture
async def broken(fresh_world: Clone) -> AsyncIterator[Callable[..., Any]]:
    """Run the matrix for one actor over a product in which something is broken."""
    stacks: list[Stack] = []

    async def run(actor: str, api: Api | None = None, statement: str | None = None) -> Matrix:
        if statement:
            await fresh_world.admin.execute(statement)
        made = Stack(api or load_api(), fresh_world.db)
        stacks.append(made)
        world = await World.read(fresh_world.admin)
        matrix = Matrix(Catalogue.of(made.endpoint._engine.api.schema), Truth(world, EXPECTED), made.ask)
        await matrix.run([world.actors[actor]])
        return matrix

    yield run
    for stack in stacks:
        await stack.close()


async def test_nothing_broken_nothing_fails(broken: Callable[..., Any]) -> None:
    assert (await broken("county_1")).report.failures == []


@pytest.mark.parametrize(
    ("actor", "statement", "words"),
    [
        ("county_1", "ALTER POLICY lv_county ON app.membership USING (true)", ("Membership.", "meets canaries")),
        ("county_1", "ALTER POLICY lv_county ON app.site USING (false)", ("Site.",)),
        ("agency", "DROP POLICY by_scope_grant ON app.enterprise", ("Enterprise.",)),
        ("enterprise_officer_1", "ALTER POLICY lv_enterprise ON app.tenant USING (true)", ("tenants counts",)),
    ],
)
async def test_a_broken_policy_fails(
    broken: Callable[..., Any], actor: str, statement: str, words: tuple[str, ...]
) -> None:
    matrix = await broken(actor, statement=statement)
    assert matrix.as_json()["failed"] > 0
    for word in words:
        assert any(word in failure for failure in matrix.report.failures), word


async def test_a_type_without_its_condition_fails(broken: Callable[..., Any]) -> None:
    api = load_api()
    sources = dict(api.bindings.sources)
    sources["AuditEntry"] = dataclasses.replace(sources["AuditEntry"], where=None)
    object.__setattr__(api.bindings, "sources", sources)
    matrix = await broken("county_1", api)
    assert any(failure.startswith("AuditEntry.") for failure in matrix.report.failures)


async def test_a_field_that_shows_another_column_fails(broken: Callable[..., Any]) -> None:
    api = load_api()
    source = api.bindings.sources["Membership"]
    fields = dict(source.fields)
    fields["post"] = dataclasses.replace(fields["post"], column="name")  # type: ignore[arg-type]
    sources = {**api.bindings.sources, "Membership": dataclasses.replace(source, fields=fields)}
    object.__setattr__(api.bindings, "sources", sources)
    matrix = await broken("county_1", api)
    assert {failure.split()[0] for failure in matrix.report.failures} == {"Membership.post"}
