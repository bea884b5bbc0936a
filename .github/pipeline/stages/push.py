"""`make pipeline`: `act push`, and what act does not do: refuse in a clear line, show the stages, see that all ran."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from rollout.store import default_folder
from stages.build import changed_files
from stages.checks import say
from stages.records import Records, head
from stages.report import EXIT_CODES, STAGES, Outcome, Row, longest, missing, table

OLDEST_ACT: Final = (0, 2, 86)
"""Two advisories are open in those before."""
BUSY: Final = 75
LOOK_SECONDS: Final = 0.5
LAST_LINES: Final = 60


class RefusedError(Exception):
    """The run was not begun; the message says why, and what to do."""

    code = 1


class BusyError(RefusedError):
    """Another run is under way."""

    code = BUSY


def main(options: Sequence[str]) -> int:
    """Run the pipeline for HEAD; *options* go to act. Return the exit code of the stage that ended it, or 0."""
    try:
        look_around()
        folder = default_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with only_run(folder / "pipeline.lock"):
            return run(Records(folder, head()), options)
    except RefusedError as refused:
        sys.stderr.write(f"refused: {refused}\nNothing was touched.\n")
        return refused.code


def look_around() -> None:
    """Raise RefusedError where a run could not work, or would take something else than the commit."""
    if not Path(".git").is_dir():
        message = (
            "this folder has no history of its own, and act copies nothing else: use a clone, not a worktree of one"
        )
        raise RefusedError(message)
    if changed := changed_files():
        message = f"the tree is not what the commit says ({', '.join(changed[:5])}); commit, stash or remove it"
        raise RefusedError(message)
    docker = shutil.which("docker")
    answer = docker and subprocess.run([docker, "info"], capture_output=True, text=True, check=False)
    if not answer or answer.returncode != 0:
        message = "Docker does not answer; is it installed, is it running, may you use it? `docker info` says more"
        raise RefusedError(message)
    act = shutil.which("act")
    version = act and subprocess.run([act, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", version or "")
    needed = ".".join(map(str, OLDEST_ACT))
    if found is None:
        message = f"act is not installed, and {needed} or newer is needed: https://nektosact.com/installation"
        raise RefusedError(message)
    if tuple(map(int, found.groups())) < OLDEST_ACT:
        message = f"act {found[0]} is too old, {needed} or newer is needed: https://nektosact.com/installation"
        raise RefusedError(message)


@contextmanager
def only_run(path: Path) -> Iterator[None]:
    """Hold the lock of this machine's pipeline; it ends with this process. Raise BusyError naming who holds it."""
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            message = f"another run is under way ({file.read().strip()}); wait for its end"
            raise BusyError(message) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}, in {Path.cwd()}, since {time.strftime('%H:%M:%S')}")
        file.flush()
        yield


def run(records: Records, options: Sequence[str]) -> int:
    """Let act run the stages and show them; a stage that did not say good is a failure, whatever act ends with."""
    records.forget()
    log = records.folder / "act.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    state = str(records.folder.parents[1])
    mounted = ("--env", f"TOCSIN_STATE={state}", "--container-options", f"--shm-size=3g --volume {state}:{state}")
    say(f"pipeline of {records.revision}; what act says goes to {log}")
    with log.open("w") as file:
        act = subprocess.Popen(["act", "push", *mounted, *options], stdout=file, stderr=subprocess.STDOUT)
        # act removes its container then, with whatever runs in it; what is left to do is done below.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: act.send_signal(signal.SIGINT))
        watch(act, records, sys.stdout)
    rows = records.read()
    codes = {EXIT_CODES.get(row.outcome, 1) for row in rows.values()} | {1 if act.returncode else 0}
    if silent := missing(rows):
        last = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        say("\n".join([*last, f"\nnot good: {', '.join(silent)}; act ended with {act.returncode}"]))
        # What a stage left half-way that was killed, or never began.
        codes |= {1, subprocess.run([".github/pipeline/deploy", "settle"], check=False).returncode}
    say(f"\n{table(rows)}\n\nthe time went into: {', '.join(longest(rows))}\nkept in {records.folder / 'report.md'}")
    return next(code for code in (20, 10, 42, 1, 0) if code in codes)


def watch(act: "subprocess.Popen[bytes]", records: Records, screen: TextIO) -> None:
    """Show the table of the stages until act ends: drawn anew on a terminal, elsewhere a line for each that ended."""
    drawn = 0
    told: set[str] = set()
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
            for name in [name for name, row in rows.items() if name not in told and row.outcome is not Outcome.RUNNING]:
                told.add(name)
                say(line_of(rows[name]))
        screen.flush()
        if ended:
            return
        time.sleep(LOOK_SECONDS)


def line_of(row: Row) -> str:
    """Return what a stage found on one line."""
    return f"{row.stage:<9} {row.outcome.value:<11} {row.seconds:6.1f} s  {', '.join(row.figures)}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
