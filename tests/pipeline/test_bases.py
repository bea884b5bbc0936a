"""Images that move under their tags are named on the day they do."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKER = """#!/bin/sh
[ "$1 $2 $3 $5 $6" = "buildx imagetools inspect --format {{.Manifest.Digest}}" ] || exit 2
[ "$4" != "$AWAY" ] || exit 1
[ "$4" = "$MOVED" ] && echo sha256:2 || echo sha256:1
"""


@pytest.fixture
def known(tmp_path: Path) -> Path:
    registry = tmp_path / "docker"
    registry.write_text(DOCKER)
    registry.chmod(0o755)
    return tmp_path / "bases.txt"


def watch(known: Path, **registry: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{known.parent}:{os.environ['PATH']}", **registry}
    command = [ROOT / "docker" / "watch-bases", known]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603


def test_an_image_that_moved_is_named_once(known: Path) -> None:
    first = watch(known)
    assert (first.returncode, first.stdout, first.stderr) == (0, "", "")
    names = [line.removesuffix(" sha256:1") for line in known.read_text().splitlines()]
    assert {name.split(":")[0] for name in names} >= {
        *("python", "postgres", "haproxy", "prom/prometheus", "grafana/grafana", "ghcr.io/astral-sh/uv"),
        *("zricethezav/gitleaks", "aquasec/trivy"),
    }
    assert not any(name.startswith("tocsin") for name in names)
    moved = watch(known, MOVED="haproxy:3.0")
    assert moved.returncode == 3
    assert moved.stderr.startswith("haproxy:3.0 has moved from sha256:1 to sha256:2: ")
    assert len(moved.stderr.splitlines()) == 1
    assert watch(known, MOVED="haproxy:3.0").returncode == 0


def test_a_registry_that_does_not_answer_is_not_taken_for_good_news(known: Path) -> None:
    watch(known)
    before = known.read_text()
    assert watch(known, AWAY="haproxy:3.0").returncode == 1
    assert known.read_text() == before
