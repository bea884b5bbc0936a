"""Tocsin monitors itself: an alert of Prometheus about Tocsin becomes a page."""

from typing import Any

import pytest

from tests.containers.conftest import alertmanager
from tests.support.containers.stack import Stack, beside, docker
from tests.support.e2e.system import World
from tests.support.waiting import eventually


@pytest.mark.sample("long container tests", 1)
async def test_a_failing_service_pages_with_its_runbook_until_it_recovers(stack: Stack, world: World) -> None:
    (container,) = stack.containers("web-ui")
    async with alertmanager(stack):
        await beside(docker, "stop", container)
        try:

            async def found() -> Any:
                return (await stack.get("incidents", "/api/v1/incidents?service=web-ui"))["items"]

            # The rule waits for a minute, so that a restart pages nobody.
            (incident,) = await eventually(found, timeout=240, every=1)
            assert (incident["title"], incident["severity"]) == ("No replica of web-ui responds.", "critical")
            await world.first_page(incident["id"])
        finally:
            await beside(docker, "start", container)
        (alert,) = (await stack.get("alerts", f"/api/v1/alerts?incident_id={incident['id']}"))["items"]
        links = {link["text"]: link["href"] for link in alert["links"]}
        assert links["Runbook"] == f"{stack.url('web')}/handbook/operations.md#servicedown"
        assert alert["remark"] is None
        await stack.ready("web")
        assert f'href="{links["Runbook"]}"' in await _text(stack, f"{stack.url('web')}/incidents/{incident['number']}")
        assert 'id="servicedown"' in await _text(stack, links["Runbook"])
        assert links["Source"].startswith(f"http://localhost:{stack.ports['prometheus']}/")

        async def resolved() -> bool:
            return bool((await found())[0]["status"] == "resolved")

        await eventually(resolved, timeout=240, every=1)
    # Alerts that earlier tests caused.
    for other in (await stack.get("incidents", "/api/v1/incidents?status=open"))["items"]:
        await stack.resolve(other["id"])


async def _text(stack: Stack, url: str) -> str:
    async with stack.session.get(url) as response:
        assert response.status == 200, url
        return await response.text()
