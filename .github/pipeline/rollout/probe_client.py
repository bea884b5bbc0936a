"""An HTTP client of the running system: through the edge, like any other client."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

from rollout.release import Release

ENDPOINTS: Final = {
    "alert-ingestion": (8001, ("/api/v1/alerts?limit=5", "/openapi.json")),
    "incident-management": (8002, ("/api/v1/incidents?limit=5", "/api/v1/incidents/stats/summary", "/openapi.json")),
    "oncall-service": (8003, ("/api/v1/schedules?limit=5", "/openapi.json")),
    "notification-service": (8004, ("/api/v1/notifications?limit=5", "/openapi.json")),
    "web-ui": (8080, ("/", "/api/v1/incidents?limit=5", "/api/v1/alerts?limit=5", "/openapi.json")),
}
"""By service: its port at the edge, and paths that return 200 whatever the database contains."""
TIMEOUT: Final = 10.0


class CheckError(Exception):
    """A check failed; *service* names the service at fault."""

    def __init__(self, message: str, service: str = "") -> None:
        super().__init__(message)
        self.service = service


@dataclass(slots=True)
class RequestLog:
    """The durations of successful requests, and the errors of the others."""

    seconds: list[float] = field(default_factory=list)
    failed: list[CheckError] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)


class ProbeClient:
    """A client of one release."""

    def __init__(self, release: Release, token: str | None = None) -> None:
        """Prove who makes the requests by *token*, if the release requires one."""
        self.requests = RequestLog()
        self._release = release
        self._authorization = {"Authorization": f"Bearer {token}"} if token else {}

    def url(self, service: str) -> str:
        """Return the URL of a service, or of Prometheus."""
        if service in ENDPOINTS:
            address, port = self._release.port("edge", ENDPOINTS[service][0])
        else:
            address, port = self._release.port(service, 9090)
        return f"http://{address}:{port}"

    def get(self, service: str, path: str) -> Any:
        """Return the response's body, parsed if it is JSON. Raise CheckError for an error status."""
        return self.request(service, path)

    def request(
        self, service: str, path: str, body: Any = None, *, method: str = "GET", accept: tuple[int, ...] = ()
    ) -> Any:
        """Send a request, with a JSON body if one is given; *accept* lists error statuses that are expected."""
        data = None if body is None else json.dumps(body).encode()
        # Under another name, an edge that has a certificate redirects plain HTTP.
        headers = {"Content-Type": "application/json", "X-Actor": "deploy", "Host": "edge"}
        if service in ENDPOINTS:
            headers |= self._authorization
        request = urllib.request.Request(self.url(service) + path, data, headers, method=method)  # noqa: S310 - http
        started = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
                text = response.read().decode(errors="replace")
                is_json = "json" in response.headers.get("Content-Type", "")
        except urllib.error.HTTPError as error:
            text, is_json = error.read(2_000).decode(errors="replace"), False
            if error.code not in accept:
                raise self._failed(service, f"{method} {path}: {error.code} {text.strip()}") from None
        except OSError as error:
            raise self._failed(service, f"{method} {path}: {error}") from None
        with self.requests.lock:
            self.requests.seconds.append(time.monotonic() - started)
        return json.loads(text) if is_json else text

    def query(self, expression: str) -> float | None:
        """Return the value of a PromQL expression; None if it has none."""
        found = self.request("prometheus", "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        result = found["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    def _failed(self, service: str, request: str) -> CheckError:
        error = CheckError(f"{service}: {request}", service)
        with self.requests.lock:
            self.requests.failed.append(error)
        return error
