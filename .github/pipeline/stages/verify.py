"""What was deployed does its work, seen from outside, and is the last good release then; if not, it is taken back."""

import json

from rollout.store import default_folder
from stages import deploy, images
from stages.checks import RELAYED, Stage


def run(stage: Stage) -> None:
    """Verify and promote. `settle` takes back what was not promoted, here: act starts no later job when it breaks."""
    try:
        if images.registry():
            deploy.run(stage)  # that of the job before went with its machine
        tag = images.bring(stage)
        verified = stage.check("verify", images.DEPLOY, "verify", tag, means=RELAYED, live=True)
        note_figures(stage)
        if verified:
            stage.check("promote", images.DEPLOY, "promote", tag, means=RELAYED, live=True)
    finally:
        stage.check("settle", images.DEPLOY, "settle", means=RELAYED, live=True, always=True)


def note_figures(stage: Stage) -> None:
    """Put what `deploy verify` measured into the report."""
    path = default_folder() / "verify.json"
    if path.exists():
        found = json.loads(path.read_text())
        stage.row.figures.append(f"{found['failed']} of {found['requests']} requests failed")
        if found["p95_seconds"] is not None:
            stage.row.figures.append(f"p95 {found['p95_seconds'] * 1000:.0f} ms")
        if found["paged_seconds"] is not None:
            stage.row.figures.append(f"paged in {found['paged_seconds']:.1f} s")
