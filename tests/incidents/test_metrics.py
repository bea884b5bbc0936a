from datetime import UTC, datetime, timedelta

import pytest

from tests.incidents.conftest import Query, StartReplica
from tests.support.incidents.api import Api, alert
from tests.support.table_lock import locked
from tests.support.waiting import AN_HOUR, eventually
from tocsin.incidents.service import rollup

NOON = datetime(2026, 10, 22, 12, 0, tzinfo=UTC)


def of(service: str, *, severity: str = "high", team: str = "platform") -> str:
    """Return the labels of a sample, as they are written."""
    return f'{{service="{service}",severity="{severity}",team="{team}"}}'


async def test_every_label_starts_at_zero(api: Api) -> None:
    for status in ("open", "acknowledged", "in_progress", "resolved"):
        assert await api.metric(f'incidents_total{{status="{status}"}}') == 0
    for severity in ("critical", "high", "medium", "low"):
        assert await api.metric(f'incidents_created_total{{severity="{severity}"}}') == 0
    assert await api.metric("incident_mtta_seconds_count") == 0
    assert await api.metric("incident_mttr_seconds_count") == 0
    assert await api.metric("tocsin_incidents_unescalated_incidents") == 0


async def test_the_number_of_incidents_is_the_same_on_every_replica_and_after_a_restart(
    start_replica: StartReplica,
) -> None:
    first, second = await start_replica(), await start_replica()
    incident = await first.open(service="checkout")
    await first.open(service="search", severity="critical")
    await first.change(incident.id, status="acknowledged")
    for replica in (first, second, await start_replica()):

        async def counted(replica: Api = replica) -> bool:
            return await replica.metric('tocsin_incidents_unresolved_incidents{severity="critical"}') == 1

        await eventually(counted)
        assert await number_of_incidents(replica) == {"open": 1, "acknowledged": 1, "in_progress": 0, "resolved": 0}
        assert await replica.metric(f"tocsin_incidents_service_unresolved_incidents{of('checkout')}") == 1


async def number_of_incidents(replica: Api) -> dict[str, float | None]:
    """Return `incidents_total` by status, from one scrape each."""
    statuses = ("open", "acknowledged", "in_progress", "resolved")
    return {status: await replica.metric(f'incidents_total{{status="{status}"}}') for status in statuses}


async def test_the_number_of_incidents_is_right_at_the_next_scrape_of_any_replica(
    start_replica: StartReplica, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollup, "MAX_STATUS_CHANGES", 3)
    first, second = await start_replica(gauge_seconds=AN_HOUR), await start_replica(gauge_seconds=AN_HOUR)
    opened = [await first.open(service=f"service-{number}") for number in range(3)]
    assert await number_of_incidents(second) == {"open": 3, "acknowledged": 0, "in_progress": 0, "resolved": 0}
    await first.change(opened[0].id, status="acknowledged")
    await second.change(opened[1].id, status="resolved")
    assert await number_of_incidents(second) == {"open": 1, "acknowledged": 1, "in_progress": 0, "resolved": 1}
    # As by psql, and by a release without the worker that merges.
    query("UPDATE incidents.incident SET status = 'in_progress' WHERE id = %(id)s", id=str(opened[0].id))
    query("DELETE FROM incidents.incident WHERE id = %(id)s", id=str(opened[1].id))
    expected = {"open": 1, "acknowledged": 0, "in_progress": 1, "resolved": 0}
    assert await number_of_incidents(first) == expected
    await eventually(lambda: len(query("SELECT status FROM incidents.status_change")) <= 4)
    assert await number_of_incidents(first) == await number_of_incidents(second) == expected


async def test_a_scrape_during_an_outage_has_the_last_numbers(start_replica: StartReplica, db_dsn: str) -> None:
    replica = await start_replica(gauge_seconds=AN_HOUR)
    await replica.open()
    assert await number_of_incidents(replica) == {"open": 1, "acknowledged": 0, "in_progress": 0, "resolved": 0}
    async with locked(db_dsn, "incidents.status_change"):
        assert await replica.metric('incidents_total{status="open"}') == 1


async def test_open_incidents_are_counted_for_the_busiest_services_and_the_rest_as_other(api: Api) -> None:
    results = await api.correlate(*(alert(service=f"service-{number:02}") for number in range(23)))

    async def counted() -> bool:
        return await api.metric(f"tocsin_incidents_service_unresolved_incidents{of('other')}") == 3

    await eventually(counted)
    await api.change(results[0]["incident_id"], status="resolved")

    async def gone() -> bool:
        return await api.metric(f"tocsin_incidents_service_unresolved_incidents{of('service-00')}") is None

    await eventually(gone)


async def test_an_opened_incident_is_counted_once_by_severity(api: Api) -> None:
    await api.open(severity="critical")
    batch = [alert(severity="low"), alert(severity="low", service="search")]
    await api.correlate(*batch)
    await api.correlate(*batch)
    assert await api.metric('incidents_created_total{severity="critical"}') == 1
    assert await api.metric('incidents_created_total{severity="low"}') == 2


async def test_mtta_and_mttr_are_measured_into_buckets_from_five_seconds_to_a_day(api: Api) -> None:
    incident = await api.open()
    for status, minutes in (("acknowledged", 4), ("in_progress", 5), ("resolved", 100), ("resolved", 200)):
        api.set_clock(incident.created_at + timedelta(minutes=minutes))
        incident = await api.change(incident.id, status=status)
    assert incident.acknowledged_at is not None
    assert incident.resolved_at is not None
    to_acknowledge = (incident.acknowledged_at - incident.created_at).total_seconds()
    to_resolve = (incident.resolved_at - incident.created_at).total_seconds()
    assert to_acknowledge // 60 == 4
    assert to_resolve // 60 == 100
    assert await api.metric("incident_mtta_seconds_count") == 1
    assert await api.metric("incident_mtta_seconds_sum") == pytest.approx(to_acknowledge)
    assert await api.metric('incident_mtta_seconds_bucket{le="5.0"}') == 0
    assert await api.metric('incident_mtta_seconds_bucket{le="120.0"}') == 0
    assert await api.metric('incident_mtta_seconds_bucket{le="300.0"}') == 1
    assert await api.metric("incident_mttr_seconds_count") == 1
    assert await api.metric("incident_mttr_seconds_sum") == pytest.approx(to_resolve)
    assert await api.metric('incident_mttr_seconds_bucket{le="60.0"}') == 0
    assert await api.metric('incident_mttr_seconds_bucket{le="86400.0"}') == 1


async def test_an_automatic_resolution_is_measured_too(api: Api) -> None:
    keyed = alert(dedup_key="k")
    await api.correlate(keyed)
    await api.correlate(keyed | {"version": 2, "status": "resolved"})
    assert await api.metric("incident_mtta_seconds_count") == 1
    assert await api.metric("incident_mttr_seconds_count") == 1


async def test_the_last_day_is_exported_by_service_team_and_severity_from_the_database(api: Api, query: Query) -> None:
    resolved = await api.open(severity="critical")
    await api.open(severity="critical")
    forgotten = await api.open(severity="critical")
    await api.correlate(alert(service="search"), alert(service="search"))
    await api.change(resolved.id, status="resolved")
    query(
        "UPDATE incidents.incident SET acknowledged_at = created_at + interval '2 minutes',"
        " resolved_at = created_at + interval '9 minutes' WHERE resolved_at IS NOT NULL"
    )
    query(
        "UPDATE incidents.incident SET created_at = created_at - interval '25 hours' WHERE id = %(id)s",
        id=str(forgotten.id),
    )
    expected = {"incidents": 2, "alerts": 0, "acknowledged_incidents": 1, "acknowledgement_seconds": 120}
    expected |= {"resolved_incidents": 1, "resolution_seconds": 540}

    async def exported() -> dict[str, float | None]:
        labels = of("checkout", severity="critical")
        return {name: await api.metric(f"tocsin_incidents_last_day_{name}{labels}") for name in expected}

    async def as_expected() -> bool:
        return await exported() == expected and await api.metric(f"tocsin_incidents_last_day_alerts{of('search')}") == 2

    await eventually(as_expected)


async def test_the_last_day_names_the_noisiest_services_and_sums_up_the_rest_as_other(api: Api) -> None:
    quiet = [alert(service=f"a-quiet-{number:02}") for number in range(22)]
    noisy = [alert(service="z-noisy") for _ in range(3)]
    await api.correlate(*quiet, *noisy)

    async def counted() -> bool:
        others = await api.metric(f"tocsin_incidents_last_day_incidents{of('other')}")
        noisy = await api.metric(f"tocsin_incidents_last_day_alerts{of('z-noisy')}")
        last = await api.metric(f"tocsin_incidents_last_day_incidents{of('a-quiet-18')}")
        return (others, noisy, last) == (3, 3, 1)

    await eventually(counted)
    assert await api.metric(f"tocsin_incidents_last_day_incidents{of('a-quiet-19')}") is None
