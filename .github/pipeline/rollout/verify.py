"""Does the release that was deployed do what it should? Asked from outside, with nothing stopped or changed."""

import contextlib
import math
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from rollout.engine import Container, Docker
from rollout.mover import Ending
from rollout.outside import ENDPOINTS, CheckError, Outside
from rollout.release import RELEASE, Release
from rollout.store import Store

DRILL: Final = "tocsin-drill"
"""The service and the team of the incident that is made up here: its only member is reached on the console."""
PAGED_SECONDS: Final = 15.0
PROMETHEUS_SECONDS: Final = 40.0
"""It looks for targets, and asks each of them, every five seconds."""
LOAD_SECONDS: Final = 8.0
READERS: Final = 4
LARGEST_ERROR_RATE: Final = 0.01
LONGEST_P95_SECONDS: Final = 1.0
SHOWN: Final = 6
NO_REQUEST: Final = 'route!~"/health|/health/ready|/metrics|.*/stream"'


def verify(release: Release, docker: Docker, store: Store) -> int:
    """Check everything, print each check, keep the figures in verify.json; return 0, or 42 where one of them failed."""
    outside = Outside(release)
    figures: dict[str, Any] = {"tag": release.tag, "paged_seconds": None, "error_rate": None, "p95_seconds": None}
    failed: list[CheckError] = []

    def check(name: str, work: Callable[[], object]) -> None:
        begun = time.monotonic()
        try:
            work()
        except CheckError as error:
            failed.append(error)
            sys.stdout.write(f"FAILED {name}: {error}\n")
        else:
            sys.stdout.write(f"ok     {name} ({time.monotonic() - begun:.1f} s)\n")
        sys.stdout.flush()

    check("every service answers, in this version", lambda: _answers(outside, release))
    check("an incident is opened, paged, acknowledged and resolved, under load", lambda: _drill(outside, figures))
    check("no replica ended meanwhile", lambda: _no_restart(docker, release))
    check("Prometheus reaches everything", lambda: _targets(outside, release))
    check("error rate and latency", lambda: _objectives(outside, release, figures))
    figures |= {
        "requests": len(outside.ledger.seconds) + len(outside.ledger.failed),
        "failed": len(outside.ledger.failed),
    }
    store.save_report("verify.json", figures)
    for error in failed:
        sys.stderr.write(f"{release.tag} is not what it should be: {error}\n")
    if failed:
        sys.stderr.write(_last_words(docker, release, {error.service for error in failed + outside.ledger.failed}))
    return Ending.FINDING if failed else Ending.DONE


def _answers(outside: Outside, release: Release) -> None:
    for service, (_, paths) in ENDPOINTS.items():
        _well(outside, service, release)
        for path in paths:
            outside.get(service, path)


def _well(outside: Outside, service: str, release: Release) -> None:
    """Wait until a service is ready and reaches its neighbours: one of them may be late with an answer once."""
    until = time.monotonic() + PAGED_SECONDS
    while True:
        alive, ready = outside.get(service, "/health"), outside.get(service, "/health/ready")
        for said in (alive, ready):
            if said["version"] != release.tag or said["status"] != "ok":
                message = f"{service} says of its health {said}"
                raise CheckError(message, service)
        away = {name: how for name, how in ready["dependencies"].items() if how != "ok"}
        if not away:
            return
        if time.monotonic() > until:
            message = f"{service} cannot reach {away}"
            raise CheckError(message, service)
        time.sleep(0.3)


def _drill(outside: Outside, figures: dict[str, Any]) -> None:
    """Have a page go out while others read: the console is told, and no person."""
    until = time.monotonic() + LOAD_SECONDS

    def read() -> None:
        while time.monotonic() < until:
            for service, (_, paths) in ENDPOINTS.items():
                with contextlib.suppress(CheckError):  # it is in the ledger
                    outside.get(service, paths[0])

    with ThreadPoolExecutor(READERS) as readers:
        reading = [readers.submit(read) for _ in range(READERS)]
        try:
            _page(outside, figures)
        finally:
            for each in reading:
                each.result()
    asked, failed = len(outside.ledger.seconds), outside.ledger.failed
    if len(failed) > LARGEST_ERROR_RATE * (asked + len(failed)):
        message = f"{len(failed)} of {asked + len(failed)} requests failed; the first: {failed[0]}"
        raise CheckError(message, failed[0].service)


def _page(outside: Outside, figures: dict[str, Any]) -> None:
    member = {
        "name": "Tocsin drill",
        "email": "drill@tocsin.invalid",
        "contacts": [{"channel": "mock", "address": DRILL}],
    }
    team = {"team": DRILL, "rotation_type": "weekly", "members": [member], "services": [DRILL]}
    outside.ask("web-ui", "/api/v1/schedules", team, method="POST", accept=(409,))
    for left in outside.get("web-ui", f"/api/v1/incidents?service={DRILL}&limit=50")["items"]:
        if left["status"] != "resolved":  # of a drill that was interrupted: the new alert would join it
            _change(outside, left["id"], "resolved")
    begun = time.monotonic()
    words = "A deployment looks whether pages go out; this is no real incident."
    alert = {"service": DRILL, "severity": "low", "message": words, "dedup_key": f"{DRILL}-{uuid.uuid4()}"}
    stored = outside.ask("web-ui", "/api/v1/alerts", alert, method="POST")
    alert_id = stored["alert_id"]
    incident = stored["incident_id"] or _until(
        "the alert has its incident",
        "incident-management",
        lambda: outside.get("web-ui", f"/api/v1/alerts/{alert_id}")["incident_id"],
    )
    try:
        _until("the page is out", "notification-service", lambda: _is_sent(outside, incident))
        figures["paged_seconds"] = round(time.monotonic() - begun, 2)
    finally:
        _change(outside, incident, "acknowledged")
        _change(outside, incident, "resolved")
    wanted = {"paged", "delivered", "acknowledged", "resolved"}
    _until(
        f"the timeline tells {', '.join(sorted(wanted))}",
        "incident-management",
        lambda: wanted <= {e["event_type"] for e in outside.get("web-ui", f"/api/v1/incidents/{incident}")["timeline"]},
    )
    page = outside.get("web-ui", f"/incidents/{incident}")
    if words not in page:
        message = "the incident's page does not show what happened"
        raise CheckError(message, "web-ui")


def _is_sent(outside: Outside, incident: str) -> bool:
    pages = outside.get("web-ui", f"/api/v1/notifications?incident_id={incident}")["items"]
    return any(page["kind"] == "page" and page["status"] == "sent" for page in pages)


def _change(outside: Outside, incident: str, status: str) -> None:
    outside.ask("web-ui", f"/api/v1/incidents/{incident}", {"status": status}, method="PATCH")


def _until(what: str, service: str, look: Callable[[], Any]) -> Any:
    until = time.monotonic() + PAGED_SECONDS
    while not (found := look()):
        if time.monotonic() > until:
            message = f"not within {PAGED_SECONDS:.0f} s: {what}"
            raise CheckError(message, service)
        time.sleep(0.1)
    return found


def _no_restart(docker: Docker, release: Release) -> None:
    mine = _replicas(docker, release)
    if gone := release.services - {container.service for container in mine if container.status == "running"}:
        message = f"nothing of this release runs of {', '.join(sorted(gone))}"
        raise CheckError(message, min(gone))
    for container in mine:
        if container.restarts:
            message = f"{container.name} has ended and was started again {container.restarts} times"
            raise CheckError(message, container.service)


def _targets(outside: Outside, release: Release) -> None:
    """Wait until Prometheus has asked each of the new replicas after all that was done here, and finds nobody away."""
    since = time.time()
    expected = release.services | release.before
    until = time.monotonic() + PROMETHEUS_SECONDS
    while True:
        found = outside.get("prometheus", "/api/v1/targets?state=active")["data"]["activeTargets"]
        away = [target["scrapeUrl"] for target in found if target["health"] != "up"]
        missing = expected - {target["labels"]["job"] for target in found}
        asked = outside.query(f'min(timestamp(tocsin_build_info{{version="{release.tag}"}}))') or 0
        there = outside.query(f'count(count by (job) (tocsin_build_info{{version="{release.tag}"}}))') or 0
        if not away and not missing and asked > since and there == len(release.services):
            return
        if time.monotonic() > until:
            message = (
                f"Prometheus knows {there:.0f} services of this version, misses {sorted(missing)}, cannot reach {away}"
            )
            raise CheckError(message, "prometheus")
        time.sleep(0.5)


def _objectives(outside: Outside, release: Release, figures: dict[str, Any]) -> None:
    """Counters of the new replicas began with them: what they hold is what this release has done so far."""
    of_this = f'* on (job, instance) group_left () tocsin_build_info{{version="{release.tag}"}}'
    name = "tocsin_http_request_duration_seconds"
    every = outside.query(f"sum({name}_count{{{NO_REQUEST}}} {of_this})") or 0.0
    bad = outside.query(f'sum({name}_count{{{NO_REQUEST}, status=~"5.."}} {of_this})') or 0.0
    p95 = outside.query(f"histogram_quantile(0.95, sum by (le) ({name}_bucket{{{NO_REQUEST}}} {of_this}))")
    rate = bad / every if every else math.nan
    figures |= {"error_rate": rate, "p95_seconds": p95}
    if not rate <= LARGEST_ERROR_RATE:
        message = f"{bad:.0f} of {every:.0f} requests were answered with a 5xx"
        raise CheckError(message)
    if p95 is None or not p95 <= LONGEST_P95_SECONDS:
        message = f"one request in twenty takes {p95} s or longer"
        raise CheckError(message)


def _replicas(docker: Docker, release: Release) -> list[Container]:
    return [c for c in docker.containers() if c.labels.get(RELEASE) == release.id and not c.one_off]


def _last_words(docker: Docker, release: Release, services: set[str]) -> str:
    """Return what the replicas complained about last, or wrote last where they did not complain."""
    text = []
    for container in _replicas(docker, release):
        lines = docker.logs(container.id, 400).splitlines()
        complaints = [line for line in lines if '"level": "error"' in line or "Traceback" in line]
        if complaints or container.service in services:
            text.append(f"the last lines of {container.name}:\n")
            text += [f"  | {line[:1_000]}\n" for line in (complaints or lines)[-SHOWN:]]
    return "".join(text)
