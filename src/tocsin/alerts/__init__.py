"""Accepts alerts in the formats of the integrations, stores them durably, and forwards them for correlation."""
