"""The independent oracle: who may see which row, decided by walking whole tables in plain Python.

It reads what a superuser reads and knows the product's rules only as people state them: a row belongs
to its owner or lies at a site, every tenant above that place sees it, drafts only their author. It
does not look at level keys: that the database filled them rightly is part of what it checks.
"""

from datetime import date
from typing import Any
from uuid import UUID

from tests.expectations import TABLES, Rule
from tests.world import LEVEL_KINDS, TODAY, Actor, World

Row = dict[str, Any]
NAMES = ("id", "message_id", "person_id", "sid")
"""Columns that identify a row; the first that a table has."""


def identity(row: Row) -> str:
    """Return what identifies a row within its table."""
    return str(row[next(name for name in NAMES if name in row)])


class Oracle:
    """Answers for one world and one day."""

    def __init__(self, world: World, today: date = TODAY) -> None:
        """Index the tree."""
        self.world, self.today = world, today
        self.by_id: dict[UUID, Row] = {row["id"]: row for row in world.tables["tenant"]}
        self.by_key: dict[int, Row] = {row["key"]: row for row in world.tables["tenant"]}
        self.sites: dict[UUID, Row] = {row["id"]: row for row in world.tables.get("site", ())}

    def visible(self, table: str, actor: Actor) -> set[str]:
        """Return the rows of a table that an actor may see."""
        rule, kind = TABLES[table], self.world.kind(actor)
        if kind not in rule.readers:
            return set()
        return {identity(row) for row in self.world.tables[table] if self._sees(rule, row, actor, kind)}

    def _sees(self, rule: Rule, row: Row, actor: Actor, kind: str) -> bool:
        if rule.scope == "all":
            return True
        if rule.scope == "own person":
            return actor.person is not None and row["person_id"] == actor.person
        key = self.world.keys[str(actor.tenant)]
        if kind in LEVEL_KINDS:
            return key in self.audience(rule, row)
        return self._assigned(rule, row, key)

    def audience(self, rule: Rule, row: Row) -> set[int]:
        """Return the keys of the tenants with a level that see a row."""
        if rule.draft is not None and row["state"] == rule.draft:
            return {row["author_key"]}
        site = self.sites.get(row["site_id"]) if rule.place == "site" else None
        if rule.place == "is site" or site is not None:
            seen = self._at_site(row if site is None else site)
        else:
            seen = self.above(self.by_key[row["key" if rule.place == "self" else "owner_key"]])
        if rule.agencies_only == "always" or (rule.agencies_only == "column" and row["agencies_only"]):
            seen = {key for key in seen if self.by_key[key]["kind"] != "ENTERPRISE"}
        return {key for key in seen if self.by_key[key]["kind"] in LEVEL_KINDS}

    def above(self, tenant: Row) -> set[int]:
        """Return a tenant and every tenant above it; the successor stands for one that was taken over."""
        if tenant["successor_id"] is not None:
            return self.above(self.by_id[tenant["successor_id"]])
        found = {tenant["key"]}
        if tenant["home_park_id"] is not None:
            found.add(self.by_id[tenant["home_park_id"]]["key"])
        parent = tenant["parent_id"]
        return found | (self.above(self.by_id[parent]) if parent is not None else set())

    def _at_site(self, site: Row) -> set[int]:
        found = self.above(self.by_id[site["place_id"]])
        if site["park_id"] is not None:
            found.add(self.by_id[site["park_id"]]["key"])
        owner = self.above(self.by_key[site["owner_key"]])
        return found | {key for key in owner if self.by_key[key]["kind"] == "ENTERPRISE"}

    def _assigned(self, rule: Rule, row: Row, key: int) -> bool:
        if row["owner_key"] == key or (rule.grantee and row["grantee_key"] == key):
            return True
        granted = self._valid("scope_grant", key) | self._valid("incident_call", key)
        if rule.granted and granted & self.audience(rule, row):
            return True
        return rule.hosted and row["owner_key"] in self._valid("hosting", key)

    def _valid(self, table: str, key: int) -> set[int]:
        """Owners of the dated rows that name a grantee and hold today."""
        return {
            row["owner_key"]
            for row in self.world.tables[table]
            if row["grantee_key"] == key and row["valid_from"] <= self.today <= row["valid_to"]
        }

    def system(self, table: str, login: str) -> set[str]:
        """Return the rows of a table that a system login may see."""
        rule = TABLES[table]
        word = "all" if rule.scope == "all" else rule.system.get(login, "none")
        return {identity(row) for row in self.world.tables[table] if _holds(word, row)}


def _holds(word: str, row: Row) -> bool:
    if word in ("all", "none"):
        return word == "all"
    nobody = row["author_key"] is None
    return nobody and (row["person_id"] is None if word == "nobody's act" else row["outcome"] == "DENIED")
