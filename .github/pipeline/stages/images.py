"""The images of a commit. What they are called is `deploy`'s to say; how they come to this machine is said here."""

import os
import subprocess
from typing import Final

from rollout.engine import Docker
from rollout.inputs import BY_COMMIT, BY_INPUTS
from rollout.store import Store, default_folder
from stages.checks import Stage

DEPLOY: Final = ".github/pipeline/deploy"


def registry() -> str | None:
    """Return where images go between machines that share no Docker daemon: to GitHub's registry; under act, nowhere."""
    if os.environ.get("GITHUB_ACTIONS") and not os.environ.get("ACT"):
        return f"ghcr.io/{os.environ['GITHUB_REPOSITORY'].lower()}"
    return None


def name(stage: Stage) -> str:
    """Tell every later command of the stage what the images of HEAD are called; return their tag, the commit."""
    printed = subprocess.run([DEPLOY, "env"], check=True, capture_output=True, text=True).stdout
    stage.environment |= dict(line.split("=", 1) for line in printed.splitlines())
    if place := registry():
        # What is called from here reads it, too.
        stage.environment["IMAGE_PREFIX"] = os.environ["IMAGE_PREFIX"] = place
        login = ["docker", "login", "ghcr.io", "--username", os.environ["GITHUB_ACTOR"], "--password-stdin"]
        subprocess.run(login, input=os.environ["GITHUB_TOKEN"], text=True, check=True)
    return stage.environment["TAG"]


def bring(stage: Stage) -> str:
    """Name the images of HEAD and have them here, without those that Build had to leave out; return their tag."""
    tag = name(stage)
    if registry():
        stage.need("pull", "docker", "compose", "pull", "--quiet", "--ignore-pull-failures", *BY_COMMIT, *BY_INPUTS)
        stage.need("seal", DEPLOY, "seal", tag)
    if missing := [service for service in BY_INPUTS if not is_here(called(stage, service))]:
        stage.environment["TOCSIN_WITHOUT"] = ",".join(missing)
    return tag


def called(stage: Stage, service: str) -> str:
    """Return the name and tag of the image of a service."""
    tag = stage.environment[f"{service.upper()}_TAG" if service in BY_INPUTS else "TAG"]
    return f"{stage.environment.get('IMAGE_PREFIX') or 'tocsin'}/{service}:{tag}"


def sealed(stage: Stage) -> dict[str, str]:
    """Return the images that Build made, and their IDs. Raise LookupError where it did not run."""
    found = Store(default_folder()).sealed(stage.environment["TAG"])
    if not found:
        message = f"the images of {stage.environment['TAG']} were not built here: .github/pipeline/stage build"
        raise LookupError(message)
    return found


def is_here(image: str) -> bool:
    """Say whether Docker has an image."""
    return bool(Docker("").images([image]))
