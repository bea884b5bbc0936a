"""The wire models of all services: one pydantic model per request and response. No logic, no I/O."""
