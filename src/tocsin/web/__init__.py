"""What people see, and the one door for everything: pages, and `/api/v1/...` forwarded to the other four services."""
