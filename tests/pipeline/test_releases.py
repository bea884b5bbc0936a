"""The content of a release, and the tags of a checkout's images."""

import copy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rollout import release as releases
from rollout.errors import RefusedError
from rollout.image_tags import BY_INPUTS, build_environment, input_tag

ROOT = Path(__file__).parents[2]
ALWAYS = {"restart": "unless-stopped"}
RENDERED: dict[str, Any] = {
    "name": "tocsin",
    "services": {
        "database": {**ALWAYS, "image": "postgres:17-trixie"},
        "migrate": {"image": "tocsin/migrate:one", "build": {"context": "."}, "depends_on": {"database": {}}},
        "demo": {"restart": "no", "image": "tocsin/migrate:one", "depends_on": {"edge": {}}},
        "web-ui": {**ALWAYS, "image": "tocsin/web-ui:one", "build": {"context": "."}},
        "edge": {
            **ALWAYS,
            "image": "tocsin/edge:abc",
            "ports": [{"target": 8080, "published": "18080", "host_ip": "0.0.0.0"}],  # noqa: S104 - what compose says
        },
        "grafana": {**ALWAYS, "image": "tocsin/grafana:abc", "depends_on": {"demo": {}}},
    },
}


def made(tag: str = "one", *, excluded: tuple[str, ...] = (), **changes: dict[str, Any]) -> releases.Release:
    document = copy.deepcopy(RENDERED)
    for name, change in changes.items():
        document["services"][name.replace("_", "-")].update(change)
    for service in document["services"].values():
        service["image"] = service["image"].replace(":one", f":{tag}")
    document = releases.deployable(document, excluded)
    images = {name: f"id of {service['image']}" for name, service in document["services"].items()}
    return releases.create(tag, document, images, schema="0001_alerts", line="1")


def test_each_container_is_a_service_or_in_the_edge_tier_or_a_dependency() -> None:
    release = made()
    found = [sorted(names) for names in (release.services, release.edge_tier, release.dependencies)]
    assert found == [["web-ui"], ["edge", "grafana"], ["database"]]
    assert made(excluded=("grafana",)).edge_tier == {"edge"}


def test_a_stored_release_needs_no_checkout_and_has_no_demo() -> None:
    services = made().document["services"]
    assert "demo" not in services
    assert all("build" not in service for service in services.values())
    assert services["grafana"]["depends_on"] == {}


def test_only_a_changed_container_gets_another_label() -> None:
    one, two = made("one"), made("two")
    assert one.id != two.id
    assert one.label("web-ui") == one.id
    assert [one.label(name) == two.label(name) for name in ("database", "edge", "web-ui")] == [True, True, False]
    tuned = made("one", database={"command": ["postgres", "-c", "max_connections=9"]})
    assert tuned.id != one.id
    assert [one.label(name) == tuned.label(name) for name in ("database", "edge")] == [False, True]


def test_a_port_is_reachable_on_this_machine_whatever_address_it_is_bound_to() -> None:
    assert made().port("edge", 8080) == ("127.0.0.1", 18080)
    with pytest.raises(LookupError, match="edge does not publish its port 8443"):
        made().port("edge", 8443)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the images' inputs, in a repository of its own."""
    for path in ("docker", "prometheus", "grafana/provisioning", "grafana/dashboards"):
        shutil.copytree(ROOT / path, tmp_path / path, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "compose.yaml", tmp_path)
    for command in (
        ["init", "--quiet"],
        ["-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)  # noqa: S603, S607
    return tmp_path


def test_the_build_environment_has_the_commit_and_a_tag_for_each_image_named_by_its_inputs(checkout: Path) -> None:
    given = build_environment(checkout)
    assert given["TAG"] == given["VERSION"] == given["REVISION"]
    assert len(given["TAG"]) == 40
    assert build_environment(checkout, "another") == {**given, "TAG": "another", "VERSION": "another"}


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("docker/edge/haproxy.cfg", "edge"),
        ("prometheus/rules/system.yml", "prometheus"),
        ("grafana/dashboards/system-health.json", "grafana"),
        ("docker/alertmanager.yml", "alertmanager"),
        ("docker/make_secrets.py", None),
    ],
)
def test_only_the_image_that_a_file_is_in_gets_another_tag(checkout: Path, file: str, changed: str | None) -> None:
    before = {name: input_tag(checkout, name) for name in BY_INPUTS}
    with (checkout / file).open("a") as text:
        text.write("\n# changed\n")
    after = {name: input_tag(checkout, name) for name in BY_INPUTS}
    assert {name for name in BY_INPUTS if before[name] != after[name]} == ({changed} if changed else set())


def test_a_change_of_another_stage_leaves_the_tags(checkout: Path) -> None:
    before = {name: input_tag(checkout, name) for name in BY_INPUTS}
    dockerfile = checkout / "docker" / "Dockerfile"
    text = dockerfile.read_text()
    dockerfile.write_text(text.replace("ENV PORT=8001", "ENV PORT=8001 MORE=1"))
    assert {name: input_tag(checkout, name) for name in BY_INPUTS} == before
    dockerfile.write_text(text.replace("USER 99:99", "USER 98:98"))
    assert input_tag(checkout, "edge") != before["edge"]


def test_a_missing_input_is_named(checkout: Path) -> None:
    (checkout / "docker" / "alertmanager.yml").unlink()
    with pytest.raises(RefusedError, match=r"an image copies .*docker/alertmanager\.yml, which does not exist"):
        input_tag(checkout, "alertmanager")
    with pytest.raises(RefusedError, match="no stage unknown"):
        input_tag(checkout, "unknown")
