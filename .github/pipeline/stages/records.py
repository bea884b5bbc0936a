"""Where the rows of a run are kept, so that one table can be made of what jobs on short-lived machines found."""

import json
import os
import subprocess
from pathlib import Path

from stages.report import STAGES, Row, markdown


def head() -> str:
    """Return the commit that is checked out, all 40 digits. Raise CalledProcessError."""
    command = ["git", "rev-parse", "--verify", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Records:
    """The rows of one commit's run."""

    def __init__(self, folder: Path, revision: str) -> None:
        self.folder = folder / "runs" / revision
        self.revision = revision

    def forget(self) -> None:
        """Remove the rows that an earlier run of this commit left."""
        for stage in STAGES:
            (self.folder / f"{stage}.json").unlink(missing_ok=True)

    def write(self, row: Row) -> None:
        """Keep a row and the page of all of them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._replace(self.folder / f"{row.stage}.json", row.to_json())
        self._replace(self.folder / "report.md", markdown(self.revision, self.read()))

    def read(self) -> dict[str, Row]:
        """Return what is there, by stage."""
        paths = {stage: self.folder / f"{stage}.json" for stage in STAGES}
        return {stage: Row.from_json(path.read_text()) for stage, path in paths.items() if path.exists()}

    def take_over(self, needs: str) -> None:
        """Keep the rows that earlier jobs hand on as outputs, where their machines share no disk: `toJSON(needs)`."""
        known = self.read()
        for stage, job in json.loads(needs or "{}").items():
            if stage not in known and (row := job["outputs"].get("row")):
                self.write(Row.from_json(row))

    def give(self, *paths: Path) -> None:
        """Let files belong to whoever owns the directory that outlives the job: a job is root, a person is not."""
        owner = self.folder.parents[1].stat()
        if os.geteuid() == 0:
            for path in (self.folder.parent, self.folder, *paths):
                os.chown(path, owner.st_uid, owner.st_gid)

    def _replace(self, path: Path, text: str) -> None:
        """Write a file as a whole or not at all."""
        half = path.with_suffix(f".{os.getpid()}")
        half.write_text(text)
        self.give(half)
        half.replace(path)
