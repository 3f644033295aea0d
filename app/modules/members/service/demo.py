"""Who the demo is about: invented people in real divisions, the same on every installation.

Everything has an id made from its name (UUID version 5), so that seeding twice changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from uuid import NAMESPACE_URL, UUID, uuid5

from app.kit.rules import shipped, uscc
from tenants.kinds import Kind

_SPACE = uuid5(NAMESPACE_URL, "urn:anlan:demo")
_OFFICE = {"PROVINCE": "应急管理厅", "CITY": "应急管理局", "COUNTY": "应急管理局"}
_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜"
_GIVEN = ("安", "宁", "康", "平", "澜", "清", "和", "实", "慎", "恒", "明", "正")
FICTITIOUS_REGION = "990000"
"""Registering region of demo credit codes: GB/T 2260 has no region 99, so none belongs to anybody."""


@dataclass(frozen=True)
class DemoTenant:
    """A tenant of the seeded tree.

    Args:
        ref: its key in this module: a division code, ``park:1``, ``ent:1`` …
        kind: its kind.
        name: name of the authority or company.
        parent: ``ref`` of the tenant above; None for the nation.
        division_code: code of its division, of authorities only.
        credit_code: of enterprises.
        park: ``ref`` of the home park of an enterprise.
    """

    ref: str
    kind: Kind
    name: str
    parent: str | None
    division_code: str | None = None
    credit_code: str | None = None
    park: str | None = None

    @property
    def id(self) -> UUID:
        """Its id, the same on every installation."""
        return tenant_id(self.ref)


@dataclass(frozen=True)
class DemoPerson:
    """A person with one membership.

    Args:
        account: login name.
        name: invented.
        ref: the tenant.
        role: one role.
        post: title.
        shown: whether the start page lists the account.
    """

    account: str
    name: str
    ref: str
    role: str
    post: str
    shown: bool = True

    @property
    def person_id(self) -> UUID:
        """Id of the person."""
        return uuid5(_SPACE, f"person:{self.account}")

    @property
    def membership_id(self) -> UUID:
        """Id of the membership."""
        return uuid5(_SPACE, f"membership:{self.account}")

    @property
    def subject(self) -> UUID:
        """Subject at the embedded issuer."""
        return uuid5(_SPACE, f"subject:{self.account}")


def tenant_id(ref: str) -> UUID:
    """Return the id of the seeded tenant with this reference (a division code, ``park:1``, ``ent:1`` …)."""
    return uuid5(_SPACE, f"tenant:{ref}")


@cache
def tree() -> tuple[DemoTenant, ...]:
    """Return every tenant of the tree, parents before children: the nation, both provinces, parks, the demo's own."""
    found = [DemoTenant("nation", Kind.NATIONAL, "全国安全生产监管信息平台", None)]
    for division in shipped.divisions():
        if division.valid_to is None:
            kind = Kind[division.level]
            name = _authority(division.name, division.level)
            found.append(DemoTenant(division.code, kind, name, division.parent_code or "nation", division.code))
    for park in shipped.parks():
        # A park that lies in several counties stands under the first that its source names.
        parent = park.county_codes[0] if park.county_codes else park.province_code
        found.append(DemoTenant(f"park:{park.seq}", Kind.PARK, park.name, parent))
    return (*found, *_OWN)


def _authority(name: str, level: str) -> str:
    if level in _OFFICE:
        return name + _OFFICE[level]
    if name.endswith("街道"):
        return f"{name}办事处"
    return f"{name}人民政府" if name.endswith(("镇", "乡")) else name


_OWN = (
    DemoTenant(
        "ent:1",
        Kind.ENTERPRISE,
        "江阴澄安精细化工有限公司",
        "320281",
        credit_code=uscc.generate(FICTITIOUS_REGION, "DEM00001"),
        park="park:2",
    ),
    DemoTenant(
        "ent:2",
        Kind.ENTERPRISE,
        "榆林塞安机械制造有限公司",
        "610802",
        credit_code=uscc.generate(FICTITIOUS_REGION, "DEM00002"),
    ),
    DemoTenant("team:1", Kind.RESCUE_TEAM, "江阴危险化学品应急救援队", "320281"),
    DemoTenant("agency:1", Kind.AGENCY, "江苏安评技术服务有限公司", "32"),
    DemoTenant("agency:2", Kind.AGENCY, "无锡市应急管理信息中心", "3202"),
)

_POSTS = {
    "ADMIN": "系统管理员",
    "SECURITY": "安全管理员",
    "AUDITOR": "审计管理员",
    "LEADER": "局领导",
    "OFFICER": "科员",
    "STATISTICIAN": "统计员",
    "STANDARDS": "标准管理员",
    "ACCEPTOR": "受理员",
    "GRID": "网格员",
    "DUTY": "值班员",
    "EXCHANGE": "对接员",
    "HEAD": "主要负责人",
    "SAFETY_MANAGER": "安全管理员",
    "WORKER": "岗位员工",
    "CAPTAIN": "队长",
    "MEMBER": "队员",
    "EXPERT": "专家",
}
_STAFF = {
    "nation": ("nation", ("EXCHANGE", "ADMIN", "SECURITY", "AUDITOR")),
    "js": ("32", ("LEADER", "OFFICER", "STATISTICIAN", "STANDARDS", "ADMIN", "SECURITY", "AUDITOR")),
    "sn": ("61", ("LEADER", "OFFICER", "STANDARDS", "ADMIN", "SECURITY", "AUDITOR")),
    "wx": ("3202", ("LEADER", "OFFICER", "ADMIN", "SECURITY", "AUDITOR")),
    "yl": ("6108", ("LEADER", "OFFICER", "ADMIN", "SECURITY", "AUDITOR")),
    "jy": ("320281", ("LEADER", "OFFICER", "ACCEPTOR", "ADMIN", "SECURITY", "AUDITOR")),
    "yy": ("610802", ("LEADER", "OFFICER", "ACCEPTOR", "ADMIN", "SECURITY", "AUDITOR")),
    "cj": ("320281001", ("OFFICER", "GRID", "ADMIN", "SECURITY", "AUDITOR")),
    "lg": ("park:2", ("LEADER", "OFFICER", "DUTY", "ADMIN", "SECURITY", "AUDITOR")),
    "ca": ("ent:1", ("HEAD", "SAFETY_MANAGER", "WORKER", "ADMIN", "AUDITOR")),
    "sa": ("ent:2", ("HEAD", "SAFETY_MANAGER", "WORKER", "ADMIN", "AUDITOR")),
    "jd": ("team:1", ("CAPTAIN", "DUTY", "MEMBER", "ADMIN", "SECURITY")),
    "ap": ("agency:1", ("EXPERT", "ADMIN", "SECURITY")),
    "xx": ("agency:2", ("EXPERT", "ADMIN", "SECURITY")),
}
"""Prefix of login names to tenant and roles; one person per role."""


@cache
def people() -> tuple[DemoPerson, ...]:
    """Return every demo person: the staff of a handful of tenants, and a few in each division above the townships."""
    staffed = {ref for ref, _ in _STAFF.values()}
    found: list[DemoPerson] = []
    for prefix, (ref, roles) in _STAFF.items():
        found += [_person(f"{prefix}.{role.lower()}", ref, role, shown=True) for role in roles]
    for tenant in tree():
        for role in _EVERYWHERE.get(tenant.kind, ()):
            if tenant.ref not in staffed:
                found.append(_person(f"{role.lower()}.{_short(tenant.ref)}", tenant.ref, role, shown=False))
    return tuple(found)


_EVERYWHERE = {
    Kind.CITY: ("ADMIN", "SECURITY", "OFFICER"),
    Kind.COUNTY: ("ACCEPTOR", "OFFICER"),
    Kind.PARK: ("OFFICER",),
}
"""In every city, county and park, so that a story can be told anywhere: ``acceptor.320102``, ``officer.park1``."""


def account_in(ref: str, role: str) -> str:
    """Return the login name of the demo person with this role in a seeded tenant.

    Args:
        ref: a division code, ``park:1`` …
        role: the role.

    Raises:
        LookupError: there is none.
    """
    for person in people():
        if (person.ref, person.role) == (ref, role):
            return person.account
    raise LookupError(f"no demo person is {role} of {ref}")


def _short(ref: str) -> str:
    return ref.replace(":", "")


def _person(account: str, ref: str, role: str, *, shown: bool) -> DemoPerson:
    number = uuid5(_SPACE, f"name:{account}").int
    surname = _SURNAMES[number % len(_SURNAMES)]
    given = _GIVEN[number // 97 % len(_GIVEN)] + _GIVEN[number // 1009 % len(_GIVEN)]
    return DemoPerson(account, surname + given, ref, role, _POSTS[role], shown)


def demo_accounts(*, every: bool = False) -> list[dict[str, str]]:
    """Return the demo accounts for people to look at.

    Args:
        every: also those that are in each city, county and park.

    Returns:
        ``account``, ``name``, ``tenant`` (name), ``kind`` and ``role`` of each.
    """
    names = {tenant.ref: tenant for tenant in tree()} if every else dict(_shown_tenants())
    return [
        {
            "account": person.account,
            "name": person.name,
            "tenant": names[person.ref].name,
            "kind": str(names[person.ref].kind),
            "role": person.role,
        }
        for person in people()
        if every or person.shown
    ]


def _shown_tenants() -> Iterator[tuple[str, DemoTenant]]:
    wanted = {ref for ref, _ in _STAFF.values()}
    return ((tenant.ref, tenant) for tenant in tree() if tenant.ref in wanted)
