"""All SQL of alert-ingestion: taking in, telling on, reading."""
