"""What incident management deletes after the retention: an incident keeps its counts, its first and its last alert."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from tests.support.incidents.api import Api, alert
from tests.support.partitions import in_days, old_id, partition_of
from tests.support.postgres import run
from tests.support.waiting import eventually
from tocsin.contracts.incidents import Incident
from tocsin.incidents.service.retention import maintain_partitions
from tocsin.kernel.ids import new_id

ROUNDS = 'tocsin_worker_ticks_total{outcome="ok",worker="alert_retention"}'
IN_USE = "/api/v1/incidents/alerts-in-use"


async def pass_days(api: Api, days: int) -> None:
    """Move the clock, and run the worker's round; its own first one is over."""
    await eventually(lambda: api.metric(ROUNDS))
    api.deps.db.set_clock_offset(timedelta(days=days))
    await maintain_partitions(api.deps)


async def opened(api: Api, *alerts: dict[str, object]) -> Incident:
    """Correlate *alerts* one by one; return their incident."""
    results = [(await api.correlate(one))[0] for one in alerts]
    return await api.show(results[-1]["incident_id"])


async def resolve(api: Api, incident: Incident) -> None:
    answer = await api.ask("PATCH", f"/api/v1/incidents/{incident.id}", {"status": "resolved", "actor": "Ann"})
    assert answer.status == 200


async def test_a_resolved_incident_keeps_its_count_and_its_first_and_last_alert(api: Api, db_dsn: str) -> None:
    alerts = [alert(message=f"number {number}") for number in range(4)]
    incident = await opened(api, *alerts)
    await resolve(api, incident)
    await pass_days(api, 140)

    shown = await api.show(incident.id)
    assert (shown.alerts_total, shown.alert_count) == (4, 4)
    assert [item.message for item in shown.alerts] == ["number 3", "number 0"]
    assert shown.alerts == [incident.alerts[0], incident.alerts[-1]]
    assert shown.timeline
    assert shown.title == "number 0"
    assert run(db_dsn, "SELECT count(*) AS rows FROM incidents.incident_alert") == [{"rows": 0}]
    [again] = await api.correlate(alerts[0] | {"version": 2})
    assert again["action"] == "new_incident"


async def test_an_incident_with_one_alert_keeps_it_once(api: Api) -> None:
    incident = await opened(api, alert())
    await resolve(api, incident)
    await pass_days(api, 140)
    assert (await api.show(incident.id)).alerts == incident.alerts


async def test_alerts_of_an_unresolved_incident_are_kept_and_in_use(api: Api, db_dsn: str) -> None:
    first, other = alert(), alert(service="other")
    incident = await opened(api, first)
    await resolve(api, await opened(api, other))
    everything = {"starts": str(UUID(int=0)), "ends": str(old_id(db_dsn, days=-1))}
    later = {"starts": everything["ends"], "ends": str(old_id(db_dsn, days=-2))}
    await pass_days(api, 140)
    assert (await api.get(IN_USE, **everything)).body == {"in_use": True}
    assert (await api.get(IN_USE, **later)).body == {"in_use": False}
    assert partition_of(db_dsn, "incidents.incident_alert", "alert_id", UUID(other["alert_id"])) is not None
    await resolve(api, incident)
    assert (await api.get(IN_USE, **everything)).body == {"in_use": False}
    await pass_days(api, 140)
    assert partition_of(db_dsn, "incidents.incident_alert", "alert_id", UUID(other["alert_id"])) is None


async def test_an_alert_that_its_sender_can_still_resolve_is_kept(api: Api, db_dsn: str) -> None:
    firing = alert(dedup_key="disk")
    await resolve(api, await opened(api, firing))
    await pass_days(api, 140)
    assert partition_of(db_dsn, "incidents.incident_alert", "alert_id", UUID(firing["alert_id"])) is not None
    await api.correlate(firing | {"version": 2, "status": "resolved"})
    await pass_days(api, 140)
    assert partition_of(db_dsn, "incidents.incident_alert", "alert_id", UUID(firing["alert_id"])) is None


async def test_rows_without_a_partition_are_deleted_once_their_incident_is_resolved(api: Api, db_dsn: str) -> None:
    await pass_days(api, 140)  # drops the partition of today's ids
    incident = await opened(api, alert())
    stored = incident.alerts[0].alert_id
    assert partition_of(db_dsn, "incidents.incident_alert", "alert_id", stored) == "incidents.incident_alert_default"
    await pass_days(api, 140)
    assert (await api.show(incident.id)).alerts == incident.alerts
    await resolve(api, incident)
    await pass_days(api, 140)
    assert run(in_days(db_dsn, 0), "SELECT count(*) AS rows FROM incidents.incident_alert") == [{"rows": 0}]


@pytest.mark.parametrize("query", [{}, {"starts": "x", "ends": str(new_id())}])
async def test_a_wrong_range_is_refused(api: Api, query: dict[str, str]) -> None:
    assert (await api.get(IN_USE, **query)).status == 422


async def test_nothing_is_deleted_with_a_retention_of_0_days(api: Api) -> None:
    incident = await opened(api, alert(), alert())
    await resolve(api, incident)
    api.deps.db.set_clock_offset(timedelta(days=140))
    await maintain_partitions(replace(api.deps, alert_retention_days=0))
    assert (await api.show(incident.id)).alerts == incident.alerts
