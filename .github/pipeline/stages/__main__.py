"""Run one stage and report its result: `python3 -m stages NAME`, started by `.github/pipeline/stage`."""

import os
import sys
import time
from importlib import import_module
from pathlib import Path

from rollout.exit_codes import ExitCode
from rollout.store import default_folder
from stages.checks import Stage, StopError, show
from stages.records import Records, head
from stages.report import EXIT_CODES, STAGES, Outcome, longest, markdown, table


def main(name: str) -> ExitCode:
    """Run a stage and return the exit code of its outcome."""
    started = time.monotonic()
    records = Records(default_folder(), head())
    if name == STAGES[0]:
        records.clear()
    records.merge(os.environ.get("EARLIER", ""))
    stage = Stage(name)
    stage.handle_signals()
    records.write(stage.result)
    try:
        import_module(f"stages.{name}").run(stage)
        stage.end()
    except StopError:
        stage.worsen(Outcome.ERROR if stage.result.outcome is Outcome.RUNNING else stage.result.outcome)
    except Exception:
        stage.fail(f"{name} itself", Outcome.ERROR)
        raise
    finally:
        stage.result.seconds = round(time.monotonic() - started, 1)
        records.write(stage.result)
        publish(records, stage)
    return EXIT_CODES[stage.result.outcome]


def publish(records: Records, stage: Stage) -> None:
    """Pass the result to later jobs; print the whole table if this stage ends the run."""
    append("GITHUB_OUTPUT", f"row={stage.result.to_json()}")
    if stage.result.outcome is Outcome.PASSED and stage.result.stage != STAGES[-1]:
        return
    rows = records.read()
    show(f"\n{table(rows)}\n\nlongest checks: {', '.join(longest(rows))}\nreport: {records.folder / 'report.md'}")
    append("GITHUB_STEP_SUMMARY", markdown(records.revision, rows))


def append(variable: str, text: str) -> None:
    """Append a line to the file that a runner names in the environment; without a runner, do nothing."""
    if path := os.environ.get(variable):
        with Path(path).open("a") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
