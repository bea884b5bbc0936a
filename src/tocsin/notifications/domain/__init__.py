"""Decisions about messages: pure functions of their arguments."""
