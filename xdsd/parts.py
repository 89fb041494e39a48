"""The parts of the daemon as its settings want them: the store, the sources, and what each part is told."""

import secrets
from collections.abc import Callable
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
from xdsd.config import STORE_FILE, Settings
from xdsd.fleet.members import Member
from xdsd.jwks import Fetcher, KeyKeeper, Reach
from xdsd.model.mesh import MeshSettings
from xdsd.protocol.limits import Limits, Timing
from xdsd.ratelimit import Counters, MemoryCounters, RedisAddress, RedisCounters
from xdsd.reconcile import Settling
from xdsd.registry.base import Registry
from xdsd.registry.last_good import LastGood
from xdsd.registry.machines import MachinesRegistry
from xdsd.server import ServerSettings
from xdsd.setting_checks import lets_in_anybody
from xdsd.settings import Anonymous, OutboundPolicy, VirtualHosts
from xdsd.snapshot import content_version


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
    )


def settling(options: Settings) -> Settling:
    """What the reconciling loop needs of the settings."""
    return Settling(options.settle_quiet.total_seconds(), options.settle_max.total_seconds())


def server_settings(options: Settings) -> ServerSettings:
    """What the xDS server needs of the settings."""
    wait = options.ack_wait.total_seconds()
    return ServerSettings(
        timing=Timing(accept=wait, gate=wait),
        limits=Limits(names=options.max_subscriptions),
        streams=options.max_streams,
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


def registries(options: Settings) -> list[Registry]:
    """The sources that the settings name."""
    kept = options.state_dir / "last-good"
    return [
        MachinesRegistry(
            Path(each.location),
            options.mesh_domain,
            copies=LastGood(kept / content_version(str(each).encode())),
        )
        for each in options.registry
    ]
