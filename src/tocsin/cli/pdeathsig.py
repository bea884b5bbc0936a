"""Run a command that the kernel kills when its parent dies (PR_SET_PDEATHSIG).

Run as a file and in isolation (`python -I -S pdeathsig.py <parent's pid> <niceness> <command> ...`): it imports nothing
but the standard library, and the command replaces it.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: str, niceness: str, *command: str) -> None:
    """Request SIGKILL on the parent's death with prctl(2), add *niceness* to the present one, then exec *command*.

    SIGKILL and not SIGTERM, so that a service that hangs ends too; the services are safe to kill at any point.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    os.nice(int(niceness))
    if os.getppid() == int(parent):  # otherwise the parent died before the call, and no signal will come
        os.execv(command[0], command)  # noqa: S606 - the command comes from the supervisor's own table


if __name__ == "__main__":
    main(*sys.argv[1:])
