"""Verify: the deployed release works, seen from outside, and becomes the good one; otherwise it is rolled back."""

import json

from rollout.store import default_folder
from stages import deploy, images
from stages.checks import OWN_CODES, Stage


def run(stage: Stage) -> None:
    """Verify and promote. `settle` rolls back here, because act starts no further job after an error of its own."""
    try:
        if images.registry():
            deploy.run(stage)  # the machine of the job before is gone
        tag = images.obtain(stage)
        verified = stage.check("verify", images.DEPLOY, "verify", tag, codes=OWN_CODES, live=True)
        report_figures(stage)
        if verified:
            stage.check("promote", images.DEPLOY, "promote", tag, codes=OWN_CODES, live=True)
    finally:
        stage.check("settle", images.DEPLOY, "settle", codes=OWN_CODES, live=True, always=True)


def report_figures(stage: Stage) -> None:
    """Add the figures of `deploy verify` to the report."""
    path = default_folder() / "verify.json"
    if path.exists():
        found = json.loads(path.read_text())
        stage.result.figures.append(f"{found['failed']} of {found['requests']} requests failed")
        if found["p95_seconds"] is not None:
            stage.result.figures.append(f"p95 {found['p95_seconds'] * 1000:.0f} ms")
        if found["paged_seconds"] is not None:
            stage.result.figures.append(f"paged in {found['paged_seconds']:.1f} s")
