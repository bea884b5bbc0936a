import pytest

from tests.support.web.browser_queries import BROWSER, read
from tests.support.web.demo_night import Services
from tests.web.conftest import Client, StartWeb
from tocsin.contracts.incidents import IncidentStatus

ACKNOWLEDGE = "/incidents/2481/acknowledge"
THROUGH_THE_DOOR = "/api/v1/incidents/2481"
OWN, FOREIGN = True, False
SENDERS = [
    ({}, OWN),  # curl, a script: no browser
    ({"Sec-Fetch-Site": "same-origin"}, OWN),
    ({"Sec-Fetch-Site": "none"}, OWN),
    ({"Sec-Fetch-Site": "same-site"}, FOREIGN),
    ({"Sec-Fetch-Site": "cross-site"}, FOREIGN),
    ({"Sec-Fetch-Site": "nonsense"}, FOREIGN),
    ({"Sec-Fetch-Site": ""}, FOREIGN),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "{own}"}, FOREIGN),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "{own}"}, OWN),
    ({"Origin": "{own}"}, OWN),
    ({"Origin": "https://{host}"}, OWN),  # TLS ends at a proxy before this server
    ({"Origin": "http://127.0.0.1:1"}, FOREIGN),
    ({"Origin": "https://evil.example"}, FOREIGN),
    ({"Origin": "https://{host}.evil.example"}, FOREIGN),
    ({"Origin": "null"}, FOREIGN),
    ({"Origin": ""}, FOREIGN),
]


def written(headers: dict[str, str], client: Client) -> dict[str, str]:
    host = f"{client.host}:{client.port}"
    return {name: value.format(own=f"http://{host}", host=host) for name, value in headers.items()}


@pytest.mark.parametrize(("headers", "own"), SENDERS)
async def test_a_form_is_accepted_from_our_own_pages_only(
    client: Client, services: Services, headers: dict[str, str], *, own: bool
) -> None:
    services.fill()
    async with client.post(
        ACKNOWLEDGE, data={}, headers=BROWSER | written(headers, client), allow_redirects=False
    ) as answer:
        assert answer.status == (303 if own else 403)
        assert answer.content_type == ("application/octet-stream" if own else "text/html")
    expected = IncidentStatus.ACKNOWLEDGED if own else IncidentStatus.OPEN
    assert services.incidents.incidents[2481].status is expected


@pytest.mark.parametrize(("headers", "own"), SENDERS)
@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
async def test_changes_through_the_gateway_are_protected_too(
    client: Client, services: Services, headers: dict[str, str], kind: str, *, own: bool
) -> None:
    services.fill()
    sent = written(headers, client) | {"Content-Type": kind}
    async with client.patch(THROUGH_THE_DOOR, data=b'{"status": "acknowledged"}', headers=sent) as answer:
        assert answer.status == (200 if own else 403)
        if not own:
            assert (await answer.json())["type"] == "urn:tocsin:problem:forbidden"
    expected = IncidentStatus.ACKNOWLEDGED if own else IncidentStatus.OPEN
    assert services.incidents.incidents[2481].status is expected


@pytest.mark.parametrize("path", ["/preferences/name", "/preferences/theme", ACKNOWLEDGE, "/incidents/1/notes"])
async def test_every_form_is_protected(client: Client, path: str) -> None:
    async with client.post(path, data={}, headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers


async def test_reads_need_no_origin_and_change_nothing(client: Client, services: Services) -> None:
    services.fill()
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    await read(client, "/", headers=foreign)
    await read(client, "/incidents/2481", headers=foreign)
    async with client.get(ACKNOWLEDGE, headers=foreign) as answer:
        assert answer.status == 405
    assert not services.incidents.changes


async def test_a_configured_origin_may_use_the_gateway_but_no_forms(start_web: StartWeb, services: Services) -> None:
    client = await start_web(cors_origins="https://wall.example")
    services.fill()
    origin = {"Origin": "https://wall.example", "Sec-Fetch-Site": "cross-site"}
    async with client.patch(THROUGH_THE_DOOR, json={"status": "acknowledged"}, headers=origin) as answer:
        assert answer.status == 200
    async with client.post("/incidents/2480/acknowledge", data={}, headers=origin) as answer:
        assert answer.status == 403


POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/incidents/99", 404), ("/nothing", 404), ("/static/x/now.css", 200), ("/api/v1/incidents", 200)],
)
async def test_every_response_has_the_security_headers(client: Client, path: str, status: int) -> None:
    async with client.get(path, headers=BROWSER) as answer:
        assert answer.status == status
        assert answer.headers.getall("Content-Security-Policy") == [POLICY]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"


async def test_the_api_s_description_keeps_its_own_policy(client: Client) -> None:
    async with client.get("/docs") as answer:
        assert "'unsafe-inline'" in answer.headers["Content-Security-Policy"]


async def test_a_problem_is_a_page_for_people_and_a_document_for_programs(client: Client) -> None:
    page = await read(client, "/nothing", status=404)
    assert "There is nothing at this address." in page.text()
    async with client.get("/nothing") as answer:
        assert answer.content_type == "application/problem+json"
    async with client.get("/api/v1/nothing", headers=BROWSER) as answer:
        assert answer.content_type == "application/problem+json"


async def test_a_problem_page_carries_the_request_s_id(client: Client) -> None:
    page = await read(client, "/nothing", status=404, headers={"X-Request-ID": "night-7"})
    assert "night-7 Include this when you report a problem" in page.text()


async def test_the_web_service_is_ready_during_outages_and_names_them(client: Client, services: Services) -> None:
    for peer in (services.alerts, services.incidents, services.schedules, services.messages):
        await peer.stop()
    async with client.get("/health/ready") as answer:
        assert answer.status == 200
        found = (await answer.json())["dependencies"]
    assert found.keys() == {"alert-ingestion", "incident-management", "oncall-service", "notification-service"}
    assert all("cannot be reached" in word for word in found.values())


async def test_an_unknown_host_gets_a_page_with_a_remedy(client: Client) -> None:
    async with client.get("/", headers={"Host": "tocsin.lan"} | BROWSER) as answer:
        assert answer.status == 421
        text = await answer.text()
    assert "tocsin.lan" in text
    assert "ALLOWED_HOSTS" in text
