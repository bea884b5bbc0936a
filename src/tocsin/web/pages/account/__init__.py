"""Your account: log-ins, tokens and the password."""
