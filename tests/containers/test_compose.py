"""The containers: confined, limited, on loopback, and without exposed secrets."""

import json
from typing import Any

from tests.support.containers.stack import ADDRESS, SERVICES, TAG, USER_OF, VERSION, Stack, docker, inspect, labelled
from tests.support.waiting import eventually

ONE_SHOTS = {"secrets", "migrate"}
LONGEST_STOP_SECONDS = 60
FILES = {
    "database/password": "999 400",
    "migrate/database_url": "10006 400",
    "migrate/roles/tocsin_alerts": "10006 400",
    "alert-ingestion/database_url": "10001 400",
    "incident-management/database_url": "10002 400",
    "oncall-service/database_url": "10003 400",
    "notification-service/database_url": "10004 400",
    "web-ui/database_url": "10005 400",
    "made/database_password": "0 400",
    "made/web-ui_key": "0 400",
    "made/edge_key": "0 400",
    "edge/edge_key": "99 400",
    "web-ui/edge_key": "10005 400",
    "web-ui/service_key": "10005 400",
    "oncall-service/service_key": "10003 400",
    "service_keys/oncall-service.json": "10003 444",
}


def service_of(container: dict[str, Any]) -> str:
    return str(container["Config"]["Labels"]["com.docker.compose.service"])


def secrets_of(stack: Stack) -> list[str]:
    roles = ("access" if name == "web" else name for name in SERVICES)
    names = ["database_password", "edge_key", *(f"tocsin_{role}_password" for role in roles)]
    private = [json.loads(stack.secret(f"made/{name}_key"))["d"] for name in SERVICES.values()]
    return [stack.secret(f"made/{name}") for name in names] + private


async def test_every_container_has_limits_and_no_privileges(stack: Stack) -> None:
    containers = stack.all_containers()
    assert {*SERVICES.values(), "edge", "database", "prometheus", *ONE_SHOTS} <= {
        service_of(item) for item in containers
    }
    for container in containers:
        host, service = container["HostConfig"], service_of(container)
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        added = {name.removeprefix("CAP_") for name in host["CapAdd"] or ()}
        assert added == ({"CHOWN"} if service == "secrets" else set()), service
        assert host["SecurityOpt"] == ["no-new-privileges:true"], service
        assert not host["Privileged"], service
        assert host["Init"], service
        assert 0 < host["Memory"] <= 2**30, service
        assert 0 < host["NanoCpus"] <= 2_000_000_000, service
        assert 0 < host["PidsLimit"] <= 500, service
        assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}, service
        assert host["DnsOptions"] == ["timeout:1", "attempts:1"], service
        assert host["RestartPolicy"]["Name"] == ("no" if service in ONE_SHOTS else "unless-stopped"), service
        assert service in ONE_SHOTS or 0 < container["Config"]["StopTimeout"] <= LONGEST_STOP_SECONDS, service
        assert {mount["Type"] for mount in container["Mounts"]} <= {"volume", "tmpfs"}, service


async def test_every_permanent_container_has_a_health_check(stack: Stack) -> None:
    for container in stack.all_containers():
        if service_of(container) not in ONE_SHOTS:
            assert container["State"]["Health"]["Status"] == "healthy", service_of(container)


async def test_ports_are_bound_to_the_configured_address_only(stack: Stack) -> None:
    bound = {
        binding["HostIp"]
        for container in stack.all_containers()
        for bindings in (container["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or []
    }
    assert bound == {ADDRESS}
    assert "127.0.0.1" in stack.compose("config", BIND_ADDRESS="")


async def test_a_service_runs_as_its_own_user_and_can_write_only_to_memory(stack: Stack) -> None:
    for service in SERVICES.values():
        output = stack.execute(service, "sh", "-c", LOOK_AROUND).splitlines()
        assert output[0] == USER_OF[service].partition(":")[0]
        assert output[1:-3] == ["/tmp"], service  # noqa: S108 - the container's own
        assert [line.split()[1].lstrip("0") for line in output[-3:]] == ["", "", "1"], service


LOOK_AROUND = """
id -u
for folder in / /opt /opt/tocsin /run /run/secrets /tmp; do touch $folder/x 2>/dev/null && echo $folder; done
grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status
"""


async def test_each_secret_is_a_file_that_one_user_can_read(stack: Stack) -> None:
    volume = ("--volume", f"{stack.project}_secrets:/run/secrets:ro", "--workdir", "/run/secrets")
    stat = ("--entrypoint", "stat", f"tocsin/migrate:{TAG}", "--format", "%n %u %a", *FILES)
    found = docker("run", "--rm", *volume, *stat).splitlines()
    assert dict(line.split(" ", 1) for line in found) == FILES
    for service in SERVICES.values():
        readable = stack.execute(service, "sh", "-c", "find /run/secrets -type f -readable 2>/dev/null || true").split()
        assert {path.split("/")[3] for path in readable} == {service, "service_keys"}


async def test_no_secret_is_exposed_by_the_engine_the_images_the_logs_or_the_configuration(stack: Stack) -> None:
    secrets = secrets_of(stack)
    assert len({secret for secret in secrets if len(secret) > 40}) == 12
    images = [f"tocsin/{name}:{TAG}" for name in USER_OF]
    exposed = {
        "inspect": json.dumps(
            [*stack.all_containers(), *inspect(*images), *inspect(*labelled("volume", stack.project))]
        ),
        "history": "".join(docker("history", "--no-trunc", image) for image in images),
        "logs": stack.compose("logs"),
        "config": stack.compose("config"),
        "processes": stack.compose("top"),
    }
    assert len(exposed["logs"]) > 1_000
    assert [place for place, text in exposed.items() for secret in secrets if secret in text] == []


async def test_the_services_report_the_built_version(stack: Stack) -> None:
    for service in SERVICES:
        assert (await stack.get(service, "/health"))["version"] == VERSION


async def test_a_log_line_names_its_container(stack: Stack) -> None:
    for service in SERVICES.values():
        (container,) = stack.containers(service)
        lines = [json.loads(line) for line in docker("logs", container).splitlines() if line.startswith("{")]
        assert lines
        assert all(line["instance"].startswith(f"{container[:12]}:") for line in lines)


async def test_prometheus_scrapes_every_replica(stack: Stack) -> None:
    async def up() -> dict[str, str]:
        targets = (await stack.get("prometheus", "/api/v1/targets"))["data"]["activeTargets"]
        health = {target["labels"]["job"]: target["health"] for target in targets}
        return health if {*SERVICES.values(), "edge", "prometheus"} <= set(health) else {}

    health = await eventually(up, timeout=60, every=0.5)
    assert set((await eventually(lambda: _all_up(up), timeout=60, every=0.5)).values()) == {"up"}, health


async def _all_up(ask: Any) -> Any:
    health = await ask()
    return health if set(health.values()) == {"up"} else None


async def test_every_profile_renders(stack: Stack) -> None:
    services = set(stack.compose("--profile", "*", "config", "--services").split())
    assert services >= {"mailpit", "jaeger", "loki", "log-shipper", "alertmanager", "grafana"}
