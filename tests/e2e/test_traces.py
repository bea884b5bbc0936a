"""One trace from the sender's request to the delivered page, across five processes and their outboxes."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.e2e.system import PRIMARY, World, open_world
from tests.support.otlp import Collector, collecting
from tests.support.postgres import Server
from tests.support.system import System, running_system
from tests.support.waiting import AN_HOUR, eventually

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
SENDER = "00f067aa0ba902b7"
DELIVERED = "deliver page by webhook"
SERVICES = {"alert-ingestion", "incident-management", "oncall-service", "notification-service", "web-ui"}


@dataclass(frozen=True, slots=True)
class Traced:
    """Five processes that send their spans to a collector."""

    system: System
    world: World
    collector: Collector


def alert(service: str) -> dict[str, str]:
    """Return an alert of a service that only one test has."""
    return {"service": service, "severity": "critical", "message": "answers 5xx"}


def traceparent(number: int) -> tuple[str, str]:
    """Return the id of a trace that a sender has started, and its header."""
    trace_id = f"{number:032x}"
    return trace_id, f"00-{trace_id}-{SENDER}-01"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def traced(postgres: Server, template_db: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Traced]:
    """Start five processes once for the tests of this file."""
    name, folder = postgres.create(template=template_db), tmp_path_factory.mktemp("traced")
    async with collecting() as collector, open_world() as world:
        # Every page is the first one of its incident, however slow the machine is.
        calm = {"LOG_LEVEL": "DEBUG", "ESCALATION_TIMEOUT_MINUTES": "60"}
        environment = {**world.environment, **collector.environment, **calm}
        async with running_system(postgres.dsn(name), folder, environment) as system:
            await system.post("oncall", "/api/v1/schedules", world.team)
            yield Traced(system, world, collector)
    postgres.drop(name)


async def test_a_page_belongs_to_the_trace_of_the_request_that_sent_its_alert(traced: Traced) -> None:
    collector, (trace_id, header) = traced.collector, traceparent(0xA11CE)
    incident = (await traced.system.send_alert(alert("checkout"), to="web", traceparent=header))["incident_id"]
    await traced.world.first_page(incident)
    await eventually(lambda: collector.way_to(DELIVERED, trace_id)[-1] == SENDER)
    assert {span.service for span in collector.of(trace_id)} == SERVICES
    delivered = next(span for span in collector.of(trace_id) if span.name == DELIVERED)
    assert delivered.attributes["tocsin.incident_id"] == incident
    assert collector.way_to(DELIVERED, trace_id) == [
        "deliver page by webhook",
        "POST /api/v1/notify",
        "POST /api/v1/notify",
        "outbox page",
        "POST /api/v1/escalations",
        "POST /api/v1/escalations",
        "outbox start_escalation",
        "POST /api/v1/alerts",
        "POST /api/v1/alerts{rest}",
        SENDER,
    ]
    lines = [json.loads(line) for line in traced.system["oncall"].log.splitlines() if line.startswith("{")]
    requests = [line for line in lines if line.get("trace_id") == trace_id and line["event"] == "request"]
    assert requests, "the logs name the trace"
    assert {line["request_id"] for line in requests} != {"-"}


async def test_each_sender_finds_its_page_in_its_own_trace(traced: Traced) -> None:
    collector, traces = traced.collector, [traceparent(0xB0B + number) for number in range(12)]
    alerts = await asyncio.gather(
        *(
            traced.system.send_alert(alert(f"service-{number}"), traceparent=header)
            for number, (_, header) in enumerate(traces)
        )
    )
    incidents = {stored["incident_id"] for stored in alerts}
    assert len(incidents) == len(traces)

    await eventually(lambda: all(collector.way_to(DELIVERED, trace_id)[-1] == SENDER for trace_id, _ in traces))
    forwarded = [span for span in collector.spans if span.name == "forward alerts"]
    served = {span.trace_id for span in forwarded}.union(*(span.links for span in forwarded))
    assert served >= {trace_id for trace_id, _ in traces}
    await eventually(lambda: incidents <= {str(page.incident_id) for page in traced.world.received})


async def test_an_alert_that_is_forwarded_later_keeps_its_trace(traced: Traced) -> None:
    system, collector = traced.system, traced.collector
    await system["incidents"].stop()
    trace_id, header = traceparent(0xCAFE)
    accepted = await system.post("alerts", "/api/v1/alerts", alert("later"), traceparent=header)
    assert accepted["action"] == "pending"
    await system["incidents"].start()
    await eventually(lambda: collector.way_to(DELIVERED, trace_id)[-1] == SENDER)
    pages = await eventually(lambda: traced.world.pages_of("later"))
    assert pages[0].person == PRIMARY


async def test_the_last_spans_are_sent_before_a_service_stops(traced: Traced) -> None:
    system, (trace_id, header) = traced.system, traceparent(0xE0)
    await system.post("alerts", "/api/v1/alerts", alert("last"), traceparent=header)
    await system["alerts"].stop()
    await eventually(lambda: {"POST /api/v1/alerts"} <= {span.name for span in traced.collector.of(trace_id)})
    await system["alerts"].start()


@pytest.mark.sample("receivers of traces that fail", 1)
@pytest.mark.parametrize("failure", ["unreachable", "silent"])
async def test_a_receiver_of_traces_that_fails_delays_neither_pages_nor_a_stop(
    db_dsn: str, tmp_path: Path, failure: str
) -> None:
    async with collecting() as collector, open_world() as world:
        collector.silent = True
        environment = {
            **world.environment,
            **collector.environment,
            **({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"} if failure == "unreachable" else {}),
            "OTEL_EXPORTER_OTLP_TIMEOUT": f"{AN_HOUR:.0f}",  # a service that waits for it does not stop in this test
            "OTEL_BSP_MAX_QUEUE_SIZE": "64",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "32",
        }
        async with running_system(db_dsn, tmp_path, environment) as system:
            await system.post("oncall", "/api/v1/schedules", world.team)
            first = await system.send_alert(alert("checkout"))
            for number in range(200):
                await system.post("alerts", "/api/v1/alerts", {**alert("checkout"), "message": f"{number}"})
            await world.first_page(first["incident_id"])
            assert await asyncio.gather(*(replica.stop() for replica in system.everyone)) == [0] * 5
            assert [replica.log.count('"stopped"') for replica in system.everyone] == [1] * 5
            assert system["alerts"].log.count("dropping") == 0


async def test_an_invalid_setting_is_refused_in_one_line(db_dsn: str) -> None:
    wrong = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_MAX_QUEUE_SIZE": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tocsin.alerts"),
        env={**os.environ, "DATABASE_URL": db_dsn, "PORT": "0", **wrong},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert (process.returncode, errors.count(b"\n")) == (os.EX_CONFIG, 1)
    assert errors.startswith(b"The OTEL_ variables are not valid: ")


async def test_opentelemetry_is_not_imported_unless_it_is_configured() -> None:
    script = (
        "import sys, tocsin.alerts.app, tocsin.incidents.app, tocsin.oncall.app, tocsin.notifications.app, "
        "tocsin.web.app; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    assert await process.wait() == 0
