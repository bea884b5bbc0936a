"""A real Prometheus that scrapes a system under test with the committed jobs and rules."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from aiohttp import ClientSession, ClientTimeout

from tests.support.observability.files import PROMETHEUS, RULES, SERVICES, program, read_yaml
from tests.support.ports import free_port
from tests.support.system import System
from tests.support.waiting import eventually

GRAFANA_VARIABLES = {"$__rate_interval": "20s", "$__range": "2m", "$__interval": "5s"}


class Prometheus:
    """The API of Prometheus."""

    def __init__(self, url: str, session: ClientSession) -> None:
        self.url = url
        self._session = session

    async def get(self, path: str, **parameters: str) -> Any:
        """Return the data of a successful response."""
        async with self._session.get(f"{self.url}/api/v1/{path}", params=parameters) as response:
            body = await response.json()
            assert body["status"] == "success", f"{parameters}: {body['error']}"
            return body["data"]

    async def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and current value of each series of a panel's *expression*, without NaN."""
        for name, text in GRAFANA_VARIABLES.items():
            expression = expression.replace(name, text)
        expression = re.sub(r"\$[a-z]+", ".*", expression)
        result = (await self.get("query", query=expression))["result"]
        found = [(series["metric"], float(series["value"][1])) for series in result]
        return [(labels, value) for labels, value in found if value == value]  # noqa: PLR0124 - NaN is not itself

    async def number(self, expression: str) -> float | None:
        """Return the value of *expression* if it has exactly one series."""
        found = await self.query(expression)
        return found[0][1] if len(found) == 1 else None

    async def all_up(self) -> bool:
        """Return whether every target was scraped at least twice."""
        targets = (await self.get("targets"))["activeTargets"]
        twice = await self.query("sum_over_time(up[1m]) >= 2")
        return bool(targets) and len(twice) == len(targets)


@asynccontextmanager
async def prometheus_of(system: System, folder: Path) -> AsyncIterator[Prometheus]:
    """Run Prometheus with the committed jobs and rules on this system's replicas, scraping every second."""
    port = free_port()
    configuration = read_yaml(PROMETHEUS / "prometheus.yml")
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    del configuration["alerting"]
    targets = {
        job: [f"127.0.0.1:{replica.port}" for replica in system.replicas[name]] for job, name in SERVICES.items()
    }
    targets["prometheus"] = [f"127.0.0.1:{port}"]
    configuration["scrape_configs"] = [
        {key: value for key, value in job.items() if not key.endswith("_configs")}
        | {"static_configs": [{"targets": targets[job["job_name"]]}]}
        for job in configuration["scrape_configs"]
        if job["job_name"] in targets
    ]
    (folder / "rules").mkdir()
    for path in RULES:
        (folder / "rules" / path.name).write_text(re.sub(r"(?m)^(    interval): \w+$", r"\1: 1s", path.read_text()))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=log,
            stderr=log,
        )
    try:
        async with ClientSession(timeout=ClientTimeout(total=10)) as session:
            prometheus = Prometheus(f"http://127.0.0.1:{port}", session)
            await eventually(lambda: _ready(prometheus, session))
            yield prometheus
    finally:
        process.terminate()
        await process.wait()


async def _ready(prometheus: Prometheus, session: ClientSession) -> bool:
    try:
        async with session.get(f"{prometheus.url}/-/ready") as response:
            return response.status == 200
    except OSError:
        return False
