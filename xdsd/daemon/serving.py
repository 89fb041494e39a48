"""Runs the daemon: opens its ports, serves once all is there, and drains when it is told to stop."""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from structlog.typing import FilteringBoundLogger

from api.access.caller import Role
from api.server import admin_services, serve_admin
from api.services.etcd import Etcd
from xdsd.config import Settings
from xdsd.daemon.assembly import Assembly, assemble
from xdsd.daemon.following import follow_intents
from xdsd.daemon.jobs import identity_jobs
from xdsd.daemon.ports import close_all, listening, ports_of
from xdsd.daemon.reloading import follow_reloads
from xdsd.housekeeping import keep_house
from xdsd.http import http_app, serve_http
from xdsd.identity import joined
from xdsd.listening import Port
from xdsd.model.problem import Severity
from xdsd.notify import notify
from xdsd.parts import admin_tls, anonymous_role, key_policy
from xdsd.reconcile import Reconciler
from xdsd.server import XdsServer
from xdsd.telemetry import Metrics, library_logs, watch_event_loop, watch_store
from xdsd.watchdog import tell_watchdog

Reload = Callable[[], Settings]


async def serve(options: Settings, logger: FilteringBoundLogger, reload: Reload) -> None:
    """Runs the daemon until SIGTERM or SIGINT. Raises StorageError, CaError, SealingError, OSError if it cannot start."""
    _make_state_dir(options.state_dir)
    async with AsyncExitStack() as stack:
        stack.enter_context(library_logs(logger))
        parts = await assemble(options, logger, stack)
        ports = await _listen(parts, options, logger, stack)
        _warn(options, logger)
        stop = _stop_event()
        async with asyncio.TaskGroup() as tasks:
            work = [tasks.create_task(job, name=name) for name, job in _work(parts, options, logger, reload)]
            await stop.wait()
            notify("STOPPING=1")
            parts.metrics.ready.set(0)
            logger.info("draining", seconds=options.drain_time.total_seconds())
            await asyncio.gather(*(port.release() for port in ports.values()))
            await parts.server.stop(options.drain_time.total_seconds())
            for task in work:
                task.cancel()
    logger.info("stopped")


async def _listen(
    parts: Assembly, options: Settings, logger: FilteringBoundLogger, stack: AsyncExitStack
) -> Mapping[str, Port]:
    """Opens all ports, and serves those of operators. Raises OSError."""
    ports = ports_of(options)
    stack.callback(close_all, ports)
    await stack.enter_async_context(listening(parts.server, parts.identity, ports, parts.others, options))
    app = http_app(parts.metrics.registry, parts.daemon.checks, parts.mesh.problems)
    await stack.enter_async_context(serve_http(app, options.http_address, logger))
    services = admin_services(
        parts.intents,
        parts.mesh,
        parts.server,
        parts.daemon,
        parts.prover,
        Etcd(parts.store, parts.membership, key_policy(options)),
        joined(parts.identity, options),
    )
    await stack.enter_async_context(
        serve_admin(
            options.admin_address,
            services,
            parts.prover,
            logger,
            tls=admin_tls(options),
            tls_address=options.admin_tls_address,
            refused=parts.metrics.refused_call,
            max_message_size=options.max_message_size,
        )
    )
    return ports


def _work(
    parts: Assembly, options: Settings, logger: FilteringBoundLogger, reload: Reload
) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """All that goes on while the daemon runs, by name."""
    mesh, metrics = parts.mesh, parts.metrics
    yield "intents", follow_intents(parts.intents, parts.objects, metrics, parts.machines, parts.others)
    yield "peers", parts.others.run()
    for registry, sink in parts.watched:
        yield registry.name, registry.run(sink)
    yield "registration of machines", parts.machines.run()
    yield "reconcile", mesh.run(parts.server.published)
    yield "event loop lag", watch_event_loop(metrics)
    yield "store health", watch_store(metrics, parts.store.revision)
    yield "housekeeping", keep_house(lambda: not mesh.busy, lambda: _chores(parts.server, mesh, metrics))
    yield "start", _welcome(parts, options, logger)
    yield "reload", follow_reloads(reload, options, mesh, logger)
    yield "watchdog", tell_watchdog()
    yield "users", parts.directory.run()
    yield "keys of issuers", parts.keys.run(mesh.set_keys)
    yield "membership", parts.membership.run()
    yield "singletons", parts.singletons.run()
    yield from identity_jobs(parts.identity, parts.server, parts.others)


async def _welcome(parts: Assembly, options: Settings, logger: FilteringBoundLogger) -> None:
    """Serves once all is there, and says so to whoever started the daemon."""
    await parts.mesh.until_ready()
    if parts.identity is not None:
        await parts.identity.ready()
    await parts.server.start()
    parts.metrics.ready.set(1)
    logger.info(
        "ready",
        xds=str(options.xds_address),
        **{
            name: str(address)
            for name, address in (
                ("xds_tls", options.xds_tls_address),
                ("xds_mtls", options.xds_mtls_address),
            )
            if address is not None
        },
        admin=str(options.admin_address),
        http=str(options.http_address),
        sources=[source.name for source in parts.mesh.sources()],
    )
    notify("READY=1")


def _chores(server: XdsServer, mesh: Reconciler, metrics: Metrics) -> None:
    server.forget()
    metrics.proxy_types(status for proxy in server.status() for status in proxy.types)
    found = Counter(problem.severity for problem in mesh.problems())
    for severity in Severity:
        metrics.problems.labels(severity.value).set(found[severity])


def _stop_event() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _make_state_dir(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise OSError(
            f"the state dir {folder} cannot be made: {why}; choose another with --state-dir"
        ) from error


def _warn(options: Settings, logger: FilteringBoundLogger) -> None:
    if anonymous_role(options) is Role.ADMIN:
        logger.warning(
            "any user of this machine may do everything on the admin port",
            admin=str(options.admin_address),
            instead="set admin-anonymous to viewer or none, or admin-address to unix:PATH",
        )
