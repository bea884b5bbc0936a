"""What alert-ingestion deletes after the retention, and how it responds to what is deleted."""

from contextlib import closing
from datetime import timedelta

import psycopg2
import pytest

from tests.alerts.conftest import Start
from tests.fakes.incidents import FakeIncidents
from tests.support.alerts.api import ALERTS, Service
from tests.support.partitions import partition_of
from tests.support.postgres import run
from tests.support.waiting import eventually
from tocsin.alerts.service import DEPS
from tocsin.alerts.service.retention import maintain_partitions
from tocsin.kernel.errors import UnavailableError
from tocsin.kernel.ids import new_id

ROUNDS = 'tocsin_worker_ticks_total{outcome="ok",worker="alert_retention"}'
KEPT = 'tocsin_retention_kept_partitions{table="alerts.alert"}'
DROPPED = 'tocsin_retention_dropped_partitions_total{table="alerts.alert"}'


async def pass_days(service: Service, days: int) -> None:
    """Move the clock, and run the worker's round; its own first one is over."""
    await eventually(lambda: service.metric(ROUNDS))
    deps = service.client.app[DEPS]
    deps.db.set_clock_offset(timedelta(days=days))
    await maintain_partitions(deps)


async def test_alerts_past_the_retention_are_dropped_and_requests_for_them_are_answered_well(service: Service) -> None:
    stored = await service.send(key="old")
    await pass_days(service, 80)
    assert await service.alert(stored["alert_id"])
    await pass_days(service, 140)

    problem = await service.get(f"{ALERTS}/{stored['alert_id']}", expect=404)
    assert problem["detail"] == f"There is no alert {stored['alert_id']}. Alerts are kept for 90 days."
    for filters in ({}, {"q": "payments"}, {"incident_id": stored["incident_id"]}, {"service": "checkout"}):
        assert await service.found(**filters) == []
    assert (await service.get(f"{ALERTS}/summary"))["alerts"] == 0
    assert await service.metric(DROPPED) >= 3
    retried = await service.send(key="old", expect=202)
    assert (retried["alert_id"], retried["incident_id"]) == (stored["alert_id"], None)
    again = await service.send()
    assert (await service.alert(again["alert_id"]))["message"] == "Card payments fail"


async def test_an_open_alert_is_kept_and_can_be_repeated_and_resolved(service: Service) -> None:
    stored = await service.send(dedup_key="disk")
    await pass_days(service, 140)
    assert await service.metric(KEPT) == 1
    repeated = await service.send(dedup_key="disk")
    assert (repeated["alert_id"], repeated["action"]) == (stored["alert_id"], "repeated")
    resolved = await service.send(dedup_key="disk", status="resolved")
    assert resolved["alert_id"] == stored["alert_id"]
    await pass_days(service, 140)
    await service.get(f"{ALERTS}/{stored['alert_id']}", expect=404)


@pytest.mark.parametrize("status", ["firing", "resolved"])
async def test_a_report_of_an_open_alert_whose_row_is_gone_is_accepted(service: Service, status: str) -> None:
    await service.send(dedup_key="disk")
    for table in ("alert", "correlation", "request"):
        run(service.dsn, f"DELETE FROM alerts.{table}")
    accepted = await service.send(dedup_key="disk", status=status)
    assert (await service.alert(accepted["alert_id"]))["dedup_key"] == "disk"


async def test_alerts_of_an_unresolved_incident_are_kept(service: Service, incidents: FakeIncidents) -> None:
    stored = await service.send()
    incidents.uses_alerts = True
    await pass_days(service, 140)
    assert (await service.alert(stored["alert_id"]))["incident_id"] == stored["incident_id"]
    incidents.uses_alerts = False
    await pass_days(service, 140)
    await service.get(f"{ALERTS}/{stored['alert_id']}", expect=404)


async def test_nothing_is_dropped_while_incident_management_does_not_respond(
    service: Service, incidents: FakeIncidents
) -> None:
    stored = await service.send()
    incidents.statuses.extend([503])
    with pytest.raises(UnavailableError):
        await pass_days(service, 140)
    incidents.statuses.extend([404])  # of the release before
    await pass_days(service, 140)
    assert await service.alert(stored["alert_id"])


async def test_an_alert_is_shown_without_its_raw_request_after_its_retention(service: Service) -> None:
    stored = await service.send()
    await pass_days(service, 70)
    shown = await service.alert(stored["alert_id"])
    assert (shown["message"], shown["request"]) == ("Card payments fail", None)


async def test_nothing_is_deleted_with_a_retention_of_0_days(start: Start) -> None:
    service = await start(alert_retention_days=0, request_retention_days=0)
    stored = await service.send()
    await pass_days(service, 140)
    assert (await service.alert(stored["alert_id"]))["request"]["body"]


async def test_rows_without_a_partition_are_counted_and_deleted_after_the_retention(start: Start) -> None:
    service = await start()
    await pass_days(service, 140)  # drops the partition of today's ids
    stored = await service.send()
    assert partition_of(service.dsn, "alerts.alert", "id", stored["alert_id"]) == "alerts.alert_default"
    opened = await service.send(dedup_key="disk")
    await pass_days(service, 80)
    assert await service.metric('tocsin_default_partition_rows{table="alerts.alert"}') == 2
    await pass_days(service, 140)
    await service.get(f"{ALERTS}/{stored['alert_id']}", expect=404)
    assert (await service.alert(opened["alert_id"]))["status"] == "firing"


async def test_a_lock_of_a_long_transaction_delays_only_the_retention(service: Service) -> None:
    stored = await service.send()
    with closing(psycopg2.connect(service.dsn)) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM alerts.alert, alerts.request")
        await pass_days(service, 140)
        assert await service.alert(stored["alert_id"])
        await service.send()
    await pass_days(service, 140)
    await service.get(f"{ALERTS}/{stored['alert_id']}", expect=404)


async def test_the_worker_drops_partitions_by_itself(start: Start) -> None:
    service = await start(retention_check_seconds=0.05)
    await service.send()
    service.client.app[DEPS].db.set_clock_offset(timedelta(days=140))
    await eventually(lambda: service.metric(DROPPED))


async def test_an_unknown_alert_is_not_found(service: Service) -> None:
    await service.get(f"{ALERTS}/{new_id()}", expect=404)
