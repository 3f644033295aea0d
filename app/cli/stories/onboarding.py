"""US-04: an enterprise registers from the Internet and is at work minutes later; everybody sees what they should.

People: a citizen, the county's acceptor, the enterprise's first user, and the officers who look on.
Counties and names are drawn by chance among the whole seeded tree, so that the story can be told anywhere.
"""

from dataclasses import dataclass
from typing import Any

from app.cli.stories import Person, Story, check
from app.kit.ids import uuid4
from app.kit.rules import geo, uscc
from app.modules.members.public import DemoTenant, account_in, tree
from tenants.kinds import Kind

TENANT_WORKS = "the tenant works: the first user activates, signs in and sees the file"
_LETTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_NAMES = ("安恒", "瑞澄", "永固", "宏信", "新源", "嘉和", "德润", "金桥", "润泽", "昌盛")
_TRADES = (("精细化工", "2614"), ("机械制造", "3421"), ("新材料科技", "2651"), ("食品加工", "1392"))

_SUBMIT = """mutation Submit($input: RegistrationSubmitInput!) {
  registrationSubmit(input: $input) { received errors { code field message } } }"""
_INBOX = """query Inbox($code: String!) {
  registrations(filter: {creditCode: {eq: $code}}, first: 10) { totalCount nodes {
    id kind state version name divisionCode phoneMasked enterprise { id name } } } }"""
_REVEAL = """mutation Reveal($input: RegistrationPhoneRevealInput!) {
  registrationPhoneReveal(input: $input) {
    contactPhone registration { id version } errors { code field message } } }"""
_APPROVE = """mutation Approve($input: RegistrationApproveInput!) {
  registrationApprove(input: $input) { slipCode slipQrSvg slipExpiresAt
    registration { id state enterprise { id name } } errors { code field message } } }"""
_REDEEM = """mutation Redeem($input: ActivationRedeemInput!) {
  activationRedeem(input: $input) { state errors { code field message } } }"""
_FILE = """query File {
  viewer { name tenant { name } capabilities }
  enterprises(first: 5) { totalCount nodes {
    id name status completeness version sites(first: 10) { totalCount } } } }"""
_UPDATE = """mutation Update($input: EnterpriseUpdateInput!) {
  enterpriseUpdate(input: $input) {
    enterprise { id completeness sizeClass version } errors { code field message } } }"""
_SITE = """mutation Site($input: SiteAddInput!) {
  siteAdd(input: $input) { site { id name divisionCode positionWarningM } errors { code field message } } }"""
_SEEN = """query Seen($ids: [ID!]!, $code: String!, $name: String!) {
  nodes(ids: $ids) { id }
  enterprises(filter: {creditCode: {eq: $code}}, first: 5) { totalCount nodes { id } }
  sites(filter: {enterpriseName: {eq: $name}}, first: 10) { totalCount nodes { id } } }"""
_PARK = """query Park($name: String!) {
  agencies(filter: {kind: {eq: PARK}, name: {eq: $name}}, first: 2) { nodes { id name } } }"""


@dataclass(frozen=True)
class Stage:
    """Where the story is told."""

    home: DemoTenant
    """The county that is asked."""
    second: DemoTenant
    """Another county of the same city, with the second site."""
    neighbour: DemoTenant
    """A county of another city."""
    elsewhere: DemoTenant
    """Its own or another county that the second registration names."""
    city: str
    province: str
    other_province: str
    park: DemoTenant | None
    """A park of the province; the source lists Jiangsu's only."""


def choose(story: Story) -> Stage:
    """Draw two counties of one city, a neighbour, and a park."""
    tenants = {tenant.ref: tenant for tenant in tree()}
    counties = [tenant for tenant in tree() if tenant.kind is Kind.COUNTY]
    home = story.dice.choice(counties)
    city = home.parent or ""
    same = [county for county in counties if county.parent == city and county is not home]
    second = story.dice.choice(same) if same else home
    province = tenants[city].parent or city
    others = [county for county in counties if county.parent != city and county.ref[:2] == home.ref[:2]]
    neighbour = story.dice.choice(others)
    parks = [tenant for tenant in tree() if tenant.kind is Kind.PARK and _province_of(tenant, tenants) == province]
    provinces = [tenant.ref for tenant in tree() if tenant.kind is Kind.PROVINCE]
    other = next(ref for ref in provinces if ref != province)
    park = story.dice.choice(parks) if parks else None
    return Stage(home, second, neighbour, story.dice.choice(others), city, province, other, park)


def _province_of(tenant: DemoTenant, tenants: dict[str, DemoTenant]) -> str:
    while tenant.kind is not Kind.PROVINCE and tenant.parent:
        tenant = tenants[tenant.parent]
    return tenant.ref


def _draw_form(story: Story, stage: Stage) -> dict[str, Any]:
    trade, industry = story.dice.choice(_TRADES)
    body = "".join(story.dice.choice(_LETTERS) for _ in range(8))
    region = story.dice.choice(tuple(uscc.FICTITIOUS_REGIONS))
    longitude, latitude = _point_in(stage.home.ref)
    return {
        "creditCode": uscc.generate(region, body),
        "name": f"{story.dice.choice(_NAMES)}{story.dice.choice(_NAMES)}{trade}{body[:4]}有限公司",
        "divisionCode": stage.home.ref,
        "address": "示范路 1 号",
        "contactName": "示范联系人",
        "contactPhone": f"139{story.dice.randrange(10**8):08}",
        "industryCode": industry,
        "longitude": longitude,
        "latitude": latitude,
    }


def _point_in(code: str) -> tuple[float, float]:
    point = geo.boundaries().inner_point(code)
    check(point, f"a polygon of {code}")
    return point or (0.0, 0.0)


async def tell(story: Story) -> None:
    """Tell the story; the first step that does not hold ends it."""
    stage = choose(story)
    form = _draw_form(story, stage)
    citizen = story.anonymous()
    acceptor = await story.person(account_in(stage.home.ref, "ACCEPTOR"), "gov")
    await _register(story, citizen, form)
    enterprise_id, slip = await _approve(story, acceptor, form)
    user = await _activate(story, slip, form)
    sites = await _fill_file(story, user, stage, enterprise_id)
    await _look(story, stage, form, enterprise_id, sites)
    await _claim(story, stage, form, enterprise_id)


async def _register(story: Story, citizen: Person, form: dict[str, Any]) -> None:
    code = form["creditCode"]
    async with story.step("a citizen's form with a wrong check digit is refused, with its position"):
        last = _LETTERS[(_LETTERS.index(code[-1]) + 1) % len(_LETTERS)]
        payload = await citizen.attempt(_SUBMIT, input={**form, "creditCode": code[:-1] + last})
        errors = payload["errors"]
        check(errors and errors[0]["field"] == ["creditCode"], "one error at creditCode")
        check("18" in errors[0]["message"], "the message names position 18")
        check(not payload["received"], "nothing was received")
    async with story.step(f"a citizen registers {form['name']} from the Internet door"):
        sent = {**form, "clientMutationId": str(uuid4())}
        check((await citizen.do(_SUBMIT, input=sent))["received"], "received")
        check((await citizen.do(_SUBMIT, input=sent))["received"], "a repeat of the same attempt is received, too")


async def _approve(story: Story, acceptor: Person, form: dict[str, Any]) -> tuple[str, str]:
    async with story.step(f"the county ({acceptor.account}) sees it in its list, once"):
        inbox = (await acceptor.ask(_INBOX, code=form["creditCode"]))["registrations"]
        check(inbox["totalCount"] == 1, f"one registration, not {inbox['totalCount']}")
        row = inbox["nodes"][0]
        check((row["kind"], row["state"]) == ("NEW", "RECEIVED"), "new and received")
    async with story.step("the acceptor needs a reason to see the number, then calls back; a repeat shows it no more"):
        check(form["contactPhone"] not in str(inbox), "the list hides the middle of the number")
        asked = {"id": row["id"], "reason": "", "clientMutationId": str(uuid4())}
        refused = await acceptor.attempt(_REVEAL, input=asked)
        check(refused["errors"] and not refused["contactPhone"], "no number without a reason")
        asked |= {"reason": "电话核实联系人", "clientMutationId": str(uuid4())}
        shown = await acceptor.do(_REVEAL, input=asked)
        check(shown["contactPhone"] == form["contactPhone"], "the number that the citizen gave")
        check((await acceptor.do(_REVEAL, input=asked))["contactPhone"] is None, "shown once")
    async with story.step("the county approves: tenant, file, site and first user in one transaction"):
        given = {"id": row["id"], "expectedVersion": row["version"], "clientMutationId": str(uuid4())}
        payload = await acceptor.do(_APPROVE, input=given)
        check(payload["slipCode"] and payload["slipQrSvg"].startswith("<"), "an activation slip to print")
        enterprise = payload["registration"]["enterprise"]
        again = await acceptor.do(_APPROVE, input=given)
        check(again["registration"]["enterprise"] == enterprise, "a repeat gives the same enterprise")
        check(again["slipCode"] is None, "the slip's code is shown once")
    return enterprise["id"], payload["slipCode"]


async def _activate(story: Story, slip: str, form: dict[str, Any]) -> Person:
    login = "first." + form["creditCode"][8:].lower()
    async with story.step(TENANT_WORKS):
        await story.anonymous().do(_REDEEM, input={"code": slip, "loginName": login, "clientMutationId": str(uuid4())})

        async def signed_in() -> Person | None:
            try:
                found = await story.person(login, "ent")
                data = await found.ask(_FILE)
            except Exception as fault:  # noqa: BLE001 - not yet: the account is being made
                story.last = str(fault)
                return None
            return found if data["enterprises"]["totalCount"] == 1 else None

        user: Person = await story.until("the first user can sign in and sees the file", signed_in)
    async with story.step("a used slip is worth nothing"):
        again = {"code": slip, "loginName": login + ".b", "clientMutationId": str(uuid4())}
        check((await story.anonymous().attempt(_REDEEM, input=again))["errors"], "an error")
    return user


async def _fill_file(story: Story, user: Person, stage: Stage, enterprise_id: str) -> dict[str, str]:
    async with story.step("the first user completes the file; size class and completeness follow by rule"):
        before = (await user.ask(_FILE))["enterprises"]["nodes"][0]
        given = {
            "id": enterprise_id, "expectedVersion": before["version"], "legalRepresentative": "示范法人",
            "registeredAddress": "示范路 1 号", "employees": 320, "revenueWan": "26000", "assetsWan": "18000",
            "contactName": "示范联系人", "contactPhone": "13900000000",
        }  # fmt: skip
        after = (await user.do(_UPDATE, input=given))["enterprise"]
        check(after["completeness"] > before["completeness"], "completeness rises")
        check(after["sizeClass"] == "MEDIUM", "320 people and 26,000 万元 are a medium enterprise")
        stale = await user.attempt(_UPDATE, input=given)
        check(stale["errors"] and stale["errors"][0]["code"] == "CONFLICT", "a stale version is a conflict")
    async with story.step(
        "the sites: one in the home county, one in a second county" + (" and a park" * bool(stage.park))
    ):
        park = None
        if stage.park:
            park = (await user.ask(_PARK, name=stage.park.name))["agencies"]["nodes"][0]["id"]
        sites = {"home": await _add_site(user, "一号厂区", stage.home.ref, None)}
        sites["second"] = await _add_site(user, "二号厂区", stage.second.ref, park)
    return sites


async def _add_site(user: Person, name: str, code: str, park: str | None) -> str:
    longitude, latitude = _point_in(code)
    given = {"name": name, "address": "示范路 2 号", "divisionCode": code, "park": park, "longitude": longitude,
             "latitude": latitude, "clientMutationId": str(uuid4())}  # fmt: skip
    site = (await user.do(_SITE, input=given))["site"]
    check(site["positionWarningM"] is None, "the point lies inside its division")
    return str(site["id"])


async def _look(story: Story, stage: Stage, form: dict[str, Any], enterprise_id: str, sites: dict[str, str]) -> None:
    """Everybody looks: by id, by list, by count; each sees exactly what is in his area."""
    both, home, second = {"home", "second"}, {"home"}, {"second"}
    lookers = [
        ("the home county", stage.home.ref, "OFFICER", True, home),
        ("the second county", stage.second.ref, "OFFICER", False, second),
        ("the city", stage.city, "OFFICER", True, both),
        ("the province", stage.province, "OFFICER", True, both),
        ("a neighbour", stage.neighbour.ref, "OFFICER", False, set()),
        ("the other province", stage.other_province, "OFFICER", False, set()),
    ]
    if stage.park:
        lookers.append(("the park", stage.park.ref, "OFFICER", False, second))
    for who, ref, role, sees_file, sees_sites in lookers:
        async with story.step(f"{who} sees {'the file and ' if sees_file else ''}{len(sees_sites)} of the new sites"):
            person = await story.person(account_in(ref, role), "gov")
            ids = [enterprise_id, *sites.values()]
            data = await person.ask(_SEEN, ids=ids, code=form["creditCode"], name=form["name"])
            wanted = [enterprise_id if sees_file else None, *(sites[k] if k in sees_sites else None for k in sites)]
            check([node and node["id"] for node in data["nodes"]] == wanted, f"by id {wanted}, not {data['nodes']}")
            check(data["enterprises"]["totalCount"] == int(sees_file), "the list of files agrees")
            listed = {node["id"] for node in data["sites"]["nodes"]} & set(sites.values())
            check(listed == {sites[k] for k in sees_sites}, "the list of sites agrees")
            if not sees_sites:
                check(data["sites"]["totalCount"] == 0, "and the count is 0")


async def _claim(story: Story, stage: Stage, form: dict[str, Any], enterprise_id: str) -> None:
    async with story.step(f"somebody registers the same code in {stage.elsewhere.name}: the answer is the same"):
        second = {
            **form,
            "divisionCode": stage.elsewhere.ref,
            "contactName": "第二人",
            "clientMutationId": str(uuid4()),
        }
        second |= {"longitude": None, "latitude": None}
        check((await story.anonymous().do(_SUBMIT, input=second))["received"], "received")
    async with story.step("it ends as a claim on the first county's page; the named county sees nothing"):
        acceptor = await story.person(account_in(stage.home.ref, "ACCEPTOR"), "gov")
        rows = (await acceptor.ask(_INBOX, code=form["creditCode"]))["registrations"]["nodes"]
        claims = [row for row in rows if row["kind"] == "CLAIM"]
        check(len(claims) == 1 and claims[0]["state"] == "RECEIVED", "one claim, received")
        check(claims[0]["enterprise"] and claims[0]["enterprise"]["id"] == enterprise_id, "of this enterprise")
        named = await story.person(account_in(stage.elsewhere.ref, "ACCEPTOR"), "gov")
        nothing = (await named.ask(_INBOX, code=form["creditCode"]))["registrations"]
        check(nothing["totalCount"] == 0, "the named county sees nothing")
