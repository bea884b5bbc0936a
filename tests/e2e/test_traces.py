"""One trace from the sender's request to the page that arrives, across five processes and their outboxes."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.e2e.system import World
from tests.support.otlp import Collector, collecting
from tests.support.system import System, running_system
from tests.support.waiting import eventually
from tocsin.kernel import clock

pytestmark = pytest.mark.slow
SENDER = "00f067aa0ba902b7"
DELIVERED = "deliver page by webhook"
ALERT = {"service": "checkout", "severity": "critical", "message": "answers 5xx"}
SERVICES = {"alert-ingestion", "incident-management", "oncall-service", "notification-service", "web-ui"}


def traceparent(number: int) -> tuple[str, str]:
    """Return the id of a trace that a sender has begun, and its header."""
    trace_id = f"{number:032x}"
    return trace_id, f"00-{trace_id}-{SENDER}-01"


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as receiving:
        yield receiving


@pytest.fixture
async def traced(db_dsn: str, tmp_path: Path, world: World, collector: Collector) -> AsyncIterator[System]:
    """Five processes that send their spans to the collector."""
    async with running_system(db_dsn, tmp_path, {**world.environment, **collector.environment}) as running:
        await running.post("oncall", "/api/v1/schedules", world.team)
        yield running


async def test_a_page_belongs_to_the_trace_of_the_request_that_brought_its_alert(
    traced: System, world: World, collector: Collector
) -> None:
    trace_id, header = traceparent(0xA11CE)
    answer = await traced.post("web", "/api/v1/alerts", ALERT, traceparent=header)
    await world.first_page(answer["incident_id"])
    await eventually(lambda: collector.way_to(DELIVERED, trace_id)[-1] == SENDER)
    assert {span.service for span in collector.of(trace_id)} == SERVICES
    delivered = next(span for span in collector.of(trace_id) if span.name == DELIVERED)
    assert delivered.attributes["tocsin.incident_id"] == answer["incident_id"]
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
    lines = [json.loads(line) for line in traced["oncall"].log.splitlines() if line.startswith("{")]
    told = [line for line in lines if line.get("trace_id") == trace_id and line["event"] == "request"]
    assert told, "the logs name the trace"
    assert {line["request_id"] for line in told} != {"-"}


async def test_each_of_many_senders_finds_its_page_in_its_own_trace(
    traced: System, world: World, collector: Collector
) -> None:
    traces = [traceparent(0xB0B + number) for number in range(12)]
    alerts = [{**ALERT, "service": f"service-{number}"} for number in range(len(traces))]
    answers = await asyncio.gather(
        *(
            traced.post("alerts", "/api/v1/alerts", alert, traceparent=header)
            for alert, (_, header) in zip(alerts, traces, strict=True)
        )
    )
    assert len({answer["incident_id"] for answer in answers}) == len(traces)

    await eventually(
        lambda: all(collector.way_to(DELIVERED, trace_id)[-1] == SENDER for trace_id, _ in traces), timeout=30
    )
    told = [span for span in collector.spans if span.name == "tell alerts"]
    served = {span.trace_id for span in told}.union(*(span.links for span in told))
    assert served >= {trace_id for trace_id, _ in traces}
    assert len({page.incident_id for page in world.received}) == len(traces)


async def test_an_alert_that_is_told_later_keeps_its_trace(traced: System, world: World, collector: Collector) -> None:
    await traced["incidents"].stop()
    trace_id, header = traceparent(0xCAFE)
    answer = await traced.post("alerts", "/api/v1/alerts", ALERT, traceparent=header)
    assert answer["action"] == "pending"
    await traced["incidents"].start()
    await eventually(lambda: collector.way_to(DELIVERED, trace_id)[-1] == SENDER)
    assert len(world.received) == 1


@pytest.mark.parametrize("trouble", ["away", "silent"])
async def test_a_receiver_of_traces_that_is_in_trouble_slows_nobody_and_keeps_nobody(
    db_dsn: str, tmp_path: Path, world: World, collector: Collector, trouble: str
) -> None:
    collector.delay = 3_600
    url = "http://127.0.0.1:1" if trouble == "away" else collector.url
    environment = {**world.environment, **collector.environment, "OTEL_EXPORTER_OTLP_ENDPOINT": url}
    async with running_system(
        db_dsn, tmp_path, {**environment, "OTEL_BSP_MAX_QUEUE_SIZE": "64", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "32"}
    ) as system:
        await system.post("oncall", "/api/v1/schedules", world.team)
        answer = await system.post("alerts", "/api/v1/alerts", ALERT)
        for number in range(200):
            await system.post("alerts", "/api/v1/alerts", {**ALERT, "message": f"{number}"})
        await world.first_page(answer["incident_id"])
        started = clock.monotonic()
        assert await asyncio.gather(*(replica.stop() for replica in system.everyone)) == [0] * 5
        assert clock.monotonic() - started < 5.0
        assert system["alerts"].log.count("dropping") == 0


async def test_the_last_spans_are_sent_before_a_service_ends(traced: System, collector: Collector) -> None:
    trace_id, header = traceparent(0xE0)
    await traced.post("alerts", "/api/v1/alerts", {**ALERT, "service": "nobody"}, traceparent=header)
    await traced["alerts"].stop()
    await eventually(lambda: {"POST /api/v1/alerts"} <= {span.name for span in collector.of(trace_id)})


async def test_a_setting_that_cannot_be_followed_is_one_line(db_dsn: str) -> None:
    wrong = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_MAX_QUEUE_SIZE": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tocsin.alerts"),
        env={**os.environ, "DATABASE_URL": db_dsn, "PORT": "0", **wrong},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert (process.returncode, said.count(b"\n")) == (os.EX_CONFIG, 1)
    assert said.startswith(b"The OTEL_ variables are not valid: ")


async def test_nothing_of_it_is_imported_where_nobody_asks_for_it() -> None:
    script = (
        "import sys, tocsin.alerts.app, tocsin.incidents.app, tocsin.oncall.app, tocsin.notifications.app, "
        "tocsin.web.app; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    assert await process.wait() == 0
