"""Scan: vulnerabilities and secrets in every image, and an SBOM of each."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rollout.base_images import pinned
from rollout.files import inherit_owner
from rollout.store import default_folder
from stages import images
from stages.checks import Stage
from stages.records import Records
from stages.report import Outcome
from stages.scanner import container, fetch, start

TRIVY: Final = "aquasec/trivy:0.76.0"
CODES: Final = {0: Outcome.PASSED, 42: Outcome.FINDING}
HOME: Final = "/root"
"""In trivy's image."""
OPTIONS: Final = (
    *("--entrypoint", "sh"),
    # The vulnerability database, and the results of layers that were scanned before.
    *("--volume", f"tocsin-trivy:{HOME}/.cache/trivy"),
    # Images are read from the engine; a job's container mounts the socket at the same path.
    *("--volume", "/var/run/docker.sock:/var/run/docker.sock"),
)


def run(stage: Stage) -> None:
    """Scan the pinned images by ID, and store a report and an SBOM (CycloneDX) of each next to the run's page."""
    tag = images.obtain(stage)
    built = images.pinned_images(stage)
    arguments = [f"{image.rpartition('/')[2].partition(':')[0]}={identity}" for image, identity in built.items()]
    script = Path(__file__).with_name("scan.sh")
    files = {"/scan.sh": script, "/.trivyignore": Path(".trivyignore")}
    folder = Records(default_folder(), tag).folder / "scan"
    shutil.rmtree(folder, ignore_errors=True)
    with container(pinned(Path(), TRIVY), "/scan.sh", *arguments, options=OPTIONS, files=files) as name:
        stage.check("trivy", *start(name), codes=CODES)
        fetch(name, "/report", folder)
    for path in (folder, *folder.iterdir()):
        inherit_owner(path)
    reports = [json.loads(path.read_text()) for path in sorted(folder.glob("*.trivy.json"))]
    sboms = [path for path in folder.glob("*.cdx.json") if json.loads(path.read_text())["bomFormat"] == "CycloneDX"]
    if not len(reports) == len(sboms) == len(built):
        stage.fail(f"{len(reports)} of {len(built)} images were scanned, {len(sboms)} have an SBOM", Outcome.ERROR)
    findings = [finding for report in reports for finding in findings_of(report)]
    stage.result.figures.append(f"{len(built)} images, {len(findings)} findings")


def findings_of(report: dict[str, Any]) -> Iterator[str]:
    """Yield the identifiers of the findings in trivy's report on an image."""
    for result in report.get("Results", ()):
        for finding in result.get("Vulnerabilities", ()):
            yield finding["VulnerabilityID"]
        for finding in (*result.get("Secrets", ()), *result.get("Misconfigurations", ())):
            yield finding.get("ID") or finding["RuleID"]
