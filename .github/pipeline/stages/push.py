"""`make pipeline`: run `act push`, check the preconditions first, show progress, and check that every stage ran."""

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

from rollout.errors import RefusedError
from rollout.exit_codes import ExitCode
from rollout.files import exclusive_lock
from rollout.store import default_folder
from stages.build import changed_files
from stages.checks import show
from stages.records import Records, head
from stages.report import EXIT_CODES, STAGES, WORST_FIRST, Outcome, StageResult, longest, not_passed, table

OLDEST_ACT: Final = (0, 2, 86)
"""Earlier versions have two open advisories."""
REFRESH_SECONDS: Final = 0.5
LAST_LINES: Final = 60


def main(options: Sequence[str]) -> ExitCode:
    """Run the pipeline for HEAD and return the worst stage's exit code; *options* are passed to act."""
    try:
        check_preconditions()
        folder = default_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with exclusive_lock(folder / "pipeline.lock", f"make pipeline in {Path.cwd()}", wait=False):
            return run(Records(folder, head()), options)
    except RefusedError as error:
        sys.stderr.write(f"refused: {error}\nNothing was changed.\n")
        return error.exit_code


def check_preconditions() -> None:
    """Raise RefusedError if the run could not work, or would not run exactly the commit."""
    if not Path(".git").is_dir():
        message = "this is a git worktree, and act would copy it without its history: use a clone instead"
        raise RefusedError(message)
    if changed := changed_files():
        message = f"the tree differs from the commit ({', '.join(changed[:5])}); commit, stash or remove it"
        raise RefusedError(message)
    docker = shutil.which("docker")
    info = docker and subprocess.run([docker, "info"], capture_output=True, text=True, check=False)
    if not info or info.returncode != 0:
        message = "Docker is not available; check with `docker info` that it is installed and running, and your access"
        raise RefusedError(message)
    act = shutil.which("act")
    version = act and subprocess.run([act, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", version or "")
    needed = ".".join(map(str, OLDEST_ACT))
    if found is None:
        message = f"act is not installed, and {needed} or newer is required: https://nektosact.com/installation"
        raise RefusedError(message)
    if tuple(map(int, found.groups())) < OLDEST_ACT:
        message = f"act {found[0]} is too old, {needed} or newer is required: https://nektosact.com/installation"
        raise RefusedError(message)


def run(records: Records, options: Sequence[str]) -> ExitCode:
    """Run act and show the stages; a stage that did not report success is a failure, whatever act's exit code is."""
    records.clear()
    log = records.folder / "act.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    state = str(records.folder.parents[1])
    mounted = ("--env", f"TOCSIN_STATE={state}", "--container-options", f"--shm-size=3g --volume {state}:{state}")
    show(f"pipeline of {records.revision}; act's output: {log}")
    with log.open("w") as file:
        act = subprocess.Popen(["act", "push", *mounted, *options], stdout=file, stderr=subprocess.STDOUT)
        # On SIGINT act removes its container with everything in it; the code below cleans up.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: act.send_signal(signal.SIGINT))
        watch(act, records, sys.stdout)
    rows = records.read()
    codes = {EXIT_CODES.get(row.outcome, ExitCode.ERROR) for row in rows.values()}
    if act.returncode:
        codes.add(ExitCode.ERROR)
    if failed := not_passed(rows):
        last = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        show("\n".join([*last, f"\nnot passed: {', '.join(failed)}; act's exit code: {act.returncode}"]))
        # A stage may have been killed half-way, or never have started.
        settled = subprocess.run([".github/pipeline/deploy", "settle"], check=False).returncode
        codes |= {ExitCode.ERROR, *(code for code in ExitCode if code == settled)}
    show(f"\n{table(rows)}\n\nlongest checks: {', '.join(longest(rows))}\nreport: {records.folder / 'report.md'}")
    return next((code for code in WORST_FIRST if code in codes), ExitCode.OK)


def watch(act: "subprocess.Popen[bytes]", records: Records, screen: TextIO) -> None:
    """Show progress until act exits: a table on a terminal, otherwise a line for each stage that ended."""
    drawn = 0
    shown: set[str] = set()
    started = dict.fromkeys(STAGES, 0.0)
    while True:
        ended = act.poll() is not None
        rows = records.read()
        for name, row in rows.items():
            if row.outcome is Outcome.RUNNING:
                started[name] = started[name] or time.monotonic()
                row.seconds = time.monotonic() - started[name]
        if screen.isatty():
            text = table(rows)
            screen.write(f"\x1b[{drawn}F\x1b[J{text}\n" if drawn else f"{text}\n")
            drawn = text.count("\n") + 1
        else:
            for name, row in rows.items():
                if name not in shown and row.outcome is not Outcome.RUNNING:
                    shown.add(name)
                    show(summary(row))
        screen.flush()
        if ended:
            return
        time.sleep(REFRESH_SECONDS)


def summary(row: StageResult) -> str:
    """Return a stage's result on one line."""
    return f"{row.stage:<9} {row.outcome.value:<15} {row.seconds:6.1f} s  {', '.join(row.figures)}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
