"""HTTP handlers of oncall-service."""
