"""Deploy: move the running system to the commit. `.github/pipeline/deploy` does it, and rolls back if it fails."""

import os

from rollout.docker import Docker
from rollout.errors import RolloutError
from rollout.image_tags import BY_COMMIT
from stages import images
from stages.checks import OWN_CODES, Stage, show


def run(stage: Stage) -> None:
    """Deploy. On an ephemeral machine, start the previous release first, so that it is replaced."""
    tag = images.obtain(stage)
    if images.registry():
        start_previous(stage)
    stage.require("deploy", images.DEPLOY, "up", tag, codes=OWN_CODES, live=True)


def start_previous(stage: Stage) -> None:
    """Start the previously pushed release, if its images exist and have the same schema line."""
    before, prefix = os.environ.get("BEFORE", ""), images.registry()
    try:
        for service in BY_COMMIT:
            Docker("").run("pull", "--quiet", f"{prefix}/{service}:{before}", timeout=600)
    except RolloutError as error:
        show(f"a first deploy: there are no images of {before or 'an earlier release'} ({error})")
        return
    if images.schema_line(f"{prefix}/migrate:{before}") != images.schema_line(images.image_name(stage, "migrate")):
        show(f"a first deploy: {before} has another schema line")
        return
    stage.require("previous release", images.DEPLOY, "up", before, codes=OWN_CODES, live=True)
    stage.require("promote the previous release", images.DEPLOY, "promote", before, codes=OWN_CODES)
