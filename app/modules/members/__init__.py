"""Slice members 成员: tenants, memberships and users; delegated administration; activation slips."""
