"""Invented enterprises for the demo: the same on every installation, in real counties, with nobody's code.

Names are made of a county's name, two characters, 澜 (so that no real firm is meant) and a trade;
credit codes are valid but name a registering region that GB/T 2260 does not have. Everything
follows from the number of the enterprise, so that size M begins with the enterprises of size S.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from app.kit.rules import completeness, shipped, size_class, supervision, tables, uscc
from app.kit.rules.geo import boundaries
from app.kit.rules.tables import TableRow
from app.kit.texts import mask
from app.modules.enterprises.service.computing import Surroundings, asked, duties, indicators, size_columns
from app.modules.members.public import DemoTenant, tree
from tenants.kinds import Kind

_SPACE = uuid5(NAMESPACE_URL, "urn:anlan:demo:enterprises")
_FIRST = "安恒衡泽宏瑞启信诚远博盛嘉汇润鼎源昌隆"
_SECOND = "泰达辰宇和利丰通顺成德康宁晟祥荣华兴旺卓"
_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜"
_GIVEN = "安宁康平清和实慎恒明正立海涛敏静磊洋勇杰娟"
_ROADS = ("滨江路", "工业大道", "创业路", "兴业路", "纬三路", "经二路", "环城东路", "科技路")
DEMO_COUNTIES = ("320281", "610802")
"""Counties of the demo accounts; they get more enterprises than others."""
_WEIGHT = 8
_CHEMICAL = range(4)
"""Trades at the head of :data:`TRADES` that a chemical park takes in."""


@dataclass(frozen=True)
class Trade:
    """What an invented enterprise does.

    Args:
        industry: class of GB/T 4754.
        word: part of its name.
        categories: supervision categories.
        staff: least and most employees.
        licence: which licence it has.
    """

    industry: str
    word: str
    categories: tuple[str, ...]
    staff: tuple[int, int]
    licence: str = ""


TRADES = (
    Trade("2614", "化工", ("HAZ_PROD", "KEY_PROCESS"), (40, 900), "safety"),
    Trade("2631", "农化", ("HAZ_PROD", "KEY_PROCESS", "KEY_CHEMICAL"), (60, 1200), "safety"),
    Trade("2641", "涂料", ("HAZ_PROD",), (20, 400), "safety"),
    Trade("2621", "化肥", ("HAZ_PROD", "MAJOR_HAZARD"), (120, 1500), "safety"),
    Trade("5942", "化工仓储", ("HAZ_STORE", "MAJOR_HAZARD"), (20, 150)),
    Trade("5162", "石油贸易", ("HAZ_OPER",), (5, 80), "hazchem"),
    Trade("5265", "加油站", ("HAZ_OPER_STATION",), (4, 20), "hazchem"),
    Trade("3110", "炼铁", ("METAL", "TRADE_METALLURGY", "MOLTEN", "GAS"), (300, 4000)),
    Trade("3216", "铝业", ("METAL", "TRADE_NONFERROUS", "DEEP_CASTING"), (80, 900)),
    Trade("3011", "水泥", ("TRADE_BUILDING", "CONFINED"), (60, 600)),
    Trade("3484", "机械", ("TRADE_MACHINERY",), (10, 500)),
    Trade("3670", "汽车零部件", ("TRADE_MACHINERY", "DUST"), (30, 1200)),
    Trade("3824", "电力电子", ("TRADE_MACHINERY",), (20, 800)),
    Trade("2110", "家具", ("TRADE_LIGHT", "DUST"), (10, 300)),
    Trade("1351", "食品", ("TRADE_LIGHT", "AMMONIA"), (20, 500)),
    Trade("1711", "纺织", ("TRADE_TEXTILE", "DUST"), (30, 900)),
    Trade("2231", "包装", ("TRADE_LIGHT",), (10, 200)),
    Trade("5431", "物流", ("TRANSPORT",), (10, 300)),
    Trade("4710", "建筑", ("CONSTRUCTION",), (50, 2000)),
    Trade("5211", "百货", ("TRADE_COMMERCE", "CROWDED"), (20, 400)),
    Trade("6110", "宾馆", ("CROWDED",), (20, 300)),
)
COAL = Trade("0610", "煤业", ("COAL",), (200, 3000), "safety")
"""In Shaanxi only."""


@dataclass(frozen=True)
class InventedSite:
    """A site: where it stands and what it is called."""

    id: UUID
    name: str
    address: str
    place_code: str
    park_id: UUID | None
    point: tuple[float, float]
    is_main: bool


@dataclass(frozen=True)
class InventedPerson:
    """A person of an enterprise."""

    id: UUID
    name: str
    role: str
    phone_masked: str
    expires: date


@dataclass(frozen=True)
class Invented:
    """One enterprise: its tenant, its file, its sites and people."""

    id: UUID
    name: str
    credit_code: str
    place_code: str
    park_id: UUID | None
    file: Mapping[str, Any]
    sites: Sequence[InventedSite]
    people: Sequence[InventedPerson]


class Rules:
    """The rule tables that ship, as the standards slice seeds them."""

    def __init__(self) -> None:
        """Read them once."""
        found = {table.code: table.rows for table in shipped.tables()}
        self._sections = _sections(found["gbt4754"])
        self._mapping = dict(map(tables.industry_mapping, found["size_industry_map"]))
        self._bounds = tuple(map(tables.size_bound, found["enterprise_size_class"]))
        self._flags = tuple(map(tables.flag_rule, found["supervision_flag"]))
        self._weights = tuple(map(tables.field_weight, found["completeness_weight"]))

    def computed(self, file: Mapping[str, Any], around: Surroundings, on: date) -> dict[str, Any]:
        """Return size class, duties and completeness of a file on a day."""
        code = file["industry_code"]
        industry = size_class.industry_of(code, self._sections[code], self._mapping)
        size = size_class.classify(industry, indicators(file), self._bounds) if industry else None
        categories = file["supervision_categories"]
        score = completeness.score(asked(file, around), categories, self._weights)
        return {
            **size_columns(size, on),
            "duties": duties(supervision.flags(categories, file["employees"], self._flags, on)),
            "completeness": score.percent,
        }


def _sections(rows: Sequence[TableRow]) -> dict[str, str]:
    return {row.code: row.text("section") for row in rows}


class Land:
    """Counties with their townships and parks."""

    @cached_property
    def counties(self) -> tuple[str, ...]:
        """Counties that have a polygon, so that a point in them can be given."""
        drawn = set(boundaries().codes)
        return tuple(sorted(tenant.ref for tenant in tree() if tenant.kind is Kind.COUNTY and tenant.ref in drawn))

    @cached_property
    def weights(self) -> tuple[int, ...]:
        """How many enterprises a county has in proportion."""
        weighing = random.Random("weights")  # noqa: S311 - demo data, the same everywhere
        return tuple(weighing.randint(1, 6) * (_WEIGHT if code in DEMO_COUNTIES else 1) for code in self.counties)

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Division code to name."""
        return {division.code: division.name for division in shipped.divisions() if division.valid_to is None}

    @cached_property
    def townships(self) -> Mapping[str, tuple[str, ...]]:
        """County to its townships."""
        return self._below(Kind.TOWNSHIP)

    @cached_property
    def parks(self) -> Mapping[str, tuple[UUID, ...]]:
        """County to the parks that stand in it."""
        by_ref = {tenant.ref: tenant.id for tenant in tree()}
        return {code: tuple(by_ref[ref] for ref in refs) for code, refs in self._below(Kind.PARK).items()}

    def _below(self, kind: Kind) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for tenant in tree():
            if tenant.kind is kind and tenant.parent:
                found[tenant.parent] = (*found.get(tenant.parent, ()), tenant.ref)
        return found

    def point(self, chance: random.Random, county: str) -> tuple[float, float]:
        """Return a point inside a county's polygon.

        Raises:
            LookupError: it has no polygon.
        """
        known = boundaries()
        middle = known.inner_point(county)
        if middle is None:
            raise LookupError(county)
        for _ in range(8):
            longitude, latitude = (round(axis + chance.uniform(-0.12, 0.12), 6) for axis in middle)
            if known.place(longitude, latitude, county).inside:
                return longitude, latitude
        return middle


class Inventor:
    """Makes enterprises by their number."""

    def __init__(self, on: date) -> None:
        """Make files as of a legal day."""
        self.on = on
        self.land = Land()
        self.rules = Rules()

    def many(self, count: int) -> Iterator[Invented]:
        """Yield the first ``count`` enterprises."""
        for number in range(count):
            yield self.one(number)

    def one(self, number: int) -> Invented:
        """Return the enterprise with this number."""
        chance = random.Random(f"enterprise:{number}")  # noqa: S311 - demo data, the same everywhere
        county = chance.choices(self.land.counties, self.land.weights)[0]
        parks = self.land.parks.get(county, ())
        park = chance.choice(parks) if parks and chance.random() < 0.5 else None  # noqa: PLR2004 - a share
        trade = TRADES[chance.choice(_CHEMICAL)] if park else self._trade(chance, county)
        short = self.land.names[county].rstrip("市县区")
        name = f"{short}{chance.choice(_FIRST)}{chance.choice(_SECOND)}澜{trade.word}有限公司"
        township = self.land.townships.get(county, ())
        place = chance.choice(township) if township and chance.random() < 0.3 else county  # noqa: PLR2004 - a share
        region = uscc.FICTITIOUS_REGIONS[number % len(uscc.FICTITIOUS_REGIONS)]
        code = uscc.generate(region, f"E{number:07d}")
        return self._made(chance, Invented(_id("tenant", number), name, code, place, park, {}, (), ()), trade, number)

    def of_tenant(self, tenant: DemoTenant) -> Invented:
        """Return the file of an enterprise that the members slice has seeded."""
        chance = random.Random(tenant.ref)  # noqa: S311 - demo data, the same everywhere
        trade = TRADES[0] if tenant.park else TRADES[10]
        park = next((other.id for other in tree() if other.ref == tenant.park), None)
        base = Invented(
            tenant.id, tenant.name, str(tenant.credit_code), str(tenant.parent), park, {"status": "VERIFIED"}, (), ()
        )
        return self._made(chance, base, trade, f"own:{tenant.ref}")

    def _trade(self, chance: random.Random, county: str) -> Trade:
        if county.startswith("61") and chance.random() < 0.12:  # noqa: PLR2004 - a share
            return COAL
        return chance.choice(TRADES)

    def _made(self, chance: random.Random, base: Invented, trade: Trade, number: int | str) -> Invented:
        county = base.place_code[:6] if base.place_code[:6] in self.land.counties else self._county(base.place_code)
        head = _person_name(chance)
        sites = self._sites(chance, base, county, number)
        people = _people(chance, head, number, self.on)
        file = self._file(chance, base, trade, head) | dict(base.file)
        around = Surroundings(len(sites), len(sites), [person.role for person in people])
        file |= self.rules.computed(file, around, self.on)
        return Invented(base.id, base.name, base.credit_code, base.place_code, base.park_id, file, sites, people)

    def _county(self, code: str) -> str:
        """Return the county of a township whose code does not begin with its county's."""
        return next(county for county, townships in self.land.townships.items() if code in townships)

    def _file(self, chance: random.Random, base: Invented, trade: Trade, head: str) -> dict[str, Any]:
        employees = int(chance.triangular(*trade.staff, trade.staff[0]))
        status = chance.choices(("UNVERIFIED", "CLAIMED", "VERIFIED"), (15, 35, 50))[0]
        own_words = status != "UNVERIFIED"
        return {
            "name": base.name,
            "credit_code": base.credit_code,
            "legal_representative": head,
            "established_on": date(1985, 1, 1) + timedelta(days=chance.randrange(14_000)),
            "capital_wan": Decimal(chance.choice((50, 100, 500, 1000, 3000, 5000, 10_000))),
            "registered_address": self._address(chance, base.place_code),
            "division_code": base.place_code,
            "industry_code": trade.industry,
            "employees": employees,
            "revenue_wan": Decimal(employees * chance.randint(20, 180)) if own_words else None,
            "assets_wan": Decimal(employees * chance.randint(15, 160)) if own_words else None,
            "supervision_categories": list(trade.categories),
            "standardization_grade": chance.choices((None, "1", "2", "3"), (30, 4, 26, 40))[0],
            "contact_name": head if own_words else None,
            "contact_phone": mask(_phone(chance)) if own_words else None,
            "safety_licence_no": f"DEMO-WH-{base.credit_code[8:16]}" if trade.licence == "safety" else None,
            "hazchem_licence_no": f"DEMO-JY-{base.credit_code[8:16]}" if trade.licence == "hazchem" else None,
            "liability_policy_no": f"DEMO-AZX-{base.credit_code[8:16]}" if chance.random() < 0.6 else None,  # noqa: PLR2004
            "status": status,
            "lifecycle": "SUSPENDED" if chance.random() < 0.03 else "ACTIVE",  # noqa: PLR2004 - a share
            "confirmed_on": self.on - timedelta(days=chance.randrange(200)) if own_words else None,
        }

    def _address(self, chance: random.Random, code: str) -> str:
        return f"{self.land.names[code]}{chance.choice(_ROADS)}{chance.randint(1, 399)}号"

    def _sites(self, chance: random.Random, base: Invented, county: str, number: int | str) -> tuple[InventedSite, ...]:
        places = [(base.place_code, county, base.park_id)]
        share = chance.random()
        if share < 0.10:  # noqa: PLR2004 - one in ten has its second site in another county of its province
            same = [code for code in self.land.counties if code[:2] == county[:2] and code != county]
            other = chance.choice(same)
            places.append((other, other, None))
        elif share < 0.18:  # noqa: PLR2004 - a share
            places.append((county, county, None))
        labels = ("主厂区", "二厂区")
        return tuple(
            InventedSite(
                id=_id(f"site{nth}", number),
                name=labels[nth],
                address=self._address(chance, code),
                place_code=code,
                park_id=park,
                point=self.land.point(chance, where),
                is_main=nth == 0,
            )
            for nth, (code, where, park) in enumerate(places)
        )


def _people(chance: random.Random, head: str, number: int | str, on: date) -> tuple[InventedPerson, ...]:
    roles = ["HEAD", "SAFETY_MANAGER", *(["SAFETY_ENGINEER"] if chance.random() < 0.3 else [])]  # noqa: PLR2004
    return tuple(
        InventedPerson(
            _id(f"person{nth}", number),
            head if nth == 0 else _person_name(chance),
            role,
            mask(_phone(chance)),
            on + timedelta(days=chance.randint(-60, 1000)),
        )
        for nth, role in enumerate(roles)
    )


def _id(kind: str, number: int | str) -> UUID:
    return uuid5(_SPACE, f"{kind}:{number}")


def _person_name(chance: random.Random) -> str:
    return chance.choice(_SURNAMES) + "".join(chance.choices(_GIVEN, k=chance.randint(1, 2)))


def _phone(chance: random.Random) -> str:
    """A number of a range that is not given out: 100 begins no mobile number."""
    return f"100{chance.randrange(10**8):08d}"
