"""The documentation of this version."""
