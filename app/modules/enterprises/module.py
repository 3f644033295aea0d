"""The record of the slice."""

from app.kit.module import Module
from app.modules.enterprises.api import EnterprisesMutation, EnterprisesQuery
from app.modules.enterprises.seeds import run

MODULE = Module("enterprises", "企业 Enterprises", query=EnterprisesQuery, mutation=EnterprisesMutation, seed=run)
