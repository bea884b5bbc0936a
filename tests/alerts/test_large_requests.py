"""Large requests, well meant or hostile, do not delay others."""

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from tests.alerts.conftest import Start
from tests.support.alerts.api import ALERTMANAGER, ALERTS, Service
from tests.support.waiting import eventually
from tocsin.alerts.service import DEPS, parsing
from tocsin.integrations import INTEGRATIONS, alertmanager
from tocsin.integrations.integration import IncomingAlert, IntegrationConfig
from tocsin.kernel.tasks import create_task, wait


def group(alerts: int, **annotations: str) -> dict[str, Any]:
    return {"alerts": [{"labels": {"service": f"s{n}"}, "annotations": annotations} for n in range(alerts)]}


LARGE = group(1, summary="x" * parsing.SMALL_BYTES)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Block the parsing of Alertmanager's groups until this is set; request it before the service."""
    goes_on = threading.Event()

    def blocked(body: bytes, config: IntegrationConfig) -> list[IncomingAlert]:
        assert goes_on.wait(30)
        return alertmanager.parse(body, config)

    monkeypatch.setitem(INTEGRATIONS, alertmanager.NAME, replace(alertmanager.INTEGRATION, parse=blocked))
    return goes_on


async def test_an_alert_is_accepted_while_a_large_group_is_parsed(reading: threading.Event, service: Service) -> None:
    large = create_task(service.post(ALERTMANAGER, LARGE), name="large")
    await eventually(lambda: service.client.app and service.client.app[DEPS].parser.waiting == 1)
    await service.send()
    assert not large.done()
    reading.set()
    assert len((await large)["alerts"]) == 1


async def test_surplus_large_groups_are_refused_with_503(reading: threading.Event, start: Start) -> None:
    service = await start(body_memory_mib=16, body_wait_seconds=0.1)
    tasks = [create_task(service.post(ALERTMANAGER, LARGE, expect=None), name="large") for _ in range(40)]
    done, _ = await wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert "16 MiB" in (await done.pop())["detail"]
    reading.set()
    answers = await asyncio.gather(*tasks)
    assert 1 <= sum("alerts" in answer for answer in answers) < 40


@pytest.mark.parametrize("unit", ["1", "{}", "[]", '{"labels":1}', '{"labels":{"a":[[[]]]}}'])
async def test_a_body_with_too_many_values_is_refused_before_it_is_parsed(
    reading: threading.Event, service: Service, unit: str
) -> None:
    body = b'{"alerts":[%b]}' % b",".join([unit.encode()] * 300_001)
    refused = await service.post(ALERTMANAGER, body, expect=413)
    assert "300000 values" in refused["detail"]
    assert not reading.is_set()


async def test_too_many_errors_are_summarised_by_their_number(service: Service) -> None:
    labels = {str(number): number for number in range(2_000)}
    body = {"service": "checkout", "severity": "high", "message": "m", "labels": labels}
    refused = await service.post(ALERTS, body, expect=422)
    assert refused["errors"] == [{"pointer": "#", "detail": "There are 2000 errors, too many to list."}]


@pytest.mark.slow
async def test_a_group_larger_than_a_statement_is_stored_whole_with_results_in_its_order(service: Service) -> None:
    firing = group(1_201)
    first = (await service.post(ALERTMANAGER, firing))["alerts"]
    again = (await service.post(ALERTMANAGER, firing))["alerts"]
    assert [alert["alert_id"] for alert in again] == [alert["alert_id"] for alert in first]
    rows = service.rows("SELECT id::text, service FROM alerts.alert")
    assert {alert["alert_id"]: f"s{n}" for n, alert in enumerate(first)} == {row["id"]: row["service"] for row in rows}
    over = {"alerts": [{**alert, "status": "resolved"} for alert in firing["alerts"]]}
    assert {alert["action"] for alert in (await service.post(ALERTMANAGER, over))["alerts"]} == {"resolved"}
