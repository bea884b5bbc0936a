"""The registry of integrations, by name, in display order."""

from importlib import import_module
from typing import Final

from tocsin.integrations.integration import Integration

INTEGRATIONS: Final[dict[str, Integration]] = {}


def register(integration: Integration) -> None:
    """Add *integration*. Raise ValueError if its name or path is already registered."""
    if any(integration.name == other.name or integration.path == other.path for other in INTEGRATIONS.values()):
        msg = f"the name {integration.name!r} or the path {integration.path!r} is already registered"
        raise ValueError(msg)
    INTEGRATIONS[integration.name] = integration


def load(*modules: str) -> None:
    """Register the integrations that *modules* of this package define as `INTEGRATION`."""
    for module in modules:
        register(import_module(f"tocsin.integrations.{module}").INTEGRATION)


def label_of(name: str) -> str:
    """Return an integration's display name; *name* itself for stored alerts of an integration that was removed."""
    integration = INTEGRATIONS.get(name)
    return name if integration is None else integration.label
