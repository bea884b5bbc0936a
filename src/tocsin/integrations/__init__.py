"""Integrations: the senders of alerts that Tocsin understands, one module each, registered by one line each.

Routes, the gateway, the alerts page's filter, metrics and the table in docs/api.md are made from this registry.
"""

from tocsin.integrations import alertmanager, generic
from tocsin.integrations.registry import INTEGRATIONS, label_of, register

__all__ = ["INTEGRATIONS", "label_of", "register"]

register(generic.INTEGRATION)
register(alertmanager.INTEGRATION)
