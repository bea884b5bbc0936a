"""What a release is made of, and what the images of a checkout are called."""

import copy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rollout import release as releases
from rollout.inputs import BY_INPUTS, InputError, build_environment, input_tag

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


def made(tag: str = "one", *, left_out: tuple[str, ...] = (), **changes: dict[str, Any]) -> releases.Release:
    document = copy.deepcopy(RENDERED)
    for name, change in changes.items():
        document["services"][name.replace("_", "-")].update(change)
    for service in document["services"].values():
        service["image"] = service["image"].replace(":one", f":{tag}")
    document = releases.without(document, left_out)
    images = {name: f"id of {service['image']}" for name, service in document["services"].items()}
    return releases.make(tag, document, images, "0001_alerts")


def test_each_container_stands_below_before_or_among_the_services() -> None:
    release = made()
    found = [sorted(names) for names in (release.services, release.before, release.below)]
    assert found == [["web-ui"], ["edge", "grafana"], ["database"]]
    assert made(left_out=("grafana",)).before == {"edge"}


def test_what_is_kept_of_a_release_needs_no_checkout_and_no_demo() -> None:
    services = made().document["services"]
    assert "demo" not in services
    assert all("build" not in service for service in services.values())
    assert services["grafana"]["depends_on"] == {}


def test_only_what_changes_gets_another_label() -> None:
    one, two = made("one"), made("two")
    assert one.id != two.id
    assert one.label("web-ui") == one.id
    assert [one.label(name) == two.label(name) for name in ("database", "edge", "web-ui")] == [True, True, False]
    tuned = made("one", database={"command": ["postgres", "-c", "max_connections=9"]})
    assert tuned.id != one.id
    assert [one.label(name) == tuned.label(name) for name in ("database", "edge")] == [False, True]


def test_a_port_is_reached_on_this_machine_wherever_it_is_bound() -> None:
    assert made().port("edge", 8080) == ("127.0.0.1", 18080)
    with pytest.raises(LookupError, match="edge does not publish its port 8443"):
        made().port("edge", 8443)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what images are made of, in a repository of its own."""
    for path in ("docker", "prometheus", "grafana/provisioning", "grafana/dashboards"):
        shutil.copytree(ROOT / path, tmp_path / path, ignore=shutil.ignore_patterns("__pycache__"))
    for command in (
        ["init", "--quiet"],
        ["-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)  # noqa: S603, S607
    return tmp_path


def test_the_build_is_told_the_commit_and_a_tag_for_what_seldom_changes(checkout: Path) -> None:
    told = build_environment(checkout)
    assert told["TAG"] == told["VERSION"] == told["REVISION"]
    assert len(told["TAG"]) == 40
    assert build_environment(checkout, "another") == {**told, "TAG": "another", "VERSION": "another"}


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


def test_what_is_copied_and_is_not_there_is_named(checkout: Path) -> None:
    (checkout / "docker" / "alertmanager.yml").unlink()
    with pytest.raises(InputError, match=r"docker/alertmanager\.yml is copied into an image, and is not there"):
        input_tag(checkout, "alertmanager")
    with pytest.raises(InputError, match="no stage nobody"):
        input_tag(checkout, "nobody")
