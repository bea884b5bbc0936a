"""Speak to the running system as anybody outside does: HTTP, through the edge."""

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
"""By service: its port at the edge, and what must answer 200 whatever there is in the database."""
TIMEOUT: Final = 10.0


class CheckError(Exception):
    """Something is not as it should be; the message says what, *service* where."""

    def __init__(self, message: str, service: str = "") -> None:
        super().__init__(message)
        self.service = service


@dataclass(slots=True)
class Ledger:
    """What was asked, and what failed."""

    seconds: list[float] = field(default_factory=list)
    failed: list[CheckError] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)


class Outside:
    """A client of one release."""

    def __init__(self, release: Release) -> None:
        self.ledger = Ledger()
        self._release = release

    def url(self, service: str) -> str:
        """Return where a service, or Prometheus, is reached from this machine."""
        if service in ENDPOINTS:
            address, port = self._release.port("edge", ENDPOINTS[service][0])
        else:
            address, port = self._release.port(service, 9090)
        return f"http://{address}:{port}"

    def get(self, service: str, path: str) -> Any:
        """Return what is answered: JSON, or text. Raise CheckError where that is no success."""
        return self.ask(service, path)

    def ask(
        self, service: str, path: str, body: Any = None, *, method: str = "GET", accept: tuple[int, ...] = ()
    ) -> Any:
        """Send a request, with a JSON body where there is one; statuses below 400, and those to *accept*, are fine."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "X-Actor": "deploy"}
        request = urllib.request.Request(self.url(service) + path, data, headers, method=method)  # noqa: S310 - http
        begun = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
                text = answer.read().decode(errors="replace")
                json_said = "json" in answer.headers.get("Content-Type", "")
        except urllib.error.HTTPError as refused:
            text, json_said = refused.read(2_000).decode(errors="replace"), False
            if refused.code not in accept:
                raise self._failed(service, f"{method} {path}: {refused.code} {text.strip()}") from None
        except OSError as away:
            raise self._failed(service, f"{method} {path}: {away}") from None
        with self.ledger.lock:
            self.ledger.seconds.append(time.monotonic() - begun)
        return json.loads(text) if json_said else text

    def query(self, expression: str) -> float | None:
        """Return what Prometheus makes of an expression with one value; None where it has none."""
        found = self.ask("prometheus", "/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        result = found["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    def _failed(self, service: str, what: str) -> CheckError:
        message = f"{service} does not answer {what}"
        error = CheckError(message, service)
        with self.ledger.lock:
            self.ledger.failed.append(error)
        return error
