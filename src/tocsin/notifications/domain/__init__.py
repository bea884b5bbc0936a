"""Pure functions and values: whether to send a message, when to retry it, and which messages form a digest."""
