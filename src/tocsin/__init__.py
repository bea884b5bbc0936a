"""Tocsin: alerts become incidents, and page whoever is on call until someone acknowledges."""
