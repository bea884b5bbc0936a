"""All SQL of alert-ingestion."""
