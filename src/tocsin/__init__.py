"""Tocsin: alerts become incidents, and page the people on call until someone acknowledges."""
