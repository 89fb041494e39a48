"""Signs of life for the service manager's watchdog: sent from the event loop, so that they end when it stalls.

A thread could send them too, and would go on while the loop that serves the proxies hangs: that is the very case in
which the manager should end the daemon and start it again.
"""

import asyncio
import os
from collections.abc import Mapping

from xdsd.notify import notify

_SIGNS_AN_INTERVAL = 3


def watchdog_interval(environ: Mapping[str, str] = os.environ) -> float:
    """After how many silent seconds the manager ends us, as sd_watchdog_enabled(3) says it; 0 if it never does."""
    if environ.get("WATCHDOG_PID", "") not in {"", str(os.getpid())}:
        return 0.0
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isascii() and microseconds.isdigit() else 0.0


async def tell_watchdog(environ: Mapping[str, str] = os.environ) -> None:
    """Sends ``WATCHDOG=1`` several times an interval until it is cancelled; without a watchdog ends at once."""
    interval = watchdog_interval(environ)
    while interval:
        notify("WATCHDOG=1", environ)
        await asyncio.sleep(interval / _SIGNS_AN_INTERVAL)
