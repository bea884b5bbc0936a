"""Build: every image of the commit, once. Later stages scan, test and deploy these images, by ID."""

import subprocess
from pathlib import Path
from typing import Final

from rollout.base_images import base_of, pinned
from rollout.docker import Docker
from rollout.image_tags import BY_COMMIT, BY_INPUTS
from rollout.store import Store, default_folder
from stages import images
from stages.checks import Stage, StopError
from stages.report import Outcome

MAX_BYTES: Final = 500_000_000
ROOT_USERS: Final = frozenset({"", "0", "root"})
OPTIONAL: Final = "grafana"
"""The service that is left out if its base image cannot be pulled."""


def run(stage: Stage) -> None:
    """Build the images, store their IDs, and check their size and user."""
    refuse_changed_tree(stage)
    tag = images.export_names(stage)
    # An existing image keeps its ID, so that a deploy does not restart what did not change.
    wanted = [service for service in BY_INPUTS if not images.exists(images.image_name(stage, service))]
    if OPTIONAL in wanted and not has_base(OPTIONAL):
        leave_out(stage, OPTIONAL)
        wanted.remove(OPTIONAL)
    stage.require("images", "docker", "buildx", "bake", "--progress=plain", "--file=compose.yaml", *BY_COMMIT, *wanted)
    stage.require("pin", images.DEPLOY, "pin", tag)
    check_images(stage)
    if images.registry():
        for image in images.pinned_images(stage):
            stage.require(f"push {image}", "docker", "push", "--quiet", image)


def refuse_changed_tree(stage: Stage) -> None:
    """Raise StopError if the tree differs from the commit, because the images are tagged with the commit."""
    if changed := changed_files():
        files = ", ".join(changed[:5])
        stage.fail(f"refused: the tree differs from the commit ({files}); commit, stash or remove it", Outcome.ERROR)
        raise StopError


def changed_files() -> list[str]:
    """Return the files that are modified or untracked."""
    command = ["git", "status", "--porcelain"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line[3:] for line in printed.splitlines()]


def has_base(service: str) -> bool:
    """Return whether a service's base image exists here or can be pulled."""
    base = pinned(Path(), base_of(Path(), service))
    return images.exists(base) or subprocess.run(["docker", "pull", "--quiet", base], check=False).returncode == 0


def leave_out(stage: Stage, service: str) -> None:
    """Report that a service is left out. Raise StopError if the good release has it."""
    store = Store(default_folder())
    good = store.read().good
    if good and service in store.release(good).images:
        stage.fail(f"the base of {service} cannot be pulled, and the running release has it", Outcome.ERROR)
        raise StopError
    stage.result.figures.append(f"without {service}, whose base cannot be pulled")


def check_images(stage: Stage) -> None:
    """Fail for an image that is too large or runs as root."""
    found = Docker("").images(images.pinned_images(stage))
    for image, raw in found.items():
        if raw["Size"] > MAX_BYTES:
            stage.fail(f"{image} has {raw['Size'] / 1e6:.0f} MB, more than {MAX_BYTES / 1e6:.0f}", Outcome.FINDING)
        if raw["Config"]["User"].partition(":")[0] in ROOT_USERS:
            stage.fail(f"{image} runs as root", Outcome.FINDING)
    largest = max(raw["Size"] for raw in found.values())
    stage.result.figures.append(f"{len(found)} images, the largest {largest / 1e6:.0f} MB")
