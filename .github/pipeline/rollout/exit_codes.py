"""The exit codes of `deploy` and of every stage; no other module defines one."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command reports to its caller."""

    OK = 0
    ERROR = 1
    """The request was refused and nothing changed, or a tool failed."""
    ROLLED_BACK = 10
    """The previous release is running."""
    ROLLBACK_FAILED = 20
    """An operator has to intervene."""
    FINDING = 42
    """A check failed."""
    BUSY = 75
    """Another run holds the lock (EX_TEMPFAIL of sysexits.h)."""
