"""The parts of the daemon as its settings want them: the store, the sources, and what each part is told."""

import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from api.access.caller import Role
from api.access.certificates import ServerTls
from api.services.etcd.policy import KeyPolicy
from storage.base import Store
from storage.embedded import open_embedded
from storage.etcd import EtcdSettings, EtcdTlsFiles, open_etcd
from xdsd.compile.admissible import admissible
from xdsd.config import Settings
from xdsd.fleet.members import Member
from xdsd.identity import Identity
from xdsd.jwks import Fetcher, KeyKeeper, Reach
from xdsd.model.admin_page import exposing
from xdsd.model.catalog import Port
from xdsd.model.global_names import is_global
from xdsd.model.identity import StreamIdentity
from xdsd.model.mesh import MeshSettings
from xdsd.model.problem import Problem
from xdsd.model.singletons import misplaced
from xdsd.peers import Mesh, Nothing, Peers
from xdsd.protocol.limits import Limits, Timing
from xdsd.ratelimit import Counters, MemoryCounters, RedisAddress, RedisCounters
from xdsd.reconcile import Reconciler, Settling
from xdsd.registration.judging import Rules
from xdsd.registration.registrar import Registrar
from xdsd.registration.roll import Roll
from xdsd.registry.base import AnyObject, Registry, SecretSink
from xdsd.registry.consul.options import source_name
from xdsd.registry.consul.registry import ConsulRegistry
from xdsd.registry.kubernetes import Cluster
from xdsd.registry.kubernetes.registry import KubernetesRegistry
from xdsd.registry.last_good import LastGood
from xdsd.registry.machines import MachinesRegistry
from xdsd.server import ServerSettings
from xdsd.server.quotas import Allowance
from xdsd.setting_checks import lets_in_anybody
from xdsd.settings import Anonymous, Http3, OutboundPolicy, RegistrySource, VirtualHosts
from xdsd.snapshot import content_version
from xdsd.state_dir import STORE_FILE


async def open_store(options: Settings, unavailable: Callable[[str], None]) -> Store:
    """The store that the settings name; ``unavailable`` is told why it cannot be asked yet. Raises StorageError, OSError for
    a file that cannot be read.
    """
    if not options.store.etcd:
        return await open_embedded(options.state_dir / STORE_FILE)
    return await open_etcd(etcd_settings(options), unavailable)


def etcd_settings(options: Settings) -> EtcdSettings:
    """Where etcd is and who we are to it. Beyond this machine it is spoken to over TLS alone."""
    tls = None
    if options.store_ca or options.store_cert or not options.store.is_loopback:
        tls = EtcdTlsFiles(options.store_ca, options.store_cert, options.store_key)
    return EtcdSettings(
        endpoints=tuple((address.host, address.port) for address in options.store.etcd),
        tls=tls,
        user=options.store_user or "",
        password=options.store_password_file or "",
        probe=b"/xdsd/",
    )


def admin_tls(options: Settings) -> ServerTls | None:
    """The files of the admin port's certificates; None where it speaks plaintext."""
    if options.admin_tls_cert is None or options.admin_tls_key is None:
        return None
    return ServerTls(options.admin_tls_cert, options.admin_tls_key, options.admin_client_ca)


def anonymous_role(options: Settings) -> Role | None:
    """What callers without credentials may do; beyond plaintext on this machine nothing."""
    if options.admin_anonymous is Anonymous.NONE or not lets_in_anybody(options):
        return None
    return Role(options.admin_anonymous.value)


def member(options: Settings, started: datetime) -> Member:
    """This daemon, as the others see it."""
    return Member(
        id=secrets.randbits(63) | 1,
        name=options.name,
        version=version("xdsd"),
        started=started.isoformat(timespec="seconds"),
        admin=str(options.admin_tls_address or options.admin_address),
        xds=str(options.xds_address),
    )


def registrar(
    options: Settings,
    store: Store,
    me: Member,
    logger: FilteringBoundLogger,
    tell: Callable[[Sequence[Problem]], None],
    networks: Callable[[StreamIdentity], tuple[str, ...]],
    mesh: Reconciler,
) -> Registrar:
    """What keeps the entries of machines that register themselves; daemons of one name are told apart."""
    roll = Roll(f"{me.name}/{me.id:016x}", Rules(options.machine_networks, options.machine_limit))
    grace = math.ceil(options.machine_grace.total_seconds())
    return Registrar(store, roll, logger, grace=grace, tell=tell, networks=networks, ports=_ports(mesh))


def _ports(mesh: Reconciler) -> Callable[[str], Iterator[Port]]:
    """Which ports the services of this mesh have at an address."""

    def found(address: str) -> Iterator[Port]:
        catalog = mesh.catalog
        for key in catalog.services_at(address):
            service = None if is_global(key.hostname) else catalog.service(key)
            yield from service.ports if service is not None else ()

    return found


def peers(
    options: Settings, mesh: Reconciler, identity: Identity | None, logger: FilteringBoundLogger
) -> Peers:
    """What joins the mesh to others. Without a CA nothing can be shown to them, which each Peer is told."""
    here = Mesh(options.mesh_name, options.trust_domain, options.mesh_domain, options.root_namespace)
    made = Peers(
        here,
        mesh.catalog,
        mesh,
        identity.certificates if identity is not None else Nothing(),
        lambda: identity.authority.roots if identity is not None else (),
        identity.federation.bring if identity is not None else lambda _, __: None,
        logger,
        LastGood(options.state_dir / "peers"),
        mesh.set_offered,
        identity.revocations.of if identity is not None else lambda _, __, ___: None,
    )
    mesh.tell_services(made.services_changed)
    return made


def mesh_settings(options: Settings) -> MeshSettings:
    """What the compiler needs of the settings."""
    return MeshSettings(
        domain=options.mesh_domain,
        root_namespace=options.root_namespace,
        allow_any=options.outbound_traffic_policy is OutboundPolicy.ALLOW_ANY,
        rate_limit_service=str(options.rate_limit_service or ""),
        system_ca=options.system_ca,
        trust_domain=options.trust_domain,
        dns_resolvers=options.dns_resolvers,
        virtual_addresses=options.virtual_addresses,
        vhds=options.virtual_hosts is VirtualHosts.DISCOVERED,
        http3=options.gateway_http3 is Http3.ON,
    )


def settling(options: Settings) -> Settling:
    """What the reconciling loop needs of the settings."""
    wait = options.registry_wait
    return Settling(
        options.settle_quiet.total_seconds(),
        options.settle_max.total_seconds(),
        patience=wait.total_seconds() if wait is not None else None,
    )


def server_settings(options: Settings) -> ServerSettings:
    """What the xDS server needs of the settings."""
    wait = options.ack_wait.total_seconds()
    return ServerSettings(
        timing=Timing(accept=wait, gate=wait),
        limits=Limits(names=options.max_subscriptions),
        streams=options.max_streams,
        streams_a_node=options.max_streams_per_proxy,
        allowance=Allowance(
            options.max_streams_per_identity,
            options.max_subscriptions_per_identity,
            options.max_request_rate,
            options.max_descriptions_per_identity,
        ),
        request_bytes=options.max_message_size,
    )


def counters(options: Settings, clock: Callable[[], float]) -> Counters:
    """Where the limiter keeps its numbers. Raises OSError for a password file that cannot be read."""
    redis = options.rate_limit_redis
    if redis is None:
        return MemoryCounters(clock)
    file = options.rate_limit_redis_password_file
    host, port = (redis.address.host, redis.address.port) if redis.address else ("", 0)
    return RedisCounters(
        RedisAddress(host, port, redis.path, redis.database, redis.tls),
        file.read_text().strip() if file else None,
    )


def key_keeper(options: Settings, logger: FilteringBoundLogger) -> KeyKeeper:
    """What keeps the public keys of tokens' issuers."""
    return KeyKeeper(Fetcher(Reach(options.jwks_networks)), options.state_dir / "jwks", logger)


def key_policy(options: Settings) -> KeyPolicy:
    """What etcd's clients may write."""
    return KeyPolicy(tuple(map(str.encode, options.foreign_keys)), alone=not options.store.etcd)


def intent_rules(
    root: Callable[[], str], admin: Callable[[], int] | None = None
) -> list[Callable[[AnyObject], Sequence[Problem]]]:
    """What is wrong with an object beyond what its messages say, wherever it is declared; ``root`` is the root namespace,
    ``admin`` the port of proxies' admin pages, where it is known.
    """
    found: list[Callable[[AnyObject], Sequence[Problem]]] = [admissible, lambda obj: misplaced(obj, root())]
    if admin is not None:
        found.append(lambda obj: exposing(obj, admin()))
    return found


def registries(options: Settings, secrets: SecretSink | None = None) -> list[Registry]:
    """The sources that the settings name; ``secrets`` is given those that proxies may have, None where nobody could."""
    return [_registry(each, options, secrets) for each in options.registry]


def _registry(source: RegistrySource, options: Settings, secrets: SecretSink | None) -> Registry:
    if isinstance(source.options, Cluster):
        root = options.root_namespace
        return KubernetesRegistry(
            source.options,
            options.mesh_domain,
            root,
            rules=intent_rules(lambda: root),
            secrets=secrets,
            copies=_last_good(options, str(source.options)),
        )
    if source.options is not None:
        name = source_name(source.location, source.options)
        return ConsulRegistry(
            source.location, source.options, options.mesh_domain, copies=_last_good(options, name)
        )
    return MachinesRegistry(
        Path(source.location), options.mesh_domain, copies=_last_good(options, str(source))
    )


def _last_good(options: Settings, source: str) -> LastGood:
    return LastGood(options.state_dir / "last-good" / content_version(source.encode()))
