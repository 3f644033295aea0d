"""What a row is to an actor: computed by walking whole tables, apart from the oracle and from every policy.

Level keys are not looked at. A row has one relation to an actor, the closest that holds.
"""

from datetime import date
from typing import Any
from uuid import UUID

from tests.expectations import TABLES
from tests.world import TODAY, Actor, World

Row = dict[str, Any]
_DATED = {"scope_grant": "granted", "incident_call": "called", "hosting": "hosted"}


class Relations:
    """Answers for one world and one day."""

    def __init__(self, world: World, today: date = TODAY) -> None:
        """Index the tree, the sites, and the dated rows by the tenant they name."""
        self.world, self.today = world, today
        tenants = world.tables["tenant"]
        self.by_id: dict[UUID, Row] = {row["id"]: row for row in tenants}
        self.by_key: dict[int, Row] = {row["key"]: row for row in tenants}
        self.sites: dict[UUID, Row] = {row["id"]: row for row in world.tables.get("site", ())}
        self._lines: dict[int, list[int]] = {}
        self._parks: dict[int, set[int]] = {}
        for row in (*tenants, *self.sites.values()):
            park = row["home_park_id"] if "home_park_id" in row else row["park_id"]
            if park is not None:
                place = row["key"] if "key" in row else self.by_id[row["place_id"]]["key"]
                self._parks.setdefault(self.by_id[park]["key"], set()).update(self.line(place))

    def of(self, table: str, row: Row, actor: Actor) -> str:
        """Return the relation of a row of a table to an actor."""
        rule = TABLES[table]
        if rule.scope == "own person":
            return self._personal(row, actor)
        if "owner_key" not in row or rule.scope != "level":
            return "shared"
        if not actor.acts:
            return "anonymous"
        me = self.world.keys[str(actor.tenant)]
        if rule.draft is not None and row["state"] == rule.draft:
            return "own" if row["author_key"] == me else "draft"
        owner, place, park = self._place(table, row)
        near = self._near(owner, place, park, me)
        if near is not None and self.by_key[me]["kind"] == "ENTERPRISE" and self._for_offices(table, row):
            return "office"
        if near is None and rule.grantee and row["grantee_key"] == me:
            near = "named"
        return near or self._dated(owner, me) or self._far(owner, place, me)

    def _for_offices(self, table: str, row: Row) -> bool:
        rule = TABLES[table].agencies_only
        return rule == "always" or (rule == "column" and bool(row["agencies_only"]))

    def _personal(self, row: Row, actor: Actor) -> str:
        """Rows of a person: his own in the tenant for which he acts; everybody else's are nobody's business."""
        if not actor.acts:
            return "anonymous"
        mine = row["person_id"] == actor.person and row.get("owner_key") in (None, self.world.keys[str(actor.tenant)])
        return "own" if mine else "sibling"

    def _near(self, owner: int, place: int, park: int | None, me: int) -> str | None:
        if me == owner:
            return "own"
        if me in self.line(place):
            return "child"
        overlaps = park is not None and self.by_key[me]["kind"] != "PARK" and me in self._parks[park]
        return "park_overlap" if park == me or overlaps else None

    def line(self, key: int) -> list[int]:
        """Return a tenant and those above it; who took it over stands in its place."""
        if key not in self._lines:
            row = self.by_key[key]
            heir, parent = row["successor_id"], row["parent_id"]
            if heir is not None:
                self._lines[key] = self.line(self.by_id[heir]["key"])
            else:
                above = self.line(self.by_id[parent]["key"]) if parent is not None else []
                self._lines[key] = [key, *above]
        return self._lines[key]

    def _place(self, table: str, row: Row) -> tuple[int, int, int | None]:
        """Return whose row it is, the tenant where it lies, and the park."""
        rule, owner = TABLES[table], row["owner_key"]
        site = row if rule.place == "is site" else self.sites.get(row["site_id"]) if rule.place == "site" else None
        if site is None:
            parks = (self.by_key[key]["home_park_id"] for key in self.line(owner))
            park = next((one for one in parks if one is not None), None)
            return owner, owner, self.by_id[park]["key"] if park else None
        park = site["park_id"]
        return owner, self.by_id[site["place_id"]]["key"], self.by_id[park]["key"] if park else None

    def _dated(self, owner: int, me: int) -> str | None:
        found = None
        for table, word in _DATED.items():
            for row in self.world.tables[table]:
                if row["owner_key"] == owner and row["grantee_key"] == me:
                    if row["valid_from"] <= self.today <= row["valid_to"]:
                        return word
                    found = "expired"
        return found

    def _far(self, owner: int, place: int, me: int) -> str:
        mine = self.line(me)
        if owner in mine:
            return "parent"
        return "sibling" if self._province(place) == self._province(me) else "other_province"

    def _province(self, key: int) -> int:
        return self.line(key)[-1]
