"""The running system is moved to the commit, or stays what it was: `.github/pipeline/deploy` does it and goes back."""

import os

from rollout.engine import Docker
from rollout.inputs import BY_COMMIT
from rollout.mover import TroubleError
from stages import images
from stages.checks import RELAYED, Stage, say


def run(stage: Stage) -> None:
    """Deploy; on a machine that ends with the job, onto the release before."""
    tag = images.bring(stage)
    if images.registry():
        start_from_before(stage)
    stage.need("deploy", images.DEPLOY, "up", tag, means=RELAYED, live=True)


def start_from_before(stage: Stage) -> None:
    """Have the release run that was pushed before, so that there is something to move, where its images are kept."""
    before, place = os.environ.get("BEFORE", ""), images.registry()
    try:
        for service in BY_COMMIT:
            Docker("").run("pull", "--quiet", f"{place}/{service}:{before}", timeout=600)
    except TroubleError as trouble:
        say(f"a first deploy: there are no images of {before or 'a release before'} ({trouble})")
        return
    stage.need("the release before", images.DEPLOY, "up", before, means=RELAYED, live=True)
    stage.need("take it for good", images.DEPLOY, "promote", before, means=RELAYED)
