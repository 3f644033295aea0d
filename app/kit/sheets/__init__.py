"""Imports and exports by Excel (decision 37): one job type each, used by every slice's ledgers.

``ledger`` says what a slice declares in its ``sheets.py``; ``child`` reads a stranger's file in a process of its own;
``reading`` and ``cells`` turn it into rows with errors by row and column; ``importing`` and ``exporting`` run in jobs.
"""
