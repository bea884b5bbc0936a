"""The checks of a stage: commands that run one after the other, with their durations and outcomes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Final

from stages.report import EXIT_CODES, Outcome, StageResult, TimedCheck

OWN_CODES: Final = {int(code): outcome for outcome, code in EXIT_CODES.items() if outcome is not Outcome.ERROR}
"""The outcomes of the pipeline's own exit codes; every other code is an error."""
TOOL_CODES: Final = {0: Outcome.PASSED, 1: Outcome.FINDING}
"""The outcomes of most tools' exit codes."""
_WORST_LAST: Final = (
    Outcome.RUNNING,
    Outcome.PASSED,
    Outcome.FINDING,
    Outcome.ERROR,
    Outcome.ROLLED_BACK,
    Outcome.ROLLBACK_FAILED,
)


class StopError(Exception):
    """The stage cannot continue."""


class Stage:
    """One run of a stage; its outcome is the worst of its checks."""

    def __init__(self, name: str) -> None:
        self.result = StageResult(name)
        self.environment = dict(os.environ)
        self._stopped = False
        self._process: subprocess.Popen[str] | None = None

    def check(
        self,
        name: str,
        *command: str,
        codes: Mapping[int, Outcome] = TOOL_CODES,
        figure: str | None = None,
        reject: str | None = None,
        live: bool = False,
        always: bool = False,
    ) -> bool:
        """Run *command* and return whether it passed; its output is printed if it did not, or *live*.

        *codes* maps exit codes to outcomes; any other code is an error. *figure* is a pattern whose first group goes
        into the report. If the command passes, but its output lacks *figure* or matches *reject*, the outcome is an
        error. After a signal only checks with *always* run; others raise StopError.
        """
        if self._stopped and not always:
            raise StopError
        started = time.monotonic()
        code, printed = self._run(command, live=live)
        outcome = codes.get(code, Outcome.ERROR)
        found = re.search(figure, printed) if figure else None
        if outcome is Outcome.PASSED and ((figure and not found) or (reject and re.search(reject, printed))):
            outcome = Outcome.ERROR
        if found:
            self.result.figures.append(f"{name} {found[1]}")
        seconds = time.monotonic() - started
        self.result.checks.append(TimedCheck(name, round(seconds, 2)))
        if outcome is Outcome.PASSED:
            show(f"✓ {name}, {seconds:.1f} s")
            return True
        if not live:
            show(printed)
        self.fail(f"{name}: {'stopped, ' if self._stopped else ''}exit code {code}", outcome)
        return False

    def require(
        self,
        name: str,
        *command: str,
        codes: Mapping[int, Outcome] = TOOL_CODES,
        figure: str | None = None,
        live: bool = False,
    ) -> None:
        """Run a check that the rest of the stage depends on. Raise StopError if it does not pass."""
        if not self.check(name, *command, codes=codes, figure=figure, live=live):
            raise StopError

    def fail(self, text: str, outcome: Outcome) -> None:
        """Print and report a failure."""
        show(f"✗ {text} ({outcome.value})")
        self.result.figures.append(text)
        self.worsen(outcome)

    def worsen(self, outcome: Outcome) -> None:
        """Set the stage's outcome, unless it is worse already."""
        self.result.outcome = max(self.result.outcome, outcome, key=_WORST_LAST.index)

    def end(self) -> None:
        """Pass the stage, unless a check failed."""
        self.worsen(Outcome.PASSED)

    def handle_signals(self) -> None:
        """Forward signals to the running check and end the stage after it, because a deploy must roll back."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._stopped = True
        if self._process and number != signal.SIGINT:  # the terminal sends Ctrl-C to the whole process group
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


def show(text: str) -> None:
    """Print a line immediately."""
    sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()
