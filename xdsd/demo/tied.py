"""Runs a command that the kernel kills when its parent dies: ``tied.py PARENT COMMAND [ARGUMENT]…``.

A file of its own that is run in the child, because Python code between fork and exec is unsafe once the
parent has threads. Only Linux knows the request; it survives the exec.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ties this process to its parent and becomes the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent is gone already")
    os.execvp(command[0], command)  # noqa: S606 - becoming the command is the point


if __name__ == "__main__":
    main()
