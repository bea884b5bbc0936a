"""Secrets that were planted and used: sought in logs, metrics, the audit, pages and answers of every service."""

import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.support.e2e.closed import Closed, browser, closed_system, create_admin
from tests.support.fork_server import SERVICES
from tests.support.waiting import eventually
from tocsin.cli.services import SERVICES as UP_SERVICES

pytestmark = pytest.mark.slow
WRONG_TOKEN = "tocsin_pat_" + 43 * "c"
PLANTED = {
    "METRICS_TOKEN": "c4nary-of-the-metrics",
    "EDGE_KEY": b64encode(b"c4nary of the edge, c4nary of the").decode(),
    "OIDC_CLIENT_SECRET": "c4nary-of-the-provider",
}
MAIL = "c4nary-of-the-mail-server"
HOOK = "c4nary-of-the-webhook"
PASSWORD = "c4nary marble tuba seven"  # noqa: S105 - planted
TYPED = "c4nary typed wrong twice"
ENVIRONMENT = {
    **PLANTED,
    "LOG_LEVEL": "DEBUG",
    "SMTP_URL": f"smtp://tocsin:{MAIL}@127.0.0.1:9",
    "SMTP_FROM": "tocsin@example.org",
    "PUBLIC_URL": "http://localhost:8080",
    "OIDC_ISSUER": "http://127.0.0.1:9",
    "OIDC_CLIENT_ID": "tocsin",
}
TEAM = {
    "team": "Payments",
    "rotation_type": "weekly",
    "services": ["checkout"],
    "members": [
        {
            "name": "Bob",
            "email": "bob@example.org",
            "contacts": [
                {"channel": "webhook", "address": f"http://robot:{HOOK}@127.0.0.1:9/hooks/{HOOK}?token={HOOK}"},
                {"channel": "email", "address": "bob@example.org"},
            ],
        }
    ],
}
PATHS = (
    *("/", "/incidents", "/incidents/1", "/alerts", "/oncall", "/notifications", "/analytics", "/account", "/accounts"),
    *("/audit", "/audit/audit.csv", "/api/v1/audit", "/api/v1/account", "/api/v1/accounts", "/api/v1/account/tokens"),
    *("/api/v1/incidents", "/api/v1/alerts", "/api/v1/notifications", "/openapi.json", "/handbook/settings.md"),
)


async def use_secrets(closed: Closed, session: ClientSession) -> dict[str, str]:
    """Create and use each kind of secret, right and wrong; return those that the system has created."""
    invited = await closed.call(
        "POST", "web", "/api/v1/accounts", {"name": "Bob", "email": "bob@example.org", "role": "viewer"}
    )
    key = str(invited["link"]).partition("key=")[2]
    async with browser() as bob:
        async with bob.get(closed.url("web", f"/choose-password?key={key}")) as page:
            assert page.status == 200
        chosen = await closed.post_form(bob, "/choose-password", key=key, password=PASSWORD)
        assert chosen.status == 303, await chosen.text()
        await closed.post_form(bob, "/choose-password", key=key, password=PASSWORD)  # used already
        bobs = next(cookie.value for cookie in bob.cookie_jar if cookie.key == "tocsin_session")
    for email, password in (("bob@example.org", TYPED), (TYPED, PASSWORD), (f"{TYPED}@example.org", TYPED)):
        await closed.post_form(session, "/login", email=email, password=password)
    await closed.post_form(session, "/account/password", current_password=TYPED, new_password=PASSWORD)
    login = {"email": "bob@example.org", "password": PASSWORD, "token": "laptop"}
    personal = (await closed.call("POST", "web", "/api/v1/login", login, by=None))["token"]
    program = await closed.call("POST", "web", "/api/v1/accounts", {"kind": "service", "name": "CI", "role": "sender"})
    sender = await closed.call("POST", "web", f"/api/v1/accounts/{program['id']}/tokens", {"name": "ci"})
    for token in (personal, sender["token"], WRONG_TOKEN):
        for service in SERVICES:
            for method, body in (("GET", None), ("POST", {"broken": [token]})):
                url, headers = closed.url(service, "/api/v1/alerts"), {"Authorization": f"Bearer {token}"}
                async with closed.system.session.request(method, url, json=body, headers=headers) as response:
                    await response.read()
    async with session.get(closed.url("web", "/login/oidc"), allow_redirects=False) as response:
        assert response.status in {303, 502, 503}
    await closed.call("DELETE", "web", f"/api/v1/accounts/{program['id']}/tokens/{sender['id']}")
    return {"link": key, "session": bobs, "personal token": personal, "program's token": sender["token"]}


async def page_bob(closed: Closed) -> None:
    """Page by a webhook and by e-mail, both of which fail."""
    await closed.call("POST", "oncall", "/api/v1/schedules", TEAM)
    alert = {"service": "checkout", "severity": "critical", "message": "p95 latency above 2 s"}
    await closed.call("POST", "web", "/api/v1/alerts", alert)

    async def tried() -> bool:
        found = (await closed.call("GET", "notifications", "/api/v1/notifications"))["items"]
        return {item["channel"] for item in found if item["attempts"]} >= {"webhook", "email"}

    await eventually(tried, timeout=60)


async def texts_of(closed: Closed, session: ClientSession, bob: Mapping[str, str]) -> dict[str, str]:
    """Return everything that the system has written or answers."""
    found = {f"log of {service}": closed.system[service].log for service in SERVICES}
    scraper = {"Authorization": f"Bearer {PLANTED['METRICS_TOKEN']}"}
    for service in SERVICES:
        for path, headers in (("/metrics", scraper), ("/metrics", {}), ("/openapi.json", {})):
            async with closed.system.session.get(closed.url(service, path), headers=headers) as response:
                found[f"{service} {path} {response.status}"] = await response.text()
    for path in PATHS:
        async with session.get(closed.url("web", path)) as response:
            found[f"admin {path}"] = await response.text()
        async with closed.system.session.get(closed.url("web", path), headers=bob) as response:
            found[f"viewer {path} {response.status}"] = await response.text()
    async with closed.system.session.get(closed.url("web", "/api/v1/schedules"), headers=bob) as response:
        found["viewer /api/v1/schedules"] = await response.text()
    return found


async def test_no_secret_is_in_a_log_an_answer_a_page_a_metric_or_the_audit(db_dsn: str, tmp_path: Path) -> None:
    async with closed_system(db_dsn, tmp_path, ENVIRONMENT) as closed, browser() as session:
        await create_admin(closed, session)
        planted: dict[str, Any] = {**PLANTED, "mail server": MAIL, "webhook": HOOK, "wrong token": WRONG_TOKEN}
        planted |= {"password": PASSWORD, "typed": TYPED} | await use_secrets(closed, session)
        planted |= {"admin's token": closed.tokens["admin"]}
        for service in UP_SERVICES:
            key = closed.keys.private_key(service)
            assert key is not None
            planted[f"key of {service.name}"] = json.loads(key.get_secret_value())["d"]
        await page_bob(closed)
        bob = {"Authorization": f"Bearer {planted['personal token']}"}
        texts = await texts_of(closed, session, bob)

    assert len(planted) > 15
    assert "checkout" in texts["viewer /api/v1/incidents 200"]
    assert all(len(str(secret)) > 12 for secret in planted.values())
    leaked = [(place, name) for place, text in texts.items() for name, secret in planted.items() if secret in text]
    assert leaked == []
