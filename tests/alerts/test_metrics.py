from tests.fakes.incidents import FakeIncidents
from tests.support.alerts.api import ALERTMANAGER, Service, payload


async def test_every_metric_is_there_before_anything_has_happened(service: Service) -> None:
    for severity in ("critical", "high", "medium", "low"):
        assert await service.metric(f'alerts_received_total{{severity="{severity}"}}') == 0
    for result in ("new_incident", "existing_incident"):
        assert await service.metric(f'alerts_correlated_total{{result="{result}"}}') == 0
    assert await service.metric("alert_processing_seconds_count") == 0
    assert await service.metric("tocsin_alerts_uncorrelated") == 0


async def test_alerts_are_counted_as_they_come_and_find_their_incidents(service: Service) -> None:
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


async def test_what_is_refused_or_not_stored_is_not_counted(service: Service) -> None:
    await service.send(expect=422, service="")
    service.rows("ALTER TABLE alerts.alert ADD CHECK (message <> 'poison')")
    await service.send(expect=422, message="poison")
    assert await service.metric('alerts_received_total{severity="high"}') == 0
    assert await service.metric("tocsin_alerts_batch_size_count") == 0


async def test_health_says_who_it_is_and_readiness_asks_the_database(
    service: Service, incidents: FakeIncidents
) -> None:
    assert (await service.get("/health"))["service"] == "alert-ingestion"
    await incidents.go_away()
    ready = await service.get("/health/ready")
    assert ready["dependencies"]["database"] == "ok"
