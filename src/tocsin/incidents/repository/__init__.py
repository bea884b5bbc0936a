"""Statements on the schema `incidents`, by use case."""
