"""Statements on the tables of on-call."""
