"""Accounts: what is otherwise here than allauth has it, and what a person may keep."""
