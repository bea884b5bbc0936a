"""What the web pages read: the same as the lists, in one response."""

from datetime import timedelta
from typing import Any

from tests.incidents.conftest import Query
from tests.support.incidents.api import Api
from tests.support.waiting import eventually
from tocsin.kernel.clock import now

BOARD = "/api/v1/incidents/board"
LISTING = "/api/v1/incidents/listing"
STATES = ("open", "acknowledged", "in_progress", "resolved")
AGO = {
    "resolved_since": (now() - timedelta(days=7)).isoformat(),
    "days_since": (now() - timedelta(days=13)).isoformat(),
}


async def body(api: Api, path: str, **query: Any) -> Any:
    answer = await api.get(path, **query)
    assert answer.status == 200, answer.body
    return answer.body


async def test_a_board_has_the_newest_incidents_of_each_state(api: Api) -> None:
    for status in STATES:
        for number in range(3):
            incident = await api.open(service=f"{status}-{number}")
            if status != "open":
                await api.change(incident.id, status=status)
    board = await body(api, BOARD, open_limit=3, limit=2, **AGO)
    for status in STATES:
        listed = await body(api, "/api/v1/incidents", status=status, limit=3 if status == "open" else 2)
        assert board[status] == listed
        assert bool(listed["next_cursor"]) == (status != "open")


async def test_a_board_leaves_out_incidents_that_were_resolved_long_ago(api: Api, query: Query) -> None:
    incident = await api.open()
    await api.change(incident.id, status="resolved")
    assert [item["number"] for item in (await body(api, BOARD, **AGO))["resolved"]["items"]] == [incident.number]
    query(
        """
        UPDATE incidents.incident SET created_at = created_at - interval '8 days',
            acknowledged_at = acknowledged_at - interval '8 days', resolved_at = resolved_at - interval '8 days'
        """
    )
    assert (await body(api, BOARD, **AGO))["resolved"]["items"] == []


async def test_a_board_has_the_mean_times_of_each_day(api: Api, query: Query) -> None:
    assert (await body(api, BOARD, **AGO))["days"] == []
    for _ in range(2):
        await api.change((await api.open()).id, status="acknowledged")
    query("UPDATE incidents.incident SET acknowledged_at = created_at + interval '2 minutes'")

    async def counted() -> Any:
        days = (await body(api, BOARD, **AGO))["days"]
        return days and days[0]["mtta_seconds"] == 120.0 and days

    (day,) = await eventually(counted)
    assert (day["acknowledged"], day["resolved"], day["mttr_seconds"]) == (2, 0, None)


async def test_a_listing_is_the_list_with_the_numbers_of_unresolved_incidents(api: Api) -> None:
    for number in range(3):
        await api.open(service=f"s{number}", assigned_to="Ada" if number else None)
    listing = await body(api, LISTING, service="s1", sort="severity", counted_for="Ada", limit=1)
    assert listing["page"] == await body(api, "/api/v1/incidents", service="s1", sort="severity", limit=1)
    assert listing["counts"] == await body(api, "/api/v1/incidents/counts")
    assert listing["own_counts"] == await body(api, "/api/v1/incidents/counts", assigned_to="Ada")
    assert (await body(api, LISTING))["own_counts"]["open"] == 0
    assert (await api.get(LISTING, colour="red")).status == 422


async def test_a_view_is_the_incident_with_the_newest_resolved_ones_of_its_service(api: Api) -> None:
    for _ in range(3):
        await api.change((await api.open()).id, status="resolved")
    await api.change((await api.open(service="search")).id, status="resolved")
    incident = await api.open()
    for reference in (incident.id, incident.number):
        view = await body(api, f"/api/v1/incidents/{reference}/view", resolved=2)
        assert view["incident"] == await body(api, f"/api/v1/incidents/{incident.id}")
        assert [item["number"] for item in view["resolved"]["items"]] == [3, 2]
        assert view["counts"]["open"] == 1
    assert (await api.get("/api/v1/incidents/999/view")).status == 404
