"""Accounts: who may log in, by what they prove it, and what they may do."""
