"""Shared and boring: what every service needs and no service owns. Knows no domain."""
