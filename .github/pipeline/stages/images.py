"""The images of a commit: their names, which `deploy env` prints, and their transfer to the machine of a job."""

import os
import subprocess
from typing import Final

from rollout.docker import Docker
from rollout.image_tags import BY_COMMIT, BY_INPUTS
from rollout.release import line_of
from rollout.store import Store, default_folder
from stages.checks import Stage

DEPLOY: Final = ".github/pipeline/deploy"


def registry() -> str | None:
    """Return the registry that passes images between GitHub's machines; None under act, where jobs share a daemon."""
    if os.environ.get("GITHUB_ACTIONS") and not os.environ.get("ACT"):
        return f"ghcr.io/{os.environ['GITHUB_REPOSITORY'].lower()}"
    return None


def export_names(stage: Stage) -> str:
    """Export the names of HEAD's images to the stage's later commands, and return their tag, the commit."""
    printed = subprocess.run([DEPLOY, "env"], check=True, capture_output=True, text=True).stdout
    stage.environment |= dict(line.split("=", 1) for line in printed.splitlines())
    if prefix := registry():
        # Functions that this process calls read it as well.
        stage.environment["IMAGE_PREFIX"] = os.environ["IMAGE_PREFIX"] = prefix
        login = ["docker", "login", "ghcr.io", "--username", os.environ["GITHUB_ACTOR"], "--password-stdin"]
        subprocess.run(login, input=os.environ["GITHUB_TOKEN"], text=True, check=True)
    return stage.environment["TAG"]


def obtain(stage: Stage) -> str:
    """Export the names, pull the images if jobs use a registry, and return the images' tag.

    Images that Build left out are excluded from the later commands as well.
    """
    tag = export_names(stage)
    if registry():
        stage.require("pull", "docker", "compose", "pull", "--quiet", "--ignore-pull-failures", *BY_COMMIT, *BY_INPUTS)
        stage.require("pin", DEPLOY, "pin", tag)
    if missing := [service for service in BY_INPUTS if not exists(image_name(stage, service))]:
        stage.environment["TOCSIN_WITHOUT"] = ",".join(missing)
    return tag


def image_name(stage: Stage, service: str) -> str:
    """Return the name and tag of a service's image."""
    tag = stage.environment[f"{service.upper()}_TAG" if service in BY_INPUTS else "TAG"]
    return f"{stage.environment.get('IMAGE_PREFIX') or 'tocsin'}/{service}:{tag}"


def pinned_images(stage: Stage) -> dict[str, str]:
    """Return the names and IDs of the images that Build built. Raise LookupError if it did not run."""
    found = Store(default_folder()).pinned(stage.environment["TAG"])
    if not found:
        message = f"the images of {stage.environment['TAG']} were not built here: .github/pipeline/stage build"
        raise LookupError(message)
    return found


def schema_line(image: str) -> str | None:
    """Return the schema line of an image; None if the image is missing or has none."""
    found = Docker("").images([image])
    return line_of(found[image]) if image in found else None


def exists(image: str) -> bool:
    """Return whether Docker has an image."""
    return bool(Docker("").images([image]))
