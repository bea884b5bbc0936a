"""The audit, for admins."""
