"""The whole system in containers, under a project name, an address and ports of this run's own."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientConnectionError
from psycopg2.extensions import make_dsn

from tests.support.ports import free_port
from tests.support.system import SystemClient
from tests.support.waiting import eventually

ROOT: Final = Path(__file__).parents[3]
ADDRESS: Final = os.environ.get("TEST_ADDRESS", "127.0.0.2")
TAG: Final = os.environ.get("TOCSIN_TEST_TAG", "test")
"""The delivery pipeline names its images; by default the tests build some."""
VERSION: Final = "0.0.0-test"
SERVICES: Final = {
    "alerts": "alert-ingestion",
    "incidents": "incident-management",
    "oncall": "oncall-service",
    "notifications": "notification-service",
    "web": "web-ui",
}
"""The names in compose.yaml, by the names in the tests."""
USER_OF: Final = {
    "alert-ingestion": "10001:10001",
    "incident-management": "10002:10002",
    "oncall-service": "10003:10003",
    "notification-service": "10004:10004",
    "web-ui": "10005:10005",
    "migrate": "10006:10006",
    "edge": "99:99",
    "prometheus": "65534:65534",
    "alertmanager": "65534:65534",
}
"""The images that can be built on any machine, and their users."""
PUBLISHED: Final = [*SERVICES.values(), "web-ui-https", "prometheus", "alertmanager", "database"]
GRAFANA: Final = "grafana/grafana:11.5.2"


class DockerError(RuntimeError):
    """A docker command failed; the message is its output."""


def docker(*arguments: str, environment: Mapping[str, str] | None = None, stdin: str | None = None) -> str:
    """Run docker and return its standard output. Raise DockerError."""
    program = shutil.which("docker")
    assert program, "Docker is not installed, and these tests are about containers."
    done = subprocess.run(  # noqa: S603
        [program, *arguments],
        env={**os.environ, **(environment or {})},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        message = f"docker {' '.join(arguments)}: {done.stdout}{done.stderr}"
        raise DockerError(message)
    return done.stdout


def iptables(pid: str, *arguments: str) -> None:
    """Run iptables in the network namespace of a process, 1 for that of this machine; requires root or sudo."""
    root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    subprocess.run([*root, "nsenter", "--target", pid, "--net", "iptables", *arguments], check=True)  # noqa: S603


def inspect(*names: str) -> list[dict[str, Any]]:
    """Return the engine's descriptions of containers, images, volumes or networks."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", *names))
    return found


def labelled(kind: str, project: str) -> list[str]:
    """Return the IDs of a project's containers, including exited ones, or of its volumes or networks."""
    every = ["--all"] if kind == "container" else []
    return docker(kind, "ls", *every, "--quiet", "--filter", f"label=com.docker.compose.project={project}").split()


class Stack(SystemClient):
    """One compose project."""

    def __init__(self, project: str, environment: Mapping[str, str], *files: Path) -> None:
        """*files* extend compose.yaml and the file of all tests."""
        self.project = project
        self._files = (ROOT / "compose.yaml", ROOT / "tests" / "containers" / "compose.test.yaml", *files)
        self.prefix = os.environ.get("IMAGE_PREFIX") or "tocsin"
        self.ports = {service: free_port(ADDRESS) for service in PUBLISHED}
        self._given = {
            "BIND_ADDRESS": ADDRESS,
            "IMAGE_PREFIX": self.prefix,
            "TAG": TAG,
            "VERSION": VERSION,
            "COMPOSE_PROFILES": "",
            "DEMO": "0",
            "PUBLIC_URL": self.url("web"),
            **environment,
        }

    def _ports(self) -> dict[str, str]:
        return {f"{name.upper().replace('-', '_')}_PORT": str(port) for name, port in self.ports.items()}

    def url(self, service: str) -> str:
        """Return the URL of a service at the edge, by either of its names, or of Prometheus."""
        return f"http://{ADDRESS}:{self.ports[SERVICES.get(service, service)]}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which `docker compose` refers to this project."""
        named = {"COMPOSE_PROJECT_NAME": self.project, "COMPOSE_FILE": ":".join(map(str, self._files))}
        return {**os.environ, "COMPOSE_ENV_FILES": os.devnull, **named, **self._ports(), **self._given}

    def compose(self, *arguments: str, **environment: str) -> str:
        """Run docker compose and return its output. Raise DockerError."""
        return docker("compose", *arguments, environment={**self.environment, **environment})

    def up(self, *arguments: str, **environment: str) -> None:
        """Start the system and wait until it is healthy; without Grafana if its image is missing."""
        scale = [] if self.has_grafana() else ["--scale", "grafana=0"]
        self.compose("up", "--detach", "--wait", "--no-build", *scale, *arguments, **environment)

    def has_grafana(self) -> bool:
        """Return whether Grafana's image exists."""
        return bool(docker("image", "ls", "--quiet", f"{self.prefix}/grafana:{os.environ.get('GRAFANA_TAG', TAG)}"))

    def down(self) -> None:
        """Remove all containers, networks and volumes."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "5")

    def containers(self, service: str) -> list[str]:
        """Return the IDs of a service's running replicas."""
        return self.compose("ps", "--quiet", service).split()

    def address(self, service: str) -> str:
        """Return the IP address of a service with one replica."""
        (container,) = self.containers(service)
        networks = inspect(container)[0]["NetworkSettings"]["Networks"]
        return str(networks[f"{self.project}_tocsin"]["IPAddress"])

    def all_containers(self) -> list[dict[str, Any]]:
        """Return the engine's description of each container, including exited ones."""
        return inspect(*labelled("container", self.project))

    def execute(self, service: str, *command: str) -> str:
        """Run a command in the first container of a service."""
        return self.compose("exec", "--no-TTY", service, *command)

    def dsn(self, user: str = "tocsin") -> str:
        """Return the database's DSN for its owner or a role."""
        file = "database_url" if user == "tocsin" else f"roles/{user}"
        secret = self.secret(f"migrate/{file}")
        if user == "tocsin":
            secret = self.secret("database/password")
        return make_dsn(host=ADDRESS, port=self.ports["database"], dbname="tocsin", user=user, password=secret)

    def secret(self, name: str) -> str:
        """Return one of the secrets, read as root."""
        volume = f"{self.project}_secrets:/run/secrets:ro"
        image = f"{self.prefix}/migrate:{self._given['TAG']}"
        return docker(
            "run", "--rm", "--user", "0:0", "--volume", volume, "--entrypoint", "cat", image, f"/run/secrets/{name}"
        )

    async def resolve(self, incident: str) -> None:
        """Resolve an incident, so that it pages nobody during the next test."""
        await self.patch("incidents", f"/api/v1/incidents/{incident}", {"status": "resolved"})

    async def ready(self, *services: str, seconds: float = 60.0) -> None:
        """Wait until each service, by default all, has a ready replica behind the edge."""
        for service in services or SERVICES:

            async def is_ready(service: str = service) -> bool:
                try:
                    async with self.session.get(f"{self.url(service)}/health/ready") as response:
                        return response.status == 200
                except ClientConnectionError:  # a kept-alive connection to a replica that restarted
                    return False

            await eventually(is_ready, timeout=seconds, every=0.2)


async def beside(work: Any, *arguments: Any, **options: Any) -> Any:
    """Run *work* in a thread, so that the event loop continues."""
    return await asyncio.to_thread(work, *arguments, **options)
