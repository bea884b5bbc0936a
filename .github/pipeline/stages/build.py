"""Make every image of the commit, once: what is scanned, tested and deployed is this, by its ID."""

import re
import subprocess
from pathlib import Path
from typing import Final

from rollout.engine import Docker
from rollout.inputs import BY_COMMIT, BY_INPUTS
from rollout.store import Store, default_folder
from stages import images
from stages.checks import Stage, StopError
from stages.report import Outcome

LARGEST: Final = 500_000_000
"""Bytes."""
ROOT: Final = frozenset({"", "0", "root"})
OPTIONAL: Final = "grafana"
"""What a machine that cannot pull its base image may do without."""


def run(stage: Stage) -> None:
    """Build, write down the IDs, and look at what was built."""
    refuse_a_dirty_tree(stage)
    tag = images.name(stage)
    # An image that is there keeps its ID, so that a deploy does not restart what did not change.
    wanted = [service for service in BY_INPUTS if not images.is_here(images.called(stage, service))]
    if OPTIONAL in wanted and not has_base(OPTIONAL):
        leave_out(stage, OPTIONAL)
        wanted.remove(OPTIONAL)
    stage.need("images", "docker", "buildx", "bake", "--progress=plain", "--file=compose.yaml", *BY_COMMIT, *wanted)
    stage.need("seal", images.DEPLOY, "seal", tag)
    look_at(stage)
    if images.registry():
        for image in images.sealed(stage):
            stage.need(f"push {image}", "docker", "push", "--quiet", image)


def refuse_a_dirty_tree(stage: Stage) -> None:
    """Raise StopError where the tree is not that of the commit: an image that bears its name would lie."""
    if changed := changed_files():
        files = ", ".join(changed[:5])
        stage.fail(
            f"refused: the tree is not what the commit says ({files}); commit, stash or remove it", Outcome.BROKE
        )
        raise StopError


def changed_files() -> list[str]:
    """Return the files that are not as the commit has them, or that it does not have."""
    command = ["git", "status", "--porcelain"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line[3:] for line in printed.splitlines()]


def has_base(service: str) -> bool:
    """Say whether the image that a service's image starts from is here, or can be had."""
    found = re.search(rf"^FROM (\S+) AS {service}$", Path("docker/Dockerfile").read_text(), re.MULTILINE)
    if found is None:
        message = f"docker/Dockerfile has no stage {service}"
        raise LookupError(message)
    return (
        images.is_here(found[1]) or subprocess.run(["docker", "pull", "--quiet", found[1]], check=False).returncode == 0
    )


def leave_out(stage: Stage, service: str) -> None:
    """Do without a service, and say so. Raise StopError where the last good release has it: nothing is taken away."""
    store = Store(default_folder())
    good = store.read().good
    if good and service in store.release(good).images:
        stage.fail(f"the base of {service} cannot be pulled, and the release that runs has it", Outcome.BROKE)
        raise StopError
    stage.row.figures.append(f"without {service}, whose base cannot be pulled")


def look_at(stage: Stage) -> None:
    """Fail for an image that is larger than it may be, or that runs as root."""
    found = Docker("").images(sorted(images.sealed(stage)))
    for image, said in found.items():
        if said["Size"] > LARGEST:
            stage.fail(f"{image} has {said['Size'] / 1e6:.0f} MB, more than {LARGEST / 1e6:.0f}", Outcome.FINDING)
        if said["Config"]["User"].partition(":")[0] in ROOT:
            stage.fail(f"{image} runs as root", Outcome.FINDING)
    stage.row.figures.append(f"{len(found)} images, the largest {max(s['Size'] for s in found.values()) / 1e6:.0f} MB")
