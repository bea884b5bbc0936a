"""What a stage needs beside Python's standard library and Docker."""

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Final

from stages.checks import Stage
from stages.scanner import container

PROMETHEUS: Final = "prom/prometheus:v2.53.3"
"""That of docker/Dockerfile, which reads the rules."""


def install(stage: Stage) -> None:
    """Bring the tools of uv.lock up to date and put them first in the stage's PATH.

    A job's folders end with it, but for the runner's tool cache: what is installed is kept there, for each checkout its
    own, since a virtual environment knows where the source is.
    """
    own = (str(_keep() / folder / "bin") for folder in (".venv", ".uv"))
    stage.environment["PATH"] = os.pathsep.join([*own, stage.environment["PATH"]])
    # Without compiled files every tool would start twice as slowly.
    stage.environment["PYTHONDONTWRITEBYTECODE"] = ""
    if _keep() != Path.cwd():
        stage.environment |= {
            "KEEP": str(_keep()),
            "UV_CACHE_DIR": str(_keep().parent / "uv"),
            "MYPY_CACHE_DIR": str(_keep() / "mypy"),
            "RUFF_CACHE_DIR": str(_keep() / "ruff"),
        }
    stage.need("packages", "make", "--silent", "setup")


def have_promtool(stage: Stage) -> None:
    """Take promtool out of the image of Prometheus where the machine has none: a rule's test is a fast test."""
    stage.environment["PATH"] += os.pathsep + str(_keep() / "bin")
    if shutil.which("promtool", path=stage.environment["PATH"]):
        return
    (_keep() / "bin").mkdir(parents=True, exist_ok=True)
    with container(PROMETHEUS, files={}) as prometheus:
        subprocess.run(["docker", "cp", "--quiet", f"{prometheus}:/bin/promtool", str(_keep() / "bin")], check=True)


def place_of(checkout: Path, cache: Path) -> Path:
    """Return the folder in a runner's tool cache where what a checkout installs is kept."""
    return cache / "tocsin" / sha256(os.fsencode(checkout)).hexdigest()[:12]


def _keep() -> Path:
    if chosen := os.environ.get("KEEP"):
        return Path(chosen)
    cache = os.environ.get("RUNNER_TOOL_CACHE")
    return place_of(Path.cwd(), Path(cache)) if cache else Path.cwd()
