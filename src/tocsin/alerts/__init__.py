"""Takes an alert in any sender's format, stores it durably, and has it correlated."""
