"""Divisions, code and rule tables with versions, working days, legal time limits."""
