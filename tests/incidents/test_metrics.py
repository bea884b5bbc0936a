from datetime import UTC, datetime, timedelta

from tests.incidents.api import Api, alert
from tests.incidents.conftest import StartReplica
from tests.support.waiting import eventually
from tocsin.contracts.incidents import ChangeIncident, IncidentStatus
from tocsin.incidents.service.changes import change_incident

NOON = datetime(2026, 10, 22, 12, 0, tzinfo=UTC)


async def test_every_label_starts_at_zero(api: Api) -> None:
    for status in ("open", "acknowledged", "in_progress", "resolved"):
        assert await api.metric(f'incidents_total{{status="{status}"}}') == 0
    for severity in ("critical", "high", "medium", "low"):
        assert await api.metric(f'incidents_created_total{{severity="{severity}"}}') == 0
    assert await api.metric("incident_mtta_seconds_count") == 0
    assert await api.metric("incident_mttr_seconds_count") == 0
    assert await api.metric("tocsin_incidents_unescalated_incidents") == 0


async def test_the_number_of_incidents_is_the_databases_on_every_replica_and_after_a_restart(
    start_replica: StartReplica,
) -> None:
    first, second = await start_replica(), await start_replica()
    incident = await first.open(service="checkout")
    await first.open(service="search", severity="critical")
    await first.change(incident.id, status="acknowledged")
    for replica in (first, second, await start_replica()):

        async def counted(replica: Api = replica) -> bool:
            return (
                await replica.metric('incidents_total{status="open"}') == 1
                and await replica.metric('incidents_total{status="acknowledged"}') == 1
            )

        await eventually(counted)
        assert await replica.metric('tocsin_incidents_unresolved_incidents{severity="critical"}') == 1
        assert await replica.metric('tocsin_incidents_service_unresolved_incidents{service="checkout"}') == 1


async def test_open_incidents_are_shown_for_the_busiest_services_and_the_rest_together(api: Api) -> None:
    results = await api.correlate(*(alert(service=f"service-{number:02}") for number in range(23)))

    async def counted() -> bool:
        return await api.metric('tocsin_incidents_service_unresolved_incidents{service="other"}') == 3

    await eventually(counted)
    await api.change(results[0]["incident_id"], status="resolved")

    async def gone() -> bool:
        return await api.metric('tocsin_incidents_service_unresolved_incidents{service="service-00"}') is None

    await eventually(gone)


async def test_what_is_opened_is_counted_once_by_severity(api: Api) -> None:
    await api.open(severity="critical")
    batch = [alert(severity="low"), alert(severity="low", service="search")]
    await api.correlate(*batch)
    await api.correlate(*batch)
    assert await api.metric('incidents_created_total{severity="critical"}') == 1
    assert await api.metric('incidents_created_total{severity="low"}') == 2


async def test_mtta_and_mttr_are_measured_into_buckets_from_a_minute_to_a_day(api: Api) -> None:
    incident = await api.open()
    for status, minutes in (("acknowledged", 4), ("in_progress", 5), ("resolved", 100), ("resolved", 200)):
        wanted = ChangeIncident(status=IncidentStatus(status))
        now = incident.created_at + timedelta(minutes=minutes)
        await change_incident(api.desk, incident.id, wanted, actor="dele", now=now)
    assert await api.metric("incident_mtta_seconds_count") == 1
    assert await api.metric("incident_mtta_seconds_sum") == 240
    assert await api.metric('incident_mtta_seconds_bucket{le="120.0"}') == 0
    assert await api.metric('incident_mtta_seconds_bucket{le="300.0"}') == 1
    assert await api.metric("incident_mttr_seconds_count") == 1
    assert await api.metric("incident_mttr_seconds_sum") == 6000
    assert await api.metric('incident_mttr_seconds_bucket{le="60.0"}') == 0
    assert await api.metric('incident_mttr_seconds_bucket{le="86400.0"}') == 1


async def test_an_incident_that_resolves_itself_is_measured_too(api: Api) -> None:
    keyed = alert(dedup_key="k")
    await api.correlate(keyed)
    await api.correlate(keyed | {"version": 2, "status": "resolved"})
    assert await api.metric("incident_mtta_seconds_count") == 1
    assert await api.metric("incident_mttr_seconds_count") == 1
