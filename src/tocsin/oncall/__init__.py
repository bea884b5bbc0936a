"""Knows who is on call, and pages people until one of them answers."""
