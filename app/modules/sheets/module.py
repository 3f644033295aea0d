"""The record of the slice."""

from app.kit.module import Module
from app.modules.sheets.api import SheetsMutation, SheetsQuery

MODULE = Module("sheets", "导入导出 Imports and exports", query=SheetsQuery, mutation=SheetsMutation)
