"""SQL statements on the schema `incidents`."""
