"""One alert with its raw request."""
