"""Slice sheets 导入导出: imports and exports of every ledger by Excel, of the person who asked for them."""
