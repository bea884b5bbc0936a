"""Response metrics as charts, tables and CSV files."""
