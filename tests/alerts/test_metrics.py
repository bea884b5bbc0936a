from itertools import product

from tests.fakes.incidents import FakeIncidents
from tests.support.alerts.api import ALERTMANAGER, Service, payload
from tocsin.integrations import INTEGRATIONS


def requests(integration: str, outcome: str) -> str:
    return f'tocsin_alerts_requests_total{{integration="{integration}",outcome="{outcome}"}}'


async def test_every_metric_starts_at_zero(service: Service) -> None:
    for severity in ("critical", "high", "medium", "low"):
        assert await service.metric(f'alerts_received_total{{severity="{severity}"}}') == 0
    for result in ("new_incident", "existing_incident"):
        assert await service.metric(f'alerts_correlated_total{{result="{result}"}}') == 0
    for integration, outcome in product(INTEGRATIONS, ("accepted", "refused")):
        assert await service.metric(requests(integration, outcome)) == 0
    assert await service.metric("alert_processing_seconds_count") == 0
    assert await service.metric("tocsin_alerts_uncorrelated") == 0


async def test_alerts_are_counted_when_stored_and_when_correlated(service: Service) -> None:
    await service.send()
    await service.send()
    await service.send(dedup_key="disk", severity="low")
    await service.send(dedup_key="disk", severity="low")
    await service.post(ALERTMANAGER, payload("alertmanager", "0.25-firing"))
    assert await service.metric('alerts_received_total{severity="high"}') == 2
    assert await service.metric('alerts_received_total{severity="low"}') == 2
    assert await service.metric('alerts_received_total{severity="critical"}') == 2
    assert await service.metric('alerts_correlated_total{result="new_incident"}') == 3
    assert await service.metric('alerts_correlated_total{result="existing_incident"}') == 2
    assert await service.metric("alert_processing_seconds_count") == 6
    assert await service.metric("tocsin_alerts_batch_size_sum") == 6
    assert await service.metric(requests("generic", "accepted")) == 4
    assert await service.metric(requests("alertmanager", "accepted")) == 1


async def test_refused_alerts_are_not_counted(service: Service) -> None:
    await service.send(expect=422, service="")
    service.rows("ALTER TABLE alerts.alert ADD CHECK (message <> 'poison')")
    await service.send(expect=422, message="poison")
    assert await service.metric('alerts_received_total{severity="high"}') == 0
    assert await service.metric("tocsin_alerts_batch_size_count") == 0
    assert await service.metric(requests("generic", "refused")) == 2


async def test_health_names_the_service_and_readiness_checks_the_database(
    service: Service, incidents: FakeIncidents
) -> None:
    assert (await service.get("/health"))["service"] == "alert-ingestion"
    await incidents.stop()
    ready = await service.get("/health/ready")
    assert ready["dependencies"]["database"] == "ok"
