"""The web pages, and the gateway: `/api/v1/...` is forwarded to the other four services."""
