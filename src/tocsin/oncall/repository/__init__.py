"""SQL statements on the tables of schema oncall."""
