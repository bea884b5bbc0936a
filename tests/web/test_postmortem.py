from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.web import demo_data
from tests.support.web.browser_queries import read
from tests.support.web.demo_night import Services
from tests.web.conftest import Client
from tocsin.contracts.incidents import EventType
from tocsin.web.pages.incident.postmortem import SPECIAL, plain

PAGE = "/incidents/2481"


async def review(client: Client, ref: str = "2481") -> str:
    async with client.get(f"/incidents/{ref}/postmortem.md") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        return await response.text()


async def test_the_postmortem_lists_the_timeline_in_order(client: Client, services: Services) -> None:
    services.fill()
    text = await review(client)
    assert text.startswith("# Incident 2481: Checkout answers 5xx for 7.4 % of requests\n\n- Severity: Critical\n")
    assert "- Service: checkout-api, of Payments\n" in text
    assert "- Alerts: 47\n" in text
    assert "Answered" not in text
    opened, noted = text.index("Opened by an alert from Alertmanager."), text.index("**Hannah Weiss**: wrote:")
    assert opened < text.index("**oncall-service**: Assigned to Priya Raman.") < noted
    assert "\n  > First call at 03:10.\n" in text
    assert "## What we learned" in text
    assert "- Resolved: " in await review(client, "2479")


async def test_a_sender_s_text_is_escaped_in_markdown(client: Client, services: Services) -> None:
    payload = "# <script>alert(1)</script>\n[x](javascript:alert(2)) `a` |b| *c*"
    hostile = demo_data.incident(6, payload, service=payload, description=payload)
    entries = [demo_data.entry(EventType.CREATED, payload, payload, 1)]
    services.incidents.incidents[6] = hostile.model_copy(update={"timeline": entries, "timeline_cursor": "7"})
    text = await review(client, "6")
    escaped = r"\# \<script\>alert(1)\</script\> \[x\](javascript:alert(2)) \`a\` \|b\| \*c\*"
    assert text.splitlines()[0] == f"# Incident 6: {escaped}"
    assert "> \\# \\<script\\>alert(1)\\</script\\>\n> \\[x\\]" in text
    assert "The last 1 entries; older ones are left out." in text


@given(st.text())
def test_no_text_becomes_markup(text: str) -> None:
    written = plain(text)
    assert "\n" not in written
    assert SPECIAL.sub("", written.replace("\\", "")) == SPECIAL.sub("", " ".join(text.split()).replace("\\", ""))
    assert all(written[match.start() - 1] == "\\" for match in SPECIAL.finditer(written) if match[1] != "\\")


async def test_an_unknown_incident_has_no_postmortem(client: Client) -> None:
    async with client.get("/incidents/99/postmortem.md") as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("show", "there", "gone"),
    [
        ("people", "Two merchants called support", "Assigned to Priya Raman."),
        ("pages", "Paged Priya Raman", "Two merchants called support"),
        ("lost", "Two merchants called support", "nothing"),
    ],
)
async def test_a_timeline_shows_what_people_did_or_whom_it_paged(
    client: Client, services: Services, show: str, there: str, gone: str
) -> None:
    services.fill()
    page = await read(client, f"{PAGE}?show={show}")
    assert there in page.text("timeline")
    assert gone not in page.text("timeline")
    main = next(found for found in page.elements("main") if found["id"] == "main")
    assert main["hx-get"] == (PAGE if show == "lost" else f"{PAGE}?show={show}")
    nothing = await read(client, "/incidents/2480?show=people")
    assert "No action by a person yet: acknowledge, start work or add a note." in nothing.text("timeline")


async def test_an_incident_names_its_responders_its_links_and_earlier_incidents(
    client: Client, services: Services
) -> None:
    services.storm()
    took = demo_data.resolved(2470, "Checkout 5xx after issuer timeout", timedelta(minutes=31))
    services.incidents.incidents[2470] = took
    page = await read(client, PAGE)
    assert page.text("responders") == "Responders 2 PRPriya RamanPaged, unacknowledged HWHannah Weiss1 note"
    assert "Runbook: checkout 5xx" in page.text("details")
    assert "Same service, resolved Checkout 5xx after issuer timeout #2470" in page.text("same-service")
    assert "ago, resolved in 31 min" in page.text("same-service")
    assert f"/alerts?incident={services.incidents.incidents[2481].id}" in [link["href"] for link in page.elements("a")]
    assert "44 firing, 3 recovered" in page.text("alerts")
    shown = services.incidents.incidents[2481].alerts[0]
    assert f"/alerts/{shown.alert_id}" in [link["href"] for link in page.elements("a")]


async def test_without_alert_ingestion_the_incident_is_shown_anyway(client: Client, services: Services) -> None:
    services.fill()
    await services.alerts.stop()
    page = await read(client, PAGE)
    assert "Alert ingestion has been unavailable since" in page.text("notices")
    assert "Checkout answers 5xx" in page.text("head")


async def test_a_long_timeline_is_read_page_by_page(client: Client, services: Services) -> None:
    services.fill()
    known = services.incidents.incidents[2481]
    services.incidents.incidents[2481] = known.model_copy(update={"timeline_cursor": "77"})
    services.incidents.older["77"] = [
        demo_data.entry(EventType.ALERT_ATTACHED, "alert-ingestion", "The first of all.", 200)
    ]
    page = await read(client, f"{PAGE}?show=all")
    assert f"{PAGE}?before=77" in [link["href"] for link in page.elements("a")]
    page = await read(client, f"{PAGE}?before=77")
    assert "The first of all." in page.text("timeline")
    assert "Opened by an alert" not in page.text("timeline")
    assert "Newest entries" in page.text("timeline")
    assert f"{PAGE}?show=people&before=77" in [link["href"] for link in page.elements("a")]
    assert "Two merchants called" in (await read(client, f"{PAGE}?before=x")).text("timeline")


async def test_an_incident_resolved_by_its_senders_was_acknowledged_by_nobody(
    client: Client, services: Services
) -> None:
    ended = demo_data.resolved(7, "Disk full", timedelta(minutes=5))
    by_senders = ended.model_copy(
        update={
            "acknowledged_at": ended.resolved_at,
            "mtta_seconds": ended.mttr_seconds,
            "timeline": [demo_data.entry(EventType.RESOLVED, "auto-resolve", "Every alert is resolved.", 5)],
        }
    )
    services.incidents.incidents[7] = by_senders
    page = await read(client, "/incidents/7")
    assert "Resolved by its senders" in page.text("response")
    assert "cknowledged" not in page.text("response") + page.text("details")
    assert "auto-resolve" not in page.text("responders")
    assert "Acknowledged:" not in await review(client, "7")
    assert "No action by a person" in (await read(client, "/incidents/7?show=people")).text("timeline")
