"""No image has a grave weakness that could be gone, nor a secret; and of each there is a list of its parts."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rollout.store import default_folder
from stages import images
from stages.checks import Stage
from stages.records import Records
from stages.report import Outcome
from stages.scanner import container, fetch, start

TRIVY: Final = "aquasec/trivy:0.76.0"
FOUND: Final = {0: Outcome.GOOD, 42: Outcome.FINDING}
HOME: Final = "/root"
"""In trivy's image."""
OPTIONS: Final = (
    *("--entrypoint", "sh"),
    # The database of weaknesses, and what is known of layers that were scanned before.
    *("--volume", f"tocsin-trivy:{HOME}/.cache/trivy"),
    # Images are read from the engine; the container of a job has it at the same place.
    *("--volume", "/var/run/docker.sock:/var/run/docker.sock"),
)


def run(stage: Stage) -> None:
    """Scan what Build made, by ID; keep a report and an SBOM (CycloneDX) of each image beside the page of the run."""
    tag = images.bring(stage)
    sealed = images.sealed(stage)
    arguments = [f"{image.rpartition('/')[2].partition(':')[0]}={identity}" for image, identity in sealed.items()]
    script = Path(__file__).with_name("scan.sh")
    files = {"/scan.sh": script, "/.trivyignore": Path(".trivyignore")}
    records = Records(default_folder(), tag)
    folder = records.folder / "scan"
    shutil.rmtree(folder, ignore_errors=True)
    with container(TRIVY, "/scan.sh", *arguments, options=OPTIONS, files=files) as name:
        stage.check("trivy", *start(name), means=FOUND)
        fetch(name, "/report", folder)
    records.give(folder, *folder.iterdir())
    reports = [json.loads(path.read_text()) for path in sorted(folder.glob("*.trivy.json"))]
    parts = [path for path in folder.glob("*.cdx.json") if json.loads(path.read_text())["bomFormat"] == "CycloneDX"]
    if not len(reports) == len(parts) == len(sealed):
        stage.fail(f"{len(reports)} of {len(sealed)} images were scanned, {len(parts)} have an SBOM", Outcome.BROKE)
    findings = [finding for report in reports for finding in findings_of(report)]
    stage.row.figures.append(f"{len(sealed)} images, {len(findings)} findings")


def findings_of(report: dict[str, Any]) -> Iterator[str]:
    """Yield the identifiers of what trivy found in an image."""
    for result in report.get("Results", ()):
        for finding in result.get("Vulnerabilities", ()):
            yield finding["VulnerabilityID"]
        for finding in (*result.get("Secrets", ()), *result.get("Misconfigurations", ())):
            yield finding.get("ID") or finding["RuleID"]
