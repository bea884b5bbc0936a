"""Integrations: the senders of alerts that Tocsin understands. To add one, add a module and its line here.

Routes, the gateway, the alerts page's filter, metrics and the table in docs/api.md are generated from this registry.
"""

from tocsin.integrations.registry import INTEGRATIONS, label_of, load, register

__all__ = ["INTEGRATIONS", "label_of", "register"]

load(
    "generic",
    "alertmanager",
)
