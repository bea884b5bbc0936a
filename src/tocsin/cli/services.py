"""The five services: name, module, port and address."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
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


TLS_PORT: Final = 8443
"""The port of the web service with TLS."""


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
    tls_address: str = ""
    """Where the web service listens with TLS; all services then listen without it at `address`, a loopback one."""

    def port(self, service: Service) -> int:
        """Return the port of *service*."""
        return service.port + self.offset

    @property
    def tls_port(self) -> int:
        """The port of the web service with TLS."""
        return TLS_PORT + self.offset

    def url(self, service: Service) -> str:
        """Return the URL of *service* from this machine."""
        return f"http://{_host(self.address)}:{self.port(service)}"

    @property
    def tls_host(self) -> str:
        """The name or address, without brackets, of the web service with TLS from this machine."""
        return _host(self.tls_address).strip("[]")

    @property
    def public_url(self) -> str:
        """The URL of the pages from this machine."""
        return f"https://{_host(self.tls_address)}:{self.tls_port}" if self.tls_address else self.url(WEB)

    def environment(self, service: Service) -> Mapping[str, str]:
        """Return the settings of *service* for its own address and the URLs of the others."""
        others = {other.url_variable: self.url(other) for other in SERVICES if other.url_variable}
        own = {"BIND_ADDRESS": self.address, "PORT": str(self.port(service))}
        if service is WEB and self.tls_address:
            own |= {"BIND_ADDRESS": self.tls_address, "TLS_PORT": str(self.tls_port)}
        return own | others


def _host(host: str) -> str:
    """Return how a URL names *host* on this machine."""
    with suppress(ValueError):  # a name, such as localhost
        address = ip_address(host)
        if address.is_unspecified:
            return "127.0.0.1" if address.version == 4 else "[::1]"  # noqa: PLR2004
    return f"[{host}]" if ":" in host else host
