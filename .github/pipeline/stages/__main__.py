"""Run one stage and report: `python3 -m stages NAME`, started by `.github/pipeline/stage`."""

import os
import sys
import time
from importlib import import_module
from pathlib import Path

from rollout.store import default_folder
from stages.checks import Stage, StopError, say
from stages.records import Records, head
from stages.report import EXIT_CODES, STAGES, Outcome, longest, markdown, table


def main(name: str) -> int:
    """Return the exit code that says how the stage ended."""
    started = time.monotonic()
    records = Records(default_folder(), head())
    if name == STAGES[0]:
        records.forget()
    records.take_over(os.environ.get("EARLIER", ""))
    stage = Stage(name)
    stage.hear_signals()
    records.write(stage.row)
    try:
        import_module(f"stages.{name}").run(stage)
        stage.end()
    except StopError:
        stage.worsen(Outcome.BROKE if stage.row.outcome is Outcome.RUNNING else stage.row.outcome)
    except Exception:
        stage.fail(f"{name} itself", Outcome.BROKE)
        raise
    finally:
        stage.row.seconds = round(time.monotonic() - started, 1)
        records.write(stage.row)
        tell(records, stage)
    return EXIT_CODES[stage.row.outcome]


def tell(records: Records, stage: Stage) -> None:
    """Hand the row on; at the end of a run, which is the last stage or one that failed, show the whole table."""
    append("GITHUB_OUTPUT", f"row={stage.row.to_json()}")
    if stage.row.outcome is Outcome.GOOD and stage.row.stage != STAGES[-1]:
        return
    rows = records.read()
    say(f"\n{table(rows)}\n\nthe time went into: {', '.join(longest(rows))}\nkept in {records.folder / 'report.md'}")
    append("GITHUB_STEP_SUMMARY", markdown(records.revision, rows))


def append(variable: str, text: str) -> None:
    """Add a line to a file that the runner names in the environment; by hand there is none."""
    if path := os.environ.get(variable):
        with Path(path).open("a") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
