"""The health checks on Now, shown while all is quiet."""

from datetime import timedelta

import pytest

from tests.support.web import demo_data
from tests.support.web.browser_queries import read
from tests.support.web.demo_night import Services
from tests.web.conftest import Client
from tocsin.contracts.notifications import Notification, NotificationStatus
from tocsin.kernel.ids import new_id


def page_of_the_day(status: NotificationStatus, **given: object) -> Notification:
    ended = demo_data.resolved(7, "Over", timedelta(minutes=3))
    page = demo_data.escalation(ended, paged={"Priya Raman": 60}, following=[], seconds=0).pages[0]
    return demo_data.message(ended, page, status, **given)


async def test_all_quiet_shows_health_checks(client: Client, services: Services) -> None:
    services.be_quiet()
    page = await read(client, "/")
    assert page.text("head").startswith("All quiet No incident is open. The last one, ")
    assert "Nobody was paged in the last 24 hours" in page.text("head")
    checks = page.text("list")
    assert "Alerts are received Last one from Alertmanager 12 s ago" in checks
    assert "Someone is on call in every team" in checks
    assert "All services respond" in checks


async def test_without_alerts_schedules_or_pages_no_check_passes(client: Client) -> None:
    checks = (await read(client, "/")).text("list")
    assert "No alert received yet" in checks
    assert "No page has been sent yet" in checks
    assert "No team has a schedule" in checks


async def test_a_failed_check_names_the_next_step(client: Client) -> None:
    page = await read(client, "/")
    steps = {"/handbook/api.md#alerts", "/incidents/new", "/oncall/new"}
    assert steps <= {link["href"] for link in page.elements("a")}


async def test_an_undelivered_page_of_today_is_a_failed_check(client: Client, services: Services) -> None:
    services.messages.messages.append(page_of_the_day(NotificationStatus.FAILED, reason="550 no such user"))
    page = await read(client, "/")
    assert "1 message could not be delivered in the last 24 hours" in page.text("list")
    assert "550 no such user; the last was queued 1 min ago" in page.text("list")
    assert "Nobody was paged" not in page.text("head")


async def test_more_undelivered_pages_than_are_listed_are_more_than(client: Client, services: Services) -> None:
    dead = page_of_the_day(NotificationStatus.FAILED)
    services.messages.messages = [dead.model_copy(update={"id": new_id()}) for _ in range(101)]
    assert "More than 100 messages could not be delivered" in (await read(client, "/")).text("list")


@pytest.mark.parametrize(
    ("statuses", "title"),
    [
        (
            ["sent", "voided"],
            "Paging works No message failed in the last 24 hours; the last one was delivered 5",
        ),
        (["queued"], "No message was delivered lately 1 message is queued or cancelled"),
        (["voided", "queued"], "No message was delivered lately 2 messages are queued or cancelled"),
    ],
)
async def test_paging_works_only_if_a_message_was_delivered(
    client: Client, services: Services, statuses: list[str], title: str
) -> None:
    services.messages.messages = [
        page_of_the_day(NotificationStatus(status)).model_copy(update={"id": new_id()}) for status in statuses
    ]
    assert title in (await read(client, "/")).text("list")


async def test_only_teams_that_were_checked_are_said_to_have_someone_on_call(
    client: Client, services: Services
) -> None:
    for number in range(25):
        team = f"Team {number}"
        services.schedules.schedules.append(demo_data.schedule(team, "Ann", "Bo"))
        services.schedules.on_call[team] = demo_data.on_call(team, "Ann", "Bo")
    assert "Someone is on call in each team checked The first 24 teams were checked" in (await read(client, "/")).text(
        "list"
    )
    assert "The first 24 teams have someone on call" in (await read(client, "/oncall")).text("head")
