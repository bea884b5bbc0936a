"""The decisions of incident management: pure functions."""
