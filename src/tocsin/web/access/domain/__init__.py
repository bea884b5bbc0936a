"""The rules of accounts, without a database."""
