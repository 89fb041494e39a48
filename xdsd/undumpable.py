"""Keeps what is in memory out of files: keys and tokens are there, and a core would have them all.

A limit of zero is not enough, as programs that the kernel hands cores to (``systemd-coredump``) are called all the same:
the process says of itself that it is not to be dumped. So another process of the same user may not look into it either; root
may.
"""

import ctypes
import resource

_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4


def forbid_dumps() -> bool:
    """No core is written of this process from now on. False where the kernel will not have it."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return bool(prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 and prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0)
