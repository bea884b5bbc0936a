"""The checks of a stage: commands, one after the other, each with its time and what its exit code means."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Final

from stages.report import EXIT_CODES, Outcome, Row, Timed

RELAYED: Final = {code: outcome for outcome, code in EXIT_CODES.items() if outcome is not Outcome.BROKE}
"""What the exit codes of the pipeline's own commands mean; every other one: it broke."""
TOOL: Final = {0: Outcome.GOOD, 1: Outcome.FINDING}
"""What most tools mean."""
_WORST_LAST: Final = (
    Outcome.RUNNING,
    Outcome.GOOD,
    Outcome.FINDING,
    Outcome.BROKE,
    Outcome.ROLLED_BACK,
    Outcome.NO_WAY_BACK,
)


class StopError(Exception):
    """The rest of the stage makes no sense."""


class Stage:
    """One run of one stage. The outcome of its row is the worst of its checks."""

    def __init__(self, name: str) -> None:
        self.row = Row(name)
        self.environment = dict(os.environ)
        self._stopped = False
        self._process: subprocess.Popen[str] | None = None

    def check(
        self,
        name: str,
        *command: str,
        means: Mapping[int, Outcome] = TOOL,
        figure: str | None = None,
        never: str | None = None,
        live: bool = False,
        always: bool = False,
    ) -> bool:
        """Run *command* and say whether it was good; what it printed is shown where it was not, or *live*.

        *means* gives the outcome of each exit code; one that is not there means that the tool broke. *figure* is a
        pattern whose first group goes into the report. Where it is not printed, or what *never* matches is, the tool
        broke whatever it exits with. *always*: also after a signal that ends the stage; else StopError is raised then.
        """
        if self._stopped and not always:
            raise StopError
        started = time.monotonic()
        code, printed = self._run(command, live=live)
        outcome = means.get(code, Outcome.BROKE)
        found = re.search(figure, printed) if figure else None
        if outcome is Outcome.GOOD and ((figure and not found) or (never and re.search(never, printed))):
            outcome = Outcome.BROKE
        if found:
            self.row.figures.append(f"{name} {found[1]}")
        seconds = time.monotonic() - started
        self.row.checks.append(Timed(name, round(seconds, 2)))
        if outcome is Outcome.GOOD:
            say(f"✓ {name}, {seconds:.1f} s")
            return True
        if not live:
            say(printed)
        self.fail(f"{name}: {'stopped, ' if self._stopped else ''}exit code {code}", outcome)
        return False

    def need(
        self,
        name: str,
        *command: str,
        means: Mapping[int, Outcome] = TOOL,
        figure: str | None = None,
        live: bool = False,
    ) -> None:
        """Run a check without which the others make no sense. Raise StopError where it is not good."""
        if not self.check(name, *command, means=means, figure=figure, live=live):
            raise StopError

    def fail(self, what: str, outcome: Outcome) -> None:
        """Say on the screen and in the report that something is wrong."""
        say(f"✗ {what} ({outcome.value})")
        self.row.figures.append(what)
        self.worsen(outcome)

    def worsen(self, outcome: Outcome) -> None:
        """Take *outcome* for that of the stage, unless it is worse already."""
        self.row.outcome = max(self.row.outcome, outcome, key=_WORST_LAST.index)

    def end(self) -> None:
        """Call the stage good where nothing said otherwise."""
        self.worsen(Outcome.GOOD)

    def hear_signals(self) -> None:
        """Hand a signal on to the check that runs, wait for its end, and end the stage: a deploy has to go back."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._stopped = True
        if self._process and number != signal.SIGINT:  # Ctrl-C goes to everybody in the terminal
            self._process.send_signal(number)

    def _run(self, command: Sequence[str], *, live: bool) -> tuple[int, str]:
        try:
            process = subprocess.Popen(
                command,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as exc:
            return 127, str(exc)
        self._process = process
        printed = []
        with process:
            for line in process.stdout or ():
                printed.append(line)
                if live:
                    sys.stdout.write(line)
        return process.returncode, "".join(printed)


def say(text: str) -> None:
    """Write a line to the screen."""
    sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()
