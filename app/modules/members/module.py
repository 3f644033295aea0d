"""The record of the slice."""

from app.kit.module import Module
from app.modules.members.api import MembersMutation, MembersQuery
from app.modules.members.seeds import seed
from infra.db.port import Database
from infra.settings import Settings
from infra.wiring import open_directory


async def _seed(db: Database, _settings: Settings, _size: str) -> list[str]:
    return await seed(db, open_directory(db))


MODULE = Module("members", "成员 Members", query=MembersQuery, mutation=MembersMutation, seed=_seed)
