"""The composition root: the only place that builds the parts of the daemon and joins them.

``xdsd serve`` opens the store, watches the registries, compiles and serves until SIGTERM; see the package's docstring for
how the parts hang together.
"""

import asyncio
import faulthandler
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import click
from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

# gRPC looks when it is imported; its lines of its own form would stand among ours.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from api.access.caller import Role
from api.access.directory import Directory
from api.access.proving import Prover
from api.server import admin_services, serve_admin
from api.services.etcd import Etcd
from storage.base import Corrupted, StorageError, Store, StoreStatus
from xdsd.audit import audit_log
from xdsd.ca.authority import CaError
from xdsd.ca.sealing import SealingError
from xdsd.compile.admissible import admissible
from xdsd.compile.compiler import Compiler
from xdsd.config import STORE_FILE, ConfigError, Settings, dump, load, settings
from xdsd.demo.cli import demo_command
from xdsd.fleet.members import Membership
from xdsd.fleet.singletons import Singletons
from xdsd.fleet.statuses import StatusWriter
from xdsd.health import Check
from xdsd.housekeeping import keep_house
from xdsd.http import http_app, serve_http
from xdsd.identity import Identity, joined, listen_tls, make_identity, serve_certificates
from xdsd.intents import Intents
from xdsd.listening import Port, open_ports
from xdsd.model.intent import KINDS
from xdsd.model.problem import ObjectRef, Severity
from xdsd.model.singletons import misplaced
from xdsd.notify import notify
from xdsd.parts import (
    admin_tls,
    anonymous_role,
    counters,
    key_keeper,
    key_policy,
    member,
    mesh_settings,
    open_store,
    registries,
    server_settings,
    settling,
)
from xdsd.ratelimit import RateLimitService
from xdsd.reconcile import STORE, ObjectsChange, Reconciler, SourceSink
from xdsd.server import XdsServer
from xdsd.telemetry import Metrics, library_logs, make_logger, watch_event_loop, watch_store
from xdsd.throttle import Throttle
from xdsd.watchdog import tell_watchdog

HOUR = 3600.0
XDS_ADDRESSES = frozenset({"xds_address", "xds_tls_address", "xds_mtls_address"})
CANNOT_START = (StorageError, CaError, SealingError)
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


@dataclass(frozen=True, slots=True)
class Daemon:
    """The parts that outlive their making, for those who look at them (``api.ports``)."""

    version: str
    started: datetime
    mesh: Reconciler
    server: XdsServer
    name: str
    storage: Store
    jobs: Singletons

    async def store(self) -> StoreStatus:
        """The store's own word."""
        return await self.storage.status()

    def singletons(self) -> Sequence[str]:
        """Work that this daemon does for all."""
        return self.jobs.held

    def checks(self) -> Sequence[Check]:
        """One a source: synced, and whether its platform can be asked."""
        return [
            Check(
                source.name,
                source.synced and not source.stale,
                source.stale or ("" if source.synced else "has not reported yet"),
                stale=source.synced,
            )
            for source in self.mesh.sources()
        ]


async def serve(options: Settings, logger: FilteringBoundLogger, reload: Callable[[], Settings]) -> None:
    """Runs the daemon until SIGTERM or SIGINT. Raises one of CANNOT_START, or OSError, where it cannot start."""
    clock = asyncio.get_running_loop().time
    started = datetime.now(UTC)
    metrics = Metrics(CollectorRegistry(), version("xdsd"))
    _make_state_dir(options.state_dir)
    async with AsyncExitStack() as stack:
        stack.enter_context(library_logs(logger))
        outage: list[str] = []
        store = await open_store(options, outage.append)
        stack.push_async_callback(store.close)
        compiler = Compiler(mesh_settings(options))
        counting = counters(options, clock)
        stack.push_async_callback(counting.close)
        limiter = RateLimitService(counting, metrics, time.time)
        keys = key_keeper(options, logger)
        mesh = Reconciler(
            compiler,
            options.mesh_domain,
            metrics,
            logger,
            clock,
            settling(options),
            limiter.update,
            keys.want,
        )
        objects = mesh.expect(STORE)
        for why in outage:
            objects.stale(why)
        watched = [(registry, mesh.expect(registry.name)) for registry in registries(options)]
        identity = make_identity(options, store, logger, clock, metrics)
        server = XdsServer(
            mesh,
            logger,
            metrics,
            server_settings(options),
            identity.gate if identity is not None else None,
            identity.keeper if identity is not None else None,
        )
        serve_certificates(identity, server, logger)
        if options.rate_limit_service is None:
            server.also_serve(limiter.handler())
        intents = Intents(
            store,
            rules=[admissible, lambda obj: misplaced(obj, compiler.settings.root_namespace)],
            domain=options.mesh_domain,
            observed=mesh.observed,
            audit=audit_log(logger),
        )
        statuses = StatusWriter(store, mesh.problems, logger)
        jobs = {"status": statuses.run, "history": lambda: forget_history(intents, options.history_retention)}
        singletons = Singletons(store, options.name, jobs)
        membership = Membership(store, member(options, started), logger)
        daemon = Daemon(version("xdsd"), started, mesh, server, options.name, store, singletons)
        directory = Directory(store, logger)
        prover = Prover(directory, Throttle(clock), clock, anonymous=anonymous_role(options))
        ports = _ports(options)
        stack.callback(_close, ports)
        _listen(server, identity, ports)
        await stack.enter_async_context(
            serve_http(http_app(metrics.registry, daemon.checks, mesh.problems), options.http_address, logger)
        )
        await stack.enter_async_context(
            serve_admin(
                options.admin_address,
                admin_services(
                    intents,
                    mesh,
                    server,
                    daemon,
                    prover,
                    Etcd(store, membership, key_policy(options)),
                    joined(identity, options),
                ),
                prover,
                logger,
                tls=admin_tls(options),
                tls_address=options.admin_tls_address,
                refused=metrics.refused_call,
                max_message_size=options.max_message_size,
            )
        )
        if anonymous_role(options) is Role.ADMIN:
            logger.warning(
                "any user of this machine may do everything on the admin port",
                admin=str(options.admin_address),
                instead="set admin-anonymous to viewer or none, or admin-address to unix:PATH",
            )
        stop = _stop_event()
        async with asyncio.TaskGroup() as tasks:
            work = [
                tasks.create_task(follow_intents(intents, objects, metrics), name="intents"),
                *(tasks.create_task(registry.run(sink), name=registry.name) for registry, sink in watched),
                tasks.create_task(mesh.run(server.published), name="reconcile"),
                tasks.create_task(watch_event_loop(metrics), name="event loop lag"),
                tasks.create_task(watch_store(metrics, store.revision), name="store health"),
                tasks.create_task(
                    keep_house(lambda: not mesh.busy, lambda: _chores(server, mesh, metrics)),
                    name="housekeeping",
                ),
                tasks.create_task(_welcome(daemon, identity, options, logger, metrics), name="start"),
                tasks.create_task(_reloads(reload, options, mesh, logger), name="reload"),
                tasks.create_task(tell_watchdog(), name="watchdog"),
                tasks.create_task(directory.run(), name="users"),
                tasks.create_task(keys.run(mesh.set_keys), name="keys of issuers"),
                tasks.create_task(membership.run(), name="membership"),
                tasks.create_task(singletons.run(), name="singletons"),
                *(tasks.create_task(job, name=name) for name, job in _identity_jobs(identity, server)),
            ]
            await stop.wait()
            notify("STOPPING=1")
            metrics.ready.set(0)
            logger.info("draining", seconds=options.drain_time.total_seconds())
            await asyncio.gather(*(port.release() for port in ports.values()))
            await server.stop(options.drain_time.total_seconds())
            for task in work:
                task.cancel()
    logger.info("stopped")


async def forget_history(intents: Intents, retention: timedelta) -> None:
    """Drops audit records when their time is over, until cancelled."""
    while True:
        await intents.forget_history(datetime.now(UTC) - retention)
        await asyncio.sleep(min(HOUR, retention.total_seconds() / 10))


async def follow_intents(intents: Intents, sink: SourceSink, metrics: Metrics) -> None:
    """Hands what the store holds, and every change of it, to the mesh. While the store is away, what it said last holds."""
    known: set[ObjectRef] = set()
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    async for change in intents.follow(unavailable=sink.stale):
        sink.objects(ObjectsChange(change.upserts, change.removed, change.revision))
        for scope, problems in change.problems.items():
            sink.problems(scope, problems)
        sink.synced()
        gone = (*known,) if change.complete else change.removed
        counts.subtract(ref.kind for ref in known.intersection(gone))
        known.difference_update(gone)
        new = {obj.ref for obj in change.upserts} - known
        counts.update(ref.kind for ref in new)
        known |= new
        for kind, count in counts.items():
            metrics.objects.labels(kind).set(count)


def _make_state_dir(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise OSError(
            f"the state dir {folder} cannot be made: {why}; choose another with --state-dir"
        ) from error


def _identity_jobs(
    identity: Identity | None, server: XdsServer
) -> Iterable[tuple[str, Coroutine[Any, Any, None]]]:
    return identity.jobs(server).items() if identity is not None else ()


def _ports(options: Settings) -> dict[str, Port]:
    """The ports for proxies, by the settings that name them. Raises OSError."""
    wanted = [
        (address, setting.name)
        for setting in settings()
        if setting.field in XDS_ADDRESSES and (address := getattr(options, setting.field)) is not None
    ]
    return {name: port for (_, name), port in zip(wanted, open_ports(wanted), strict=True)}


def _close(ports: Mapping[str, Port]) -> None:
    for port in ports.values():
        port.close()


def _listen(server: XdsServer, identity: Identity | None, ports: Mapping[str, Port]) -> None:
    for name, port in ports.items():
        try:
            if name == "xds-address":
                port.listen(server.listen)
            elif identity is not None:
                listen_tls(server, identity, {name: port})
        except RuntimeError as error:
            raise OSError(f"cannot listen on {port.address}: {error}; set another --{name}") from error


async def _welcome(
    daemon: Daemon,
    identity: Identity | None,
    options: Settings,
    logger: FilteringBoundLogger,
    metrics: Metrics,
) -> None:
    """Serves once all is there, and says so to whoever started the daemon."""
    await daemon.mesh.until_ready()
    if identity is not None:
        await identity.ready()
    await daemon.server.start()
    metrics.ready.set(1)
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
        sources=[source.name for source in daemon.mesh.sources()],
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


async def _reloads(
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


def _flags(command: Any) -> Any:  # Any: click's decorators
    """Adds a flag for every setting."""
    for setting in reversed(settings()):
        kind = click.Choice([str(choice) for choice in setting.choices]) if setting.choices else None
        command = click.option(
            setting.flag,
            setting.field,
            type=kind,
            multiple=setting.repeatable,
            default=None,
            help=setting.help,
        )(command)
    return click.option("--config", type=click.Path(path_type=Path), help="YAML file with settings.")(command)


def _mending(state_dir: Path) -> str:
    return (
        f"To begin again from a snapshot, move {state_dir / STORE_FILE}* elsewhere and run "
        f"xdsctl snapshot restore FILE --state-dir {state_dir}"
    )


def _load(config: Path | None, flags: Mapping[str, object]) -> Settings:
    try:
        return load(config, os.environ, flags)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"xdsd: {problem}", err=True)
        raise SystemExit(2) from error


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("xdsd"), prog_name="xdsd", message="%(prog)s %(version)s")
def main() -> None:
    """xdsd, the control plane of a service mesh of Envoy proxies."""


@main.command("serve")
@_flags
def serve_command(config: Path | None, **flags: object) -> None:
    """Run the daemon until SIGTERM; SIGHUP reads the settings again."""
    options = _load(config, flags)
    faulthandler.enable()  # a watchdog's SIGABRT leaves in the log where each thread stood
    logger = make_logger(options.log_format, options.log_level, sys.stderr)
    try:
        asyncio.run(serve(options, logger, lambda: load(config, os.environ, flags)))
    except (*CANNOT_START, OSError) as error:
        _give_up(error, options)
    except BaseExceptionGroup as group:
        failed, faults = group.split(CANNOT_START)
        if failed is None or faults is not None:
            raise
        _give_up(_first(failed), options)


def _give_up(error: BaseException, options: Settings) -> NoReturn:
    """Ends the daemon with one sentence."""
    advice = f". {_mending(options.state_dir)}" if isinstance(error, Corrupted) else ""
    click.echo(f"xdsd: {error}{advice}", err=True)
    raise SystemExit(1) from error


def _first(error: BaseException) -> BaseException:
    """The first of the errors in a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@main.command("check-config")
@_flags
def check_config(config: Path | None, **flags: object) -> None:
    """Say what is wrong with the settings, or print them as the daemon would take them."""
    click.echo(dump(_load(config, flags)), nl=False)


main.add_command(demo_command)

if __name__ == "__main__":
    main()
