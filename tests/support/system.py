"""The five services as real processes on a real database: started, killed, paused and resumed at will."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

import psutil
from aiohttp import ClientSession, ClientTimeout

from tests.support.fork_server import SERVICES, ForkedProcess, fork_server
from tests.support.ports import free_port
from tests.support.waiting import eventually
from tocsin.cli.service_keys import KeyFolder
from tocsin.cli.services import SERVICES as UP_SERVICES
from tocsin.kernel import tasks
from tocsin.kernel.service_keys import ServiceKeys
from tocsin.kernel.settings import ProcessSettings
from tocsin.kernel.shared_time import SharedTime

EXIT_SECONDS: Final = 60.0
"""Only bounds a process that never exits."""
QUICK: Final = {
    "LEASE_SECONDS": "1.0",
    "POLL_SECONDS": "0.2",
    "RETRY_MIN_SECONDS": "0.1",
    "RETRY_MAX_SECONDS": "0.5",
    "SEND_RETRY_MAX_SECONDS": "0.5",
    "ESCALATION_TIMEOUT_MINUTES": "0.05",
    "FAILPOINT_SLEEP_SECONDS": "2.5",
    "RECONCILE_SECONDS": "0.3",
    "GAUGE_SECONDS": "0.5",
    "ROLLUP_SECONDS": "0.2",
    "DB_POOL_SIZE": "5",
}
"""Leases, polls, back-off and escalation in tenths of a second."""
WITHOUT_KEYS: Final = {"SERVICE_KEY_FILE": "", "SERVICE_KEYS": ""}
"""The environment of a service that neither signs calls nor checks signatures."""
URL_OF: Final = {
    "alerts": "ALERT_INGESTION_URL",
    "incidents": "INCIDENT_MANAGEMENT_URL",
    "oncall": "ONCALL_SERVICE_URL",
    "notifications": "NOTIFICATION_SERVICE_URL",
    "web": "WEB_UI_URL",
}


class Replica:
    """One process of one service."""

    def __init__(
        self, service: str, environment: Mapping[str, str], log: Path, keys: Mapping[str, str] | None = None
    ) -> None:
        self.service = service
        self._keys = keys or {}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = environment
        self._log = log
        self._process: asyncio.subprocess.Process | ForkedProcess | None = None

    async def start(self, *, until_ready: bool = True, **environment: str) -> Self:
        """Start the process, with *environment* beside the system's, and wait until it is ready."""
        given = {**os.environ, **self._environment, **self._keys, "PORT": str(self.port), **environment}
        module = f"tocsin.{self.service}"
        with self._log.open("ab") as log:
            if "PYTHONPATH" in self._environment:  # another package than the one imported
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", module), env=given, stdout=log, stderr=log
                )
            else:
                self._process = fork_server().start(module, given, log)
        if until_ready:
            await self.ready()
        return self

    async def ready(self) -> None:
        """Wait until it is ready; fail with its log when it exits instead."""
        async with ClientSession(timeout=ClientTimeout(total=2)) as session:

            async def is_ready() -> bool:
                if not self.running:
                    msg = f"{self.service} exited with {self._exit_code}:\n{self.log}"
                    raise RuntimeError(msg)
                try:
                    async with session.get(f"{self.url}/health/ready") as response:
                        return response.status == 200
                except (OSError, TimeoutError):
                    return False

            await eventually(is_ready, timeout=120)

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text(errors="replace")

    @property
    def started(self) -> bool:
        """Whether it was ever started."""
        return self._process is not None

    @property
    def running(self) -> bool:
        """Whether the process exists, paused or not."""
        return self._process is not None and self._process.returncode is None

    @property
    def paused(self) -> bool:
        """Whether it is stopped by SIGSTOP, which takes effect asynchronously."""
        return self._process is not None and psutil.Process(self._process.pid).status() == psutil.STATUS_STOPPED

    def reset_peak_memory(self) -> None:
        """Begin anew to measure `peak_memory_mib`."""
        self._file("clear_refs").write_text("5", encoding="ascii")

    @property
    def peak_memory_mib(self) -> float:
        """The largest resident memory since `reset_peak_memory`."""
        return int(self._file("status").read_text(encoding="ascii").partition("VmHWM:")[2].split()[0]) / 1024

    def _file(self, name: str) -> Path:
        return Path(f"/proc/{self._process.pid if self._process else 0}/{name}")

    @property
    def _exit_code(self) -> int | None:
        return None if self._process is None else self._process.returncode

    def send(self, number: signal.Signals) -> None:
        """Send a signal: SIGKILL, SIGSTOP, SIGCONT, SIGTERM."""
        if self._process is not None and self.running:
            self._process.send_signal(number)

    async def exited(self) -> int:
        """Wait until it exits; return the exit code."""
        if self._process is None:
            msg = f"{self.service} was never started"
            raise RuntimeError(msg)
        async with tasks.timeout(EXIT_SECONDS):
            return await self._process.wait()

    async def kill(self) -> None:
        """Kill it with SIGKILL, if it runs."""
        if self.running:
            self.send(signal.SIGKILL)
            await self.exited()

    async def stop(self) -> int:
        """Stop it with SIGTERM; return the exit code."""
        self.send(signal.SIGTERM)
        return await self.exited()


class SystemClient:
    """An HTTP client of the services of a system, wherever they run."""

    session: ClientSession

    def url(self, service: str) -> str:
        """Return the address of *service*."""
        raise NotImplementedError

    async def get(self, service: str, path: str, **query: Any) -> Any:
        """GET *path*; return the JSON body of the response, which must be a success."""
        async with self.session.get(self.url(service) + path, params=query) as response:
            assert response.status < 400, await response.text()
            return await response.json()

    async def post(self, service: str, path: str, body: Any, **headers: str) -> Any:
        """POST *body*; return the JSON body of the response, which must be a success."""
        async with self.session.post(self.url(service) + path, json=body, headers=headers) as response:
            assert response.status < 400, await response.text()
            return await response.json()

    async def send_alert(self, alert: Mapping[str, str], *, to: str = "alerts", **headers: str) -> Any:
        """Send an alert and return it as it is stored with its incident, which on a busy machine comes after a 202."""
        accepted = await self.post(to, "/api/v1/alerts", alert, **headers)

        async def correlated() -> Any:
            stored = await self.get("alerts", f"/api/v1/alerts/{accepted['alert_id']}")
            return stored["incident_id"] and stored

        return await eventually(correlated)

    async def patch(self, service: str, path: str, body: Any) -> Any:
        """PATCH *body*; return the JSON body of the response, which must be a success."""
        async with self.session.patch(self.url(service) + path, json=body) as response:
            assert response.status < 400, await response.text()
            return await response.json()


class System(SystemClient):
    """All five services."""

    def __init__(self, database_url: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {**QUICK, "DATABASE_URL": database_url, **environment}
        self._keys = KeyFolder(folder)
        self._keys.create_missing()
        self.replicas: dict[str, list[Replica]] = {service: [] for service in SERVICES}

    def add(self, service: str) -> Replica:
        """Add a replica of *service*, not yet started. The other services use its first replica."""
        number = len(self.replicas[service])
        keys = self._keys.environment(next(each for each in UP_SERVICES if each.name == service))
        replica = Replica(service, self._environment, self._folder / f"{service}-{number}.log", keys)
        self.replicas[service].append(replica)
        if service in URL_OF and number == 0:
            self._environment[URL_OF[service]] = replica.url
        return replica

    def signature(self, signer: str, audience: str) -> Mapping[str, str]:
        """Return the headers of a call that the service *signer* signs; both are names such as `oncall`."""
        services = {each.name: each for each in UP_SERVICES}
        settings = ProcessSettings.model_validate({"service_key": self._keys.private_key(services[signer])})
        keys = ServiceKeys.of(settings, services[signer].identity, SharedTime())
        return keys.authorization(services[audience].identity)

    def __getitem__(self, service: str) -> Replica:
        return self.replicas[service][0]

    def url(self, service: str) -> str:
        """Return the address of the first replica of *service*."""
        return self[service].url

    @property
    def everyone(self) -> Iterable[Replica]:
        """Every replica of every service."""
        return [replica for replicas in self.replicas.values() for replica in replicas]


@asynccontextmanager
async def running_system(
    database_url: str, folder: Path, environment: Mapping[str, str], *, replicas: Mapping[str, int] | None = None
) -> AsyncIterator[System]:
    """Yield a system that is ready; every process of it that still runs must stop cleanly at the end of the block."""
    system = System(database_url, folder, environment)
    for service in SERVICES:
        for _ in range((replicas or {}).get(service, 1)):
            system.add(service)
    async with AsyncExitStack() as stack:
        for replica in system.everyone:
            stack.push_async_callback(replica.kill)
        await asyncio.gather(*(replica.start() for replica in system.everyone))
        system.session = await stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=10)))
        yield system
        running = [replica for replica in system.everyone if replica.running]
        for replica in running:
            replica.send(signal.SIGCONT)
        codes = await asyncio.gather(*(replica.stop() for replica in running))
        assert [
            f"{replica.service} exited with {code}" for replica, code in zip(running, codes, strict=True) if code
        ] == []
