"""The errors of the pipeline. Each message is written for the operator."""

from rollout.exit_codes import ExitCode


class RolloutError(Exception):
    """A step failed, timed out or was interrupted."""


class RefusedError(Exception):
    """The command was refused before it changed anything; the message says what to do."""

    exit_code = ExitCode.ERROR


class BusyError(RefusedError):
    """Another run holds the lock; the message names the holder."""

    exit_code = ExitCode.BUSY
