"""Contract of a directory: accounts, their ceiling, and who may reach their rows."""

import uuid
from pathlib import Path

import asyncpg
import pytest

from infra.identity.port import (
    AccountConflictError,
    Attributes,
    CeilingError,
    NewAccount,
    TokenRefused,
    UnknownAccountError,
)
from tests.conftest import Clone
from tests.infra.identity.conftest import CITIZEN, COUNTY, FACTORY, MANAGER, OFFICIAL, URL, Issuer
from tests.infra.identity.flows import Flow, claims_of, verifier_of


async def test_directory_repeats_change_nothing(issuer: Issuer) -> None:
    directory = issuer.directory
    wanted = NewAccount("gov", "new.one", "新同志", Attributes(COUNTY, "county"), frozenset({"viewer"}))
    made = await directory.create_user(wanted)
    assert await directory.create_user(wanted) == made
    assert await directory.create_many([wanted]) == 0
    assert await directory.find("gov", username="new.one") == made
    assert await directory.find("gov", subject=made.subject) == made
    assert await directory.find("ent", subject=made.subject) is None
    with pytest.raises(AccountConflictError):
        await directory.create_user(NewAccount("gov", "new.one", "x", Attributes(FACTORY, "county")))
    moved = Attributes(FACTORY, "township", "61/6101/610122/610122100")
    changed = await directory.set_attributes("gov", made.subject, moved)
    assert changed == await directory.set_attributes("gov", made.subject, moved)
    assert changed.attributes == moved
    for _ in range(2):
        assert (await directory.set_roles("gov", made.subject, frozenset({"b", "a"}))).roles == {"a", "b"}
    claims = claims_of((await Flow(issuer.http, "gov").tokens("new.one"))["access_token"])
    assert (claims["roles"], claims["tenant"]["tier"]) == (["a", "b"], "township")
    unknown = uuid.uuid4()
    for call in (directory.disable, directory.end_sessions, directory.enable):
        with pytest.raises(UnknownAccountError):
            await call("gov", unknown)
        with pytest.raises(UnknownAccountError):
            await call("ent", made.subject)


async def test_a_disabled_account_is_refused_everywhere(issuer: Issuer, tmp_path: Path) -> None:
    flow = Flow(issuer.http, "gov")
    tokens = await flow.tokens(OFFICIAL.username)
    code = await flow.code(OFFICIAL.username)
    account = await issuer.directory.find("gov", username=OFFICIAL.username)
    assert account is not None
    ended = await issuer.directory.disable("gov", account.subject)
    assert claims_of(tokens["access_token"])["sid"] in ended
    assert len(ended) == 2
    assert await issuer.directory.disable("gov", account.subject) == ended, "who lost the answer asks again"

    class Ended:
        async def revoked(self, issuer: str, sid: str) -> bool:
            return issuer == f"{URL}/realms/gov" and sid in ended

    with pytest.raises(TokenRefused) as refused:
        await verifier_of(issuer, tmp_path, revocations=Ended()).verify(tokens["access_token"])
    assert refused.value.reason == "session"
    assert (await flow.choose(OFFICIAL.username)).status_code == 404
    assert (await flow.exchange(code)).status_code == 400
    assert (await flow.refresh(tokens["refresh_token"])).status_code == 400
    await issuer.directory.enable("gov", account.subject)
    assert (await flow.refresh(tokens["refresh_token"])).status_code == 400
    await flow.tokens(OFFICIAL.username)


async def test_an_account_closed_behind_the_directorys_back_is_refused_too(issuer: Issuer, issuer_db: Clone) -> None:
    flow = Flow(issuer.http, "gov")
    tokens = await flow.tokens(OFFICIAL.username)
    code = await flow.code(OFFICIAL.username)
    await issuer_db.admin.fetchval("UPDATE issuer.account SET enabled = false")
    assert (await flow.exchange(code)).status_code == 400
    assert (await flow.refresh(tokens["refresh_token"])).status_code == 400


@pytest.mark.parametrize("tier", ["national", "province", "city", "county", "township", "park", "rescue_team"])
async def test_the_enterprise_realm_never_carries_an_official_tier(issuer: Issuer, issuer_db: Clone, tier: str) -> None:
    official = Attributes(COUNTY, tier)
    with pytest.raises(CeilingError):
        await issuer.directory.create_user(NewAccount("ent", "sly", "x", official))
    with pytest.raises(CeilingError):
        await issuer.directory.create_many([CITIZEN, NewAccount("ent", "sly", "x", official)])
    account = await issuer.directory.find("ent", username=MANAGER.username)
    assert account is not None
    with pytest.raises(CeilingError):
        await issuer.directory.set_attributes("ent", account.subject, official)
    with pytest.raises(asyncpg.CheckViolationError):
        await issuer_db.admin.fetchval(f"UPDATE issuer.account SET tenant_tier = '{tier}' WHERE realm = 'ent'")
    with pytest.raises(CeilingError):
        await issuer.directory.create_user(NewAccount("gov", "free", "x", Attributes(None, tier)))


async def test_only_the_issuers_login_reaches_its_rows(issuer: Issuer) -> None:
    tables = ("account", "session", "code", "refresh_token")
    async with issuer.database.connect("county") as connection:
        for table in tables:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT * FROM issuer.{table}")
    async with issuer.database.connect("sys_issuer") as connection:
        for statement in (
            "DELETE FROM issuer.account",
            "UPDATE issuer.account SET realm = 'gov'",
            "UPDATE issuer.code SET expires_at = now() + interval '1 day'",
            "UPDATE issuer.session SET account_id = account_id",
            "CREATE TABLE issuer.mine (id int)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
        for table in tables:
            await connection.fetch(f"SELECT * FROM issuer.{table} LIMIT 1")
