"""Accounts: what is otherwise here than allauth has it."""
