"""SQL statements on the schema `notifications`."""
