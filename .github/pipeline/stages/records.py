"""The stored results of a run's stages. Jobs on ephemeral machines pass theirs to later jobs."""

import json
import subprocess
from pathlib import Path

from rollout.files import replace_file
from stages.report import STAGES, StageResult, markdown


def head() -> str:
    """Return the full name of the commit that is checked out. Raise CalledProcessError."""
    command = ["git", "rev-parse", "--verify", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Records:
    """The results of one commit's run, in files."""

    def __init__(self, folder: Path, revision: str) -> None:
        self.folder = folder / "runs" / revision
        self.revision = revision

    def clear(self) -> None:
        """Remove the results of an earlier run of this commit."""
        for stage in STAGES:
            (self.folder / f"{stage}.json").unlink(missing_ok=True)

    def write(self, row: StageResult) -> None:
        """Store the result of a stage, and renew the report."""
        replace_file(self.folder / f"{row.stage}.json", row.to_json())
        replace_file(self.folder / "report.md", markdown(self.revision, self.read()))

    def read(self) -> dict[str, StageResult]:
        """Return the stored results, by stage."""
        paths = {stage: self.folder / f"{stage}.json" for stage in STAGES}
        return {stage: StageResult.from_json(path.read_text()) for stage, path in paths.items() if path.exists()}

    def merge(self, needs: str) -> None:
        """Store the results in the outputs of earlier jobs, `toJSON(needs)`, that are not stored on this machine."""
        known = self.read()
        for stage, job in json.loads(needs or "{}").items():
            if stage not in known and (row := job["outputs"].get("row")):
                self.write(StageResult.from_json(row))
