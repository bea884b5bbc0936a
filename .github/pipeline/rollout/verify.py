"""Verify a deployed release from outside, without stopping or changing anything."""

import contextlib
import math
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from rollout.docker import Container, Docker
from rollout.exit_codes import ExitCode
from rollout.probe_client import ENDPOINTS, CheckError, ProbeClient
from rollout.release import RELEASE, Release
from rollout.store import Store

DRILL: Final = "tocsin-drill"
"""The service and team of the drill incident; the team's only member is paged on the console."""
TOKEN_FILE: Final = "/run/secrets/migrate/tokens/pipeline"  # noqa: S105 - a path
PAGED_SECONDS: Final = 15.0
PROMETHEUS_SECONDS: Final = 40.0
"""How long Prometheus may take; it discovers and scrapes its targets every five seconds."""
LOAD_SECONDS: Final = 8.0
READERS: Final = 4
MAX_ERROR_RATE: Final = 0.01
MAX_P95_SECONDS: Final = 1.0
SHOWN_LINES: Final = 6
MAX_SHOWN_CHARACTERS: Final = 1_000
"""Of a line of a log."""
API_ROUTES: Final = 'route!~"/health|/health/ready|/metrics|.*/stream"'


def verify(release: Release, docker: Docker, store: Store) -> ExitCode:
    """Run and print all checks, store the figures in verify.json, and return FINDING if one failed."""
    client = ProbeClient(release, _token(release, docker, store))
    figures: dict[str, Any] = {"tag": release.tag, "paged_seconds": None, "error_rate": None, "p95_seconds": None}
    failed: list[CheckError] = []

    def check(name: str, work: Callable[[], object]) -> None:
        started = time.monotonic()
        try:
            work()
        except CheckError as error:
            failed.append(error)
            sys.stdout.write(f"FAILED {name}: {error}\n")
        else:
            sys.stdout.write(f"ok     {name} ({time.monotonic() - started:.1f} s)\n")
        sys.stdout.flush()

    check("every endpoint responds, in this version", lambda: _check_endpoints(client, release))
    check("an incident is opened, paged, acknowledged and resolved, under load", lambda: _drill(client, figures))
    check("no replica restarted", lambda: _check_restarts(docker, release))
    check("Prometheus scrapes every target", lambda: _check_targets(client, release))
    check("error rate and latency", lambda: _check_objectives(client, release, figures))
    figures |= {
        "requests": len(client.requests.seconds) + len(client.requests.failed),
        "failed": len(client.requests.failed),
    }
    store.save_report("verify.json", figures)
    for error in failed:
        sys.stderr.write(f"{release.tag} failed its verification: {error}\n")
    if failed:
        services = {error.service for error in failed + client.requests.failed}
        sys.stderr.write(_error_logs(docker, release, services))
    return ExitCode.FINDING if failed else ExitCode.OK


def _token(release: Release, docker: Docker, store: Store) -> str | None:
    """Return the token of the pipeline's account, which a release with log-ins requires."""
    if release.document["services"]["web-ui"]["environment"].get("ACCESS") != "closed":
        return None
    read = ("run", "--rm", "--no-deps", "--no-TTY", "--entrypoint", "cat", "migrate", TOKEN_FILE)
    return docker.compose(store.compose_file(release.id), *read).strip()


def _check_endpoints(client: ProbeClient, release: Release) -> None:
    for service, (_, paths) in ENDPOINTS.items():
        _check_health(client, service, release)
        for path in paths:
            client.get(service, path)


def _check_health(client: ProbeClient, service: str, release: Release) -> None:
    """Wait until a service is ready and its dependencies are reachable: a single timeout is no failure."""
    deadline = time.monotonic() + PAGED_SECONDS
    while True:
        health, ready = client.get(service, "/health"), client.get(service, "/health/ready")
        for body in (health, ready):
            if body["version"] != release.tag or body["status"] != "ok":
                message = f"the health of {service} is {body}"
                raise CheckError(message, service)
        unreachable = {name: status for name, status in ready["dependencies"].items() if status != "ok"}
        if not unreachable:
            return
        if time.monotonic() > deadline:
            message = f"{service} cannot reach {unreachable}"
            raise CheckError(message, service)
        time.sleep(0.3)


def _drill(client: ProbeClient, figures: dict[str, Any]) -> None:
    """Page the console under load."""
    deadline = time.monotonic() + LOAD_SECONDS

    def read() -> None:
        while time.monotonic() < deadline:
            for service, (_, paths) in ENDPOINTS.items():
                with contextlib.suppress(CheckError):  # the client records it
                    client.get(service, paths[0])

    with ThreadPoolExecutor(READERS) as readers:
        reading = [readers.submit(read) for _ in range(READERS)]
        try:
            _page(client, figures)
        finally:
            for each in reading:
                each.result()
    succeeded, failed = len(client.requests.seconds), client.requests.failed
    if len(failed) > MAX_ERROR_RATE * (succeeded + len(failed)):
        message = f"{len(failed)} of {succeeded + len(failed)} requests failed; the first: {failed[0]}"
        raise CheckError(message, failed[0].service)


def _page(client: ProbeClient, figures: dict[str, Any]) -> None:
    member = {
        "name": "Tocsin drill",
        "email": "drill@tocsin.invalid",
        "contacts": [{"channel": "mock", "address": DRILL}],
    }
    team = {"team": DRILL, "rotation_type": "weekly", "members": [member], "services": [DRILL]}
    client.request("web-ui", "/api/v1/schedules", team, method="POST", accept=(409,))
    for left in client.get("web-ui", f"/api/v1/incidents?service={DRILL}&limit=50")["items"]:
        if left["status"] != "resolved":  # left by an interrupted drill; the new alert would join it
            _set_status(client, left["id"], "resolved")
    started = time.monotonic()
    text = "A deployment verifies that pages are delivered; this is not a real incident."
    alert = {"service": DRILL, "severity": "low", "message": text, "dedup_key": f"{DRILL}-{uuid.uuid4()}"}
    accepted = client.request("web-ui", "/api/v1/alerts", alert, method="POST")
    alert_id = accepted["alert_id"]
    incident = accepted["incident_id"] or _until(
        "the alert is linked to its incident",
        "incident-management",
        lambda: client.get("web-ui", f"/api/v1/alerts/{alert_id}")["incident_id"],
    )
    try:
        _until("the page is sent", "notification-service", lambda: _is_sent(client, incident))
        figures["paged_seconds"] = round(time.monotonic() - started, 2)
    finally:
        _set_status(client, incident, "acknowledged")
        _set_status(client, incident, "resolved")
    expected = {"paged", "delivered", "acknowledged", "resolved"}
    _until(
        f"the timeline has {', '.join(sorted(expected))}",
        "incident-management",
        lambda: (
            expected <= {e["event_type"] for e in client.get("web-ui", f"/api/v1/incidents/{incident}")["timeline"]}
        ),
    )
    page = client.get("web-ui", f"/incidents/{incident}")
    if text not in page:
        message = "the incident's page does not show the alert's message"
        raise CheckError(message, "web-ui")


def _is_sent(client: ProbeClient, incident: str) -> bool:
    pages = client.get("web-ui", f"/api/v1/notifications?incident_id={incident}")["items"]
    return any(page["kind"] == "page" and page["status"] == "sent" for page in pages)


def _set_status(client: ProbeClient, incident: str, status: str) -> None:
    client.request("web-ui", f"/api/v1/incidents/{incident}", {"status": status}, method="PATCH")


def _until(condition: str, service: str, probe: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PAGED_SECONDS
    while not (found := probe()):
        if time.monotonic() > deadline:
            message = f"not within {PAGED_SECONDS:.0f} s: {condition}"
            raise CheckError(message, service)
        time.sleep(0.1)
    return found


def _check_restarts(docker: Docker, release: Release) -> None:
    mine = _replicas(docker, release)
    if gone := release.services - {container.service for container in mine if container.status == "running"}:
        message = f"no replica of this release is running of {', '.join(sorted(gone))}"
        raise CheckError(message, min(gone))
    for container in mine:
        if container.restarts:
            message = f"{container.name} exited and was restarted {container.restarts} times"
            raise CheckError(message, container.service)


def _check_targets(client: ProbeClient, release: Release) -> None:
    """Wait until Prometheus has scraped each new replica after the drill, and every target is up."""
    since = time.time()
    expected = release.services | release.edge_tier
    deadline = time.monotonic() + PROMETHEUS_SECONDS
    while True:
        found = client.get("prometheus", "/api/v1/targets?state=active")["data"]["activeTargets"]
        down = [target["scrapeUrl"] for target in found if target["health"] != "up"]
        missing = expected - {target["labels"]["job"] for target in found}
        scraped = client.query(f'min(timestamp(tocsin_build_info{{version="{release.tag}"}}))') or 0
        services = client.query(f'count(count by (job) (tocsin_build_info{{version="{release.tag}"}}))') or 0
        if not down and not missing and scraped > since and services == len(release.services):
            return
        if time.monotonic() > deadline:
            message = (
                f"Prometheus has {services:.0f} services of this version, no target for {sorted(missing)}, "
                f"and cannot reach {down}"
            )
            raise CheckError(message, "prometheus")
        time.sleep(0.5)


def _check_objectives(client: ProbeClient, release: Release, figures: dict[str, Any]) -> None:
    """Check the counters of the new replicas, which started at zero with them."""
    of_release = f'* on (job, instance) group_left () tocsin_build_info{{version="{release.tag}"}}'
    name = "tocsin_http_request_duration_seconds"
    total = client.query(f"sum({name}_count{{{API_ROUTES}}} {of_release})") or 0.0
    errors = client.query(f'sum({name}_count{{{API_ROUTES}, status=~"5.."}} {of_release})') or 0.0
    p95 = client.query(f"histogram_quantile(0.95, sum by (le) ({name}_bucket{{{API_ROUTES}}} {of_release}))")
    rate = errors / total if total else math.nan
    figures |= {"error_rate": rate, "p95_seconds": p95}
    if not rate <= MAX_ERROR_RATE:
        message = f"{errors:.0f} of {total:.0f} requests returned a 5xx"
        raise CheckError(message)
    if p95 is None or not p95 <= MAX_P95_SECONDS:
        message = f"the 95th percentile of latency is {p95} s"
        raise CheckError(message)


def _replicas(docker: Docker, release: Release) -> list[Container]:
    return [c for c in docker.containers() if c.labels.get(RELEASE) == release.id and not c.one_off]


def _error_logs(docker: Docker, release: Release, services: set[str]) -> str:
    """Return the last errors in the replicas' logs, or the last lines of the *services* that logged none."""
    text = []
    for container in _replicas(docker, release):
        lines = docker.logs(container.id, 400).splitlines()
        errors = [line for line in lines if '"level": "error"' in line or "Traceback" in line]
        if errors or container.service in services:
            text.append(f"the last lines of {container.name}:\n")
            text += [f"  | {shortened(line)}\n" for line in (errors or lines)[-SHOWN_LINES:]]
    return "".join(text)


def shortened(line: str) -> str:
    """Return *line* without its middle if it is long: it begins with what happened, and a traceback ends with why."""
    half = MAX_SHOWN_CHARACTERS // 2
    return line if len(line) <= MAX_SHOWN_CHARACTERS else f"{line[:half]} … {line[-half:]}"
