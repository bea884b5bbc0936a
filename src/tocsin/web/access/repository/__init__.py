"""SQL of the schema access."""
