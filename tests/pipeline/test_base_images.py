"""The third-party images: pinned by digest, and a digest that moves is reported."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rollout import base_images
from rollout.image_tags import input_tag

ROOT = Path(__file__).parents[2]
DOCKER = """#!/bin/sh
if [ "$1 $2" = "image inspect" ]; then
    case $3 in
    "$LOCAL") echo '[{"RepoDigests": []}]' ;;
    "$PULLED") echo '[{"RepoDigests": ["'"${3%%:*}"'@sha256:1"]}]' ;;
    *) echo "Error: No such image: $3" >&2; exit 1 ;;
    esac
    exit
fi
[ "$1 $2 $3 $5 $6" = "buildx imagetools inspect --format {{.Manifest.Digest}}" ] || exit 2
[ "$4" != "$DOWN" ] || exit 1
[ "$4" = "$MOVED" ] && echo sha256:2 || echo sha256:1
"""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` command with a registry; return the folder that it is in."""
    command = tmp_path / "bin" / "docker"
    command.parent.mkdir()
    command.write_text(DOCKER)
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    return command.parent


@pytest.fixture
def known(registry: Path) -> Path:
    return registry / "base-images"


def watch(known: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "docker" / "watch-bases", known]
    environment = {**os.environ, **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603


def test_every_third_party_image_is_watched() -> None:
    listed = [line.split()[0] for line in (ROOT / "docker" / "base-images").read_text().splitlines()]
    text = "".join((ROOT / path).read_text() for path in ("docker/Dockerfile", "compose.yaml"))
    used = {default for _, default in base_images.VARIABLES.findall(text)}
    assert used
    assert used <= set(listed)
    assert listed == sorted(set(listed))


def test_a_digest_that_moved_is_reported_once(known: Path) -> None:
    assert watch(known).returncode == 3
    unchanged = watch(known)
    assert (unchanged.returncode, unchanged.stdout, unchanged.stderr) == (0, "", "")
    listed = [line.split()[0] for line in (ROOT / "docker" / "base-images").read_text().splitlines()]
    assert [line.removesuffix(" sha256:1") for line in known.read_text().splitlines()] == listed
    moved = watch(known, MOVED="haproxy:3.0")
    assert moved.returncode == 3
    assert moved.stderr.startswith("haproxy:3.0 has moved from sha256:1 to sha256:2: ")
    assert len(moved.stderr.splitlines()) == 1
    assert watch(known, MOVED="haproxy:3.0").returncode == 0


def test_a_registry_that_does_not_respond_is_an_error_and_changes_nothing(known: Path) -> None:
    watch(known)
    before = known.read_text()
    assert watch(known, DOWN="haproxy:3.0").returncode == 1
    assert known.read_text() == before


@pytest.fixture
def checkout(tmp_path: Path, registry: Path) -> Path:
    """A checkout whose base images have digests."""
    assert registry.is_dir()
    shutil.copytree(ROOT / "docker", tmp_path / "docker")
    shutil.copy(ROOT / "compose.yaml", tmp_path)
    (tmp_path / "docker" / "base-images").write_text("haproxy:3.0 sha256:1\npostgres:17-trixie sha256:1\npython:3.13\n")
    return tmp_path


@pytest.mark.usefixtures("registry")
def test_images_are_built_from_and_run_by_the_known_digests(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = {"HAPROXY_IMAGE": "haproxy:3.0@sha256:1", "POSTGRES_IMAGE": "postgres:17-trixie@sha256:1"}
    assert base_images.environment(checkout) == pinned
    monkeypatch.setenv("PULLED", "haproxy:3.0")
    assert base_images.environment(checkout) == pinned


def test_an_image_that_was_built_on_this_machine_is_used_without_a_digest(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL", "haproxy:3.0")
    assert base_images.environment(checkout) == {"POSTGRES_IMAGE": "postgres:17-trixie@sha256:1"}


def test_an_image_that_the_environment_names_is_used_as_it_is(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAPROXY_IMAGE", "mirror.example/haproxy:3.0")
    assert base_images.base_of(checkout, "edge") == "mirror.example/haproxy:3.0"
    assert base_images.environment(checkout) == {"POSTGRES_IMAGE": "postgres:17-trixie@sha256:1"}


def test_a_new_digest_gives_the_image_a_new_tag(checkout: Path) -> None:
    before = input_tag(checkout, "edge")
    (checkout / "docker" / "base-images").write_text("haproxy:3.0 sha256:2\n")
    assert input_tag(checkout, "edge") != before
