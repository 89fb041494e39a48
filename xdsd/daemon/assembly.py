"""Makes the parts of the daemon and tells each of those that it needs; nothing runs or listens yet."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from api.access.directory import Directory
from api.access.proving import Prover
from storage.base import Store
from xdsd.audit import audit_log
from xdsd.compile.compiler import Compiler
from xdsd.config import Settings
from xdsd.credentials.foreign import Foreign
from xdsd.daemon.jobs import singleton_jobs, tellers
from xdsd.daemon.view import Daemon
from xdsd.fleet.members import Membership
from xdsd.fleet.singletons import Singletons
from xdsd.fleet.statuses import StatusWriter
from xdsd.identity import Identity, make_identity, serve_proven
from xdsd.intents import Intents
from xdsd.jwks import KeyKeeper
from xdsd.lost_key import check_sealing_key
from xdsd.model.problem import Problem
from xdsd.parts import (
    anonymous_role,
    counters,
    intent_rules,
    key_keeper,
    member,
    mesh_settings,
    open_store,
    peers,
    registrar,
    registries,
    server_settings,
    settling,
)
from xdsd.peers import Peers
from xdsd.peers.metrics import PeerMetrics
from xdsd.ratelimit import RateLimitService
from xdsd.reconcile import STORE, Reconciler, SourceSink
from xdsd.reconcile.declared import declared_elsewhere
from xdsd.registration.registrar import Registrar
from xdsd.registry.base import Registry
from xdsd.server import XdsServer
from xdsd.server.gate import calling
from xdsd.server.quotas import Limit, Rates
from xdsd.server.turns import Turns
from xdsd.telemetry import Metrics
from xdsd.throttle import Throttle


@dataclass(frozen=True, slots=True)
class Assembly:
    """All parts, joined. ``watched`` are the registries and where each reports to, ``objects`` is where the store does."""

    metrics: Metrics
    store: Store
    mesh: Reconciler
    objects: SourceSink
    watched: Sequence[tuple[Registry, SourceSink]]
    intents: Intents
    keys: KeyKeeper
    membership: Membership
    singletons: Singletons
    identity: Identity | None
    machines: Registrar
    others: Peers
    server: XdsServer
    directory: Directory
    prover: Prover
    daemon: Daemon


async def assemble(options: Settings, logger: FilteringBoundLogger, stack: AsyncExitStack) -> Assembly:
    """What is open is closed when the stack is left. Raises StorageError, CaError, SealingError, OSError."""
    clock = asyncio.get_running_loop().time
    started = datetime.now(UTC)
    metrics = Metrics(CollectorRegistry(), version("xdsd"))
    outage: list[str] = []
    store = await _open_store(options, outage.append, stack)
    compiler, foreign = Compiler(mesh_settings(options)), Foreign()
    turns = partial(_turns, options, metrics, logger)
    limiter = _limiter(options, metrics, clock, stack, turns(Limit.COUNTED))
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
        lambda used: identity.use_credentials(used) if identity is not None else None,
        lambda declared: identity.federation.declare(declared) if identity is not None else None,
        lambda inspected: identity.inspector.inspect(inspected) if identity is not None else None,
    )
    objects = mesh.expect(STORE)
    for why in outage:
        objects.stale(why)
    watched = [(registry, mesh.expect(registry.name)) for registry in registries(options, foreign)]
    membership = Membership(store, member(options, started), logger)
    identity = make_identity(
        options,
        store,
        logger,
        clock,
        metrics,
        membership.list,
        mesh.set_credentials,
        mesh.set_shut_out,
        _told(mesh, "certificate authority"),
        mesh.set_foreign,
        _told(mesh, "authorities of others"),
        _told(mesh, "secrets"),
        foreign,
    )
    machines = registrar(
        options,
        store,
        membership.me,
        logger,
        _told(mesh, "registration"),
        lambda proof: identity.networks(proof) if identity is not None else (),
        mesh,
    )
    others = peers(options, mesh, identity, logger)
    metrics.registry.register(PeerMetrics(others))
    server = _server(options, logger, metrics, mesh, identity, machines, turns)
    if options.rate_limit_service is None:
        server.also_serve(limiter.handler())
    intents = Intents(
        store,
        rules=[
            *intent_rules(lambda: compiler.settings.root_namespace, lambda: compiler.world.admin_port),
            lambda obj: declared_elsewhere(mesh, obj),
        ],
        domain=options.mesh_domain,
        observed=mesh.observed,
        audit=audit_log(logger),
    )
    statuses = StatusWriter(store, mesh.problems_in_store, logger)
    writers = tellers(mesh, [each for each, _ in watched])
    singletons = Singletons(
        store, options.name, singleton_jobs(intents, statuses, identity, options, writers)
    )
    directory = Directory(store, logger)
    return Assembly(
        metrics,
        store,
        mesh,
        objects,
        watched,
        intents,
        keys,
        membership,
        singletons,
        identity,
        machines,
        others,
        server,
        directory,
        Prover(directory, Throttle(clock), clock, anonymous=anonymous_role(options)),
        Daemon(
            version("xdsd"),
            started,
            mesh,
            server,
            options.name,
            store,
            singletons,
            identity.expiry.checks if identity is not None else tuple,
        ),
    )


async def _open_store(options: Settings, unavailable: Callable[[str], None], stack: AsyncExitStack) -> Store:
    store = await open_store(options, unavailable)
    stack.push_async_callback(store.close)
    await check_sealing_key(options, store)
    return store


def _limiter(
    options: Settings, metrics: Metrics, clock: Callable[[], float], stack: AsyncExitStack, turns: Turns
) -> RateLimitService:
    counting = counters(options, clock)
    stack.push_async_callback(counting.close)
    return RateLimitService(counting, metrics, time.time, calling, turns.refusal)


def _turns(options: Settings, metrics: Metrics, logger: FilteringBoundLogger, limit: Limit) -> Turns:
    """Of what is counted by the second for each who asks."""
    rate, what = {
        Limit.CERTIFICATES: (options.max_certificate_rate, "certificates"),
        Limit.REQUESTS: (options.max_request_rate, "reports of probes"),
        Limit.COUNTED: (options.max_counted_rate, "counted requests"),
    }[limit]
    return Turns(limit, what, Rates(rate, asyncio.get_running_loop().time), logger, metrics.exceeded)


def _server(
    options: Settings,
    logger: FilteringBoundLogger,
    metrics: Metrics,
    mesh: Reconciler,
    identity: Identity | None,
    machines: Registrar,
    turns: Callable[[Limit], Turns],
) -> XdsServer:
    server = XdsServer(
        mesh,
        logger,
        metrics,
        server_settings(options),
        identity.gate if identity is not None else None,
        identity.keeper if identity is not None else None,
        machines,
    )
    serve_proven(identity, server, machines, logger, turns, options.max_streams_per_identity)
    return server


def _told(mesh: Reconciler, source: str) -> Callable[[Sequence[Problem]], None]:
    """Where a part says what is wrong with it."""
    return lambda problems: mesh.set_problems(source, "", problems)
