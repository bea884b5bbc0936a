"""The tools that a stage needs in addition to the standard library and Docker."""

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Final

from rollout.base_images import pinned
from stages.checks import Stage
from stages.scanner import container

PROMETHEUS: Final = "prom/prometheus:v2.53.3"
"""The version that docker/Dockerfile deploys."""


def install(stage: Stage) -> None:
    """Install the tools of uv.lock and put them first in the stage's PATH.

    A job's folders end with the job, except for the runner's tool cache. Each checkout has its own folder there: a
    virtual environment contains the path of the source.
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
    stage.require("packages", "make", "--silent", "setup")


def install_promtool(stage: Stage) -> None:
    """Extract promtool, which the fast tests use, from Prometheus's image if the machine has none."""
    stage.environment["PATH"] += os.pathsep + str(_keep() / "bin")
    if shutil.which("promtool", path=stage.environment["PATH"]):
        return
    (_keep() / "bin").mkdir(parents=True, exist_ok=True)
    with container(pinned(Path(), PROMETHEUS), files={}) as prometheus:
        subprocess.run(["docker", "cp", "--quiet", f"{prometheus}:/bin/promtool", str(_keep() / "bin")], check=True)


def cache_folder(checkout: Path, cache: Path) -> Path:
    """Return the folder of a checkout in a runner's tool cache."""
    return cache / "tocsin" / sha256(os.fsencode(checkout)).hexdigest()[:12]


def _keep() -> Path:
    if chosen := os.environ.get("KEEP"):
        return Path(chosen)
    cache = os.environ.get("RUNNER_TOOL_CACHE")
    return cache_folder(Path.cwd(), Path(cache)) if cache else Path.cwd()
