"""The parts by which proxies prove who they are, made as the settings want and joined; there are none without a TLS port."""

import os
import platform
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from random import SystemRandom
from typing import Any

from structlog.typing import FilteringBoundLogger

from api.services.certificates import SERVICE, CertificatesService
from api.services.joining import Joined
from storage.base import Store
from xdsd.ca.authority import Authority, Source
from xdsd.ca.cluster_keys import ClusterKeys
from xdsd.ca.files import CaFiles, FileCa
from xdsd.ca.ledger import Ledger
from xdsd.ca.proving import Identifier, identity_of_server
from xdsd.ca.registers import Revocations, Tokens
from xdsd.ca.revocations import listed
from xdsd.ca.sealing import OWN_FILE, KeyPlaces, find_sealer
from xdsd.ca.stored import StoredRoots
from xdsd.ca.vault import VaultCa, VaultSettings
from xdsd.listening import Port
from xdsd.secrets.keeper import Keeper
from xdsd.server import XdsServer
from xdsd.server.certificates import ServerCertificates
from xdsd.server.gate import Gate
from xdsd.setting_checks import serves_identity
from xdsd.settings import Settings
from xdsd.telemetry import Metrics
from xdsd.throttle import Throttle

LISTS_HOLD = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Identity:
    """``run`` holds what is to run beside each other, by name."""

    authority: Authority
    tokens: Tokens
    revocations: Revocations
    gate: Gate
    certificates: ServerCertificates
    keeper: Keeper
    issued: Ledger
    keys: ClusterKeys | None

    async def ready(self) -> None:
        """Returns once everything is known that says who may have what."""
        await self.tokens.known()
        await self.revocations.known()
        await self.certificates.ready()

    def jobs(self, server: XdsServer) -> Mapping[str, Coroutine[Any, Any, None]]:
        """What has to run, by name."""
        changes = (lambda: self.tokens.next_change, lambda: self.revocations.next_change)
        return {
            "certificate authority": self.authority.run(),
            "join tokens": self.tokens.run(),
            "revocations": self.revocations.run(),
            "server certificate": self.certificates.run(),
            "issued certificates": self.issued.run(),
            "proofs of streams": server.watch_proofs(*changes),
            "secrets of proxies": self.keeper.run(),
            "revocations for proxies": self._tell_revocations(),
            **({"keys of service accounts": self.keys.run()} if self.keys is not None else {}),
        }

    async def _tell_revocations(self) -> None:
        changed = self.revocations.next_change
        while True:
            await changed.wait()
            changed = self.revocations.next_change
            self.keeper.revocations_changed()


def make_identity(
    options: Settings,
    store: Store,
    logger: FilteringBoundLogger,
    clock: Callable[[], float],
    metrics: Metrics,
) -> Identity | None:
    """None where no TLS port is set. Raises SealingError where the store needs a key that is not given."""
    if not serves_identity(options):
        return None
    issued = Ledger(store, logger, clock, lambda: datetime.now(UTC))
    source, lifetime = _source(options, store, logger), options.workload_cert_lifetime
    authority = Authority(source, options.trust_domain, lifetime, record=issued.record)
    tokens, revocations = Tokens(store, logger), Revocations(store, logger)
    keys = _cluster_keys(options, logger)
    identifier = Identifier(
        authority,
        tokens,
        revocations,
        Throttle(clock),
        lambda: datetime.now(UTC),
        lambda: keys.cluster if keys is not None else None,
    )
    server = identity_of_server(options.trust_domain, options.root_namespace)
    names, addresses = _called(options)
    certificates = ServerCertificates(authority, server, logger, names, addresses)
    keeper = Keeper(
        authority,
        clock,
        SystemRandom().random,
        logger,
        metrics,
        revoked=lambda: revoked_lists(authority, revocations),
    )
    gate = Gate(identifier, logger, metrics.refused)
    return Identity(authority, tokens, revocations, gate, certificates, keeper, issued, keys)


def revoked_lists(authority: Authority, revocations: Revocations) -> bytes:
    """Lists of revoked certificates for proxies; none while none is revoked.

    They hold for long: a proxy that we cannot reach must not stop believing its peers because its list is old.
    """
    now = authority.now()
    found = listed(revocations.all(), now)
    if not found:
        return b""
    return b"".join(authority.crls(found, int(now.timestamp() * 1000), LISTS_HOLD))


def joined(identity: Identity | None, options: Settings) -> Joined | None:
    """What the admin API has of it."""
    if identity is None:
        return None
    return Joined(
        identity.authority,
        identity.tokens,
        identity.revocations,
        identity.issued,
        identity_of_server(options.trust_domain, options.root_namespace),
        str(options.xds_tls_address or ""),
        str(options.xds_mtls_address or ""),
    )


def serve_certificates(identity: Identity | None, server: XdsServer, logger: FilteringBoundLogger) -> None:
    """Lets those who prove who they are have certificates, on the TLS ports."""
    if identity is not None:
        service = CertificatesService(identity.gate, identity.authority, identity.tokens, logger)
        server.also_serve_tls(SERVICE, service.handler())


def listen_tls(server: XdsServer, identity: Identity, ports: Mapping[str, Port]) -> None:
    """Lets the server listen on the TLS ports, which are named by their settings. Raises RuntimeError."""
    for setting, port in ports.items():
        credentials = identity.certificates.credentials(demand=setting == "xds-mtls-address")
        port.listen(lambda where, given=credentials: server.listen_tls(where, given))  # type: ignore[misc]


def _source(options: Settings, store: Store, logger: FilteringBoundLogger) -> Source:
    if options.ca_cert is not None and options.ca_key is not None:
        files = CaFiles(options.ca_cert, options.ca_key, options.ca_root)
        return FileCa(files, options.trust_domain, logger)
    if options.vault_address and options.vault_role and options.vault_token_file:
        vault = VaultSettings(
            options.vault_address,
            options.vault_mount,
            options.vault_role,
            options.vault_token_file,
            options.vault_ca,
            options.ca_root,
            options.vault_namespace or "",
        )
        return VaultCa(vault, logger)
    own = None if options.store.etcd else options.state_dir / OWN_FILE
    sealer = find_sealer(KeyPlaces(options.ca_sealing_key_file, os.environ, own))
    return StoredRoots(store, sealer, options.trust_domain, options.ca_key_type, logger)


def _cluster_keys(options: Settings, logger: FilteringBoundLogger) -> ClusterKeys | None:
    if options.kubernetes_token_keys is None or options.kubernetes_token_issuer is None:
        return None
    audience = options.kubernetes_token_audience
    return ClusterKeys(options.kubernetes_token_keys, options.kubernetes_token_issuer, audience, logger)


def _called(options: Settings) -> tuple[list[str], list[Any]]:
    """The names and addresses by which the daemon is called, beside those that every daemon has."""
    names, addresses = [], []
    for each in (options.xds_tls_address, options.xds_mtls_address):
        if each is None:
            continue
        try:
            address = ip_address(each.host)
        except ValueError:
            names.append(each.host)
        else:
            if not address.is_unspecified:
                addresses.append(address)
    host = platform.node()
    return [*names, *([host] if host and host.isascii() else [])], list(dict.fromkeys(addresses))
