"""Accounts: who may log in, and by what they prove who they are."""
