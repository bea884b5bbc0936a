"""The five services: name, module, port and address."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tocsin.contracts.services import (
    ALERT_INGESTION,
    INCIDENT_MANAGEMENT,
    NOTIFICATION_SERVICE,
    ONCALL_SERVICE,
    WEB_UI,
)


@dataclass(frozen=True, slots=True)
class Service:
    """One service, run as `python -m <module>`."""

    name: str
    port: int
    identity: str
    """Its name for the other services, which is also the name of its keys."""
    url_variable: str = ""
    """The environment variable with its URL, for the other services."""
    niceness: int = 0
    """Added to that of `tocsin up`: a service with more gets less of a busy processor."""

    @property
    def module(self) -> str:
        """The module to run."""
        return f"tocsin.{self.name}"


WEB: Final = Service("web", 8080, WEB_UI, "WEB_UI_URL")
"""The web interface, and the gateway to the others."""
SERVICES: Final = (
    # Under more alerts than the machine can take, acknowledging and paging come first.
    Service("alerts", 8001, ALERT_INGESTION, "ALERT_INGESTION_URL", niceness=5),
    Service("incidents", 8002, INCIDENT_MANAGEMENT, "INCIDENT_MANAGEMENT_URL"),
    Service("oncall", 8003, ONCALL_SERVICE, "ONCALL_SERVICE_URL"),
    Service("notifications", 8004, NOTIFICATION_SERVICE, "NOTIFICATION_SERVICE_URL"),
    WEB,
)


class ServiceName(StrEnum):
    """The services that `tocsin serve` accepts."""

    ALERTS = "alerts"
    INCIDENTS = "incidents"
    ONCALL = "oncall"
    NOTIFICATIONS = "notifications"
    WEB = "web"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the five services listen: one address, and an offset added to each port."""

    address: str = "127.0.0.1"
    offset: int = 0

    def port(self, service: Service) -> int:
        """Return the port of *service*."""
        return service.port + self.offset

    def url(self, service: Service) -> str:
        """Return the URL of *service* from this machine."""
        host = self.address
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            pass  # a name, such as localhost
        else:
            loopback = "127.0.0.1" if address.version == 4 else "::1"  # noqa: PLR2004
            host = loopback if address.is_unspecified else host
            host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port(service)}"

    def environment(self, service: Service) -> Mapping[str, str]:
        """Return the settings of *service* for its own address and the URLs of the others."""
        others = {other.url_variable: self.url(other) for other in SERVICES if other.url_variable}
        return {"BIND_ADDRESS": self.address, "PORT": str(self.port(service)), **others}
