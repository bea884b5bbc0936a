"""Integrations: the senders of alerts that Tocsin understands. A new one is a module of this package and its line here.

Routes, the gateway, the alerts page's filter, metrics and the table in docs/api.md are made from this registry.
"""

from tocsin.integrations.registry import INTEGRATIONS, label_of, load, register

__all__ = ["INTEGRATIONS", "label_of", "register"]

load(
    "generic",
    "alertmanager",
)
