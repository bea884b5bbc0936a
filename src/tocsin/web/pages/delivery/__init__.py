"""The list of messages with their delivery attempts."""
