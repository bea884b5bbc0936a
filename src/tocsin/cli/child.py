"""Become a service that cannot outlive whoever started it.

Run as a file and in isolation (`python -I -S child.py <parent's pid> <command> ...`): it loads nothing but the standard
library, and is gone once the command has taken its place.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: str, *command: str) -> None:
    """Ask the kernel (prctl(2)) to kill this process when its parent dies, then become *command*.

    SIGKILL and not SIGTERM, because a service that hangs must go as well; its promises survive a kill at any point.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() == int(parent):  # otherwise it died before the kernel was asked
        os.execv(command[0], command)  # noqa: S606 - the command comes from the supervisor's own table


if __name__ == "__main__":
    main(*sys.argv[1:])
