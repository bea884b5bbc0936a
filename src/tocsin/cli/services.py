"""The five services as the command knows them: by name, module and port."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True)
class Service:
    """One service, run as `python -m <module>`."""

    name: str
    port: int
    url_variable: str = ""
    """The setting by which its neighbours find it."""

    @property
    def module(self) -> str:
        """The module to run."""
        return f"tocsin.{self.name}"


WEB: Final = Service("web", 8080)
"""The page, and the gateway to the others."""
SERVICES: Final = (
    Service("alerts", 8001, "ALERT_INGESTION_URL"),
    Service("incidents", 8002, "INCIDENT_MANAGEMENT_URL"),
    Service("oncall", 8003, "ONCALL_SERVICE_URL"),
    Service("notifications", 8004, "NOTIFICATION_SERVICE_URL"),
    WEB,
)


class ServiceName(StrEnum):
    """What `tocsin serve` takes."""

    ALERTS = "alerts"
    INCIDENTS = "incidents"
    ONCALL = "oncall"
    NOTIFICATIONS = "notifications"
    WEB = "web"


@dataclass(frozen=True, slots=True)
class Place:
    """Where all five listen on this machine: one address, and their ports moved by an offset."""

    address: str = "127.0.0.1"
    offset: int = 0

    def port(self, service: Service) -> int:
        """Return the port of *service*."""
        return service.port + self.offset

    def url(self, service: Service) -> str:
        """Return where *service* is reached from this machine."""
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
        """Return the settings that tell *service* where it listens and where its neighbours are."""
        neighbours = {other.url_variable: self.url(other) for other in SERVICES if other.url_variable}
        return {"BIND_ADDRESS": self.address, "PORT": str(self.port(service)), **neighbours}
