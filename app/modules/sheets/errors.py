"""Codes of expected errors; their texts stand in ``app/kit/messages/sheets.<locale>.json``."""

IMPORT_STATE = "IMPORT_STATE"
IMPORT_NOTHING = "IMPORT_NOTHING"
EXPORT_STATE = "EXPORT_STATE"
NO_FILE = "NO_FILE"
FILE_NAME = "FILE_NAME"
"""The other codes stand where they are raised: ``SHEET_``, ``CELL_``, ``ROW_``, ``FILTER_`` in ``app/kit/sheets``."""
