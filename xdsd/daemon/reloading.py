"""Settings that take effect while the daemon runs."""

import asyncio
import signal
import time
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from xdsd.config import ConfigError, Settings
from xdsd.notify import notify
from xdsd.parts import mesh_settings, settling
from xdsd.reconcile import Reconciler

RELOADABLE = frozenset(
    {
        "dns_resolvers",
        "outbound_traffic_policy",
        "root_namespace",
        "settle_max",
        "settle_quiet",
        "system_ca",
        "virtual_hosts",
    }
)


async def follow_reloads(
    reload: Callable[[], Settings], options: Settings, mesh: Reconciler, logger: FilteringBoundLogger
) -> None:
    """On each SIGHUP reads the settings again; what cannot change while it runs is said, and keeps its value."""
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
    while True:
        await asked.wait()
        asked.clear()
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            fresh = reload()
        except ConfigError as error:
            logger.warning("settings not reloaded", problems=[str(problem) for problem in error.problems])
        else:
            changed = {
                name for name in Settings.model_fields if getattr(fresh, name) != getattr(options, name)
            }
            for name in sorted(changed - RELOADABLE):
                logger.warning("setting takes effect at the next start", setting=name.replace("_", "-"))
            options = options.model_copy(update={name: getattr(fresh, name) for name in changed & RELOADABLE})
            mesh.configure(mesh_settings(options), settling(options))
            logger.info("settings reloaded", changed=sorted(changed & RELOADABLE))
        notify("READY=1")
