"""The parts by which proxies prove who they are, made as the settings want and joined; there are none without a TLS port."""

import asyncio
import os
import platform
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from random import SystemRandom
from typing import Any

from structlog.typing import FilteringBoundLogger

from api.services.certificates import SERVICE, CertificatesService
from api.services.health_discovery import SERVICE as HEALTH_SERVICE
from api.services.health_discovery import HealthService
from api.services.joined import Joined
from storage.base import StorageError, Store
from xdsd.ca import replacing
from xdsd.ca.authority import Authority, Source, Trust
from xdsd.ca.bundles import bundle_fault
from xdsd.ca.cluster_keys import ClusterKeys
from xdsd.ca.expiring import ExpiryWatch
from xdsd.ca.federation import Federation
from xdsd.ca.files import CaFiles, FileCa
from xdsd.ca.latecomers import Latecomers
from xdsd.ca.ledger import Ledger
from xdsd.ca.listing import Listing, Lists
from xdsd.ca.proving import Identifier, daemon_name, identity_of_server
from xdsd.ca.registers import Tokens
from xdsd.ca.reporting import Reporter
from xdsd.ca.revocations import next_end, turns_told
from xdsd.ca.revoked import Revocations
from xdsd.ca.rotating import Progress, Rotations, read_facts
from xdsd.ca.sealing import OWN_FILE, KeyPlaces, Sealer, SealingError, find_sealer
from xdsd.ca.stored import StoredRoots
from xdsd.ca.token_review import ReviewSettings, TokenReviewer, check_files
from xdsd.ca.vault import VaultCa, VaultSettings
from xdsd.credentials.foreign import Foreign, Joint
from xdsd.credentials.giving import Giver
from xdsd.credentials.register import Credentials
from xdsd.fleet.members import Member
from xdsd.fleet.singletons import Job
from xdsd.jwks import Fetcher, KeyKeeper, Reach
from xdsd.listening import Port
from xdsd.model.credential import CredentialName, CredentialParts
from xdsd.model.identity import Proof, SpiffeID, StreamIdentity
from xdsd.model.problem import Problem
from xdsd.model.shut_out import ShutOut
from xdsd.registration.registrar import Registrar
from xdsd.secrets.keeper import Holder, Keeper
from xdsd.secrets.standing_in import Inspector
from xdsd.server import XdsServer, standings
from xdsd.server.certificates import ServerCertificates
from xdsd.server.gate import Gate
from xdsd.server.quotas import Limit
from xdsd.server.turns import Turns
from xdsd.setting_checks import serves_identity
from xdsd.settings import Settings
from xdsd.telemetry import Metrics
from xdsd.throttle import Throttle

TellCredentials = Callable[[Mapping[CredentialName, CredentialParts]], None]

TellProblems = Callable[[Sequence[Problem]], None]

TellShutOut = Callable[[ShutOut], None]

EXPIRY_EVERY = 3600.0
"""Seconds between two looks at when credentials end."""

BUNDLES_EVERY = 300.0
"""Seconds between two looks at where a bundle is published, as SPIFFE advises."""


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
    lists: Lists
    listing: Listing
    federation: Federation
    bundles: KeyKeeper
    keys: ClusterKeys | None
    credentials: Credentials
    joint: Joint
    giver: Giver
    inspector: Inspector
    tell_credentials: TellCredentials
    tell_shut_out: TellShutOut
    tell_closed: TellProblems
    rotations: Rotations | None
    reporter: Callable[[XdsServer], Reporter]
    expiry: ExpiryWatch

    async def ready(self) -> None:
        """Returns once everything is known that says who may have what; the mesh knows of credentials before then."""
        await self.credentials.known()
        self.credentials_changed()
        await self.tokens.known()
        await self.revocations.known()
        await self.lists.known()
        self.tell_shut_out(self._shut_out())
        await self.certificates.ready()

    def networks(self, proof: StreamIdentity) -> tuple[str, ...]:
        """Where the token that proved an identity may be used from; none where it is not bound, or none did."""
        token = self.tokens.get(proof.credential) if proof.proof is Proof.TOKEN else None
        return token.networks if token is not None else ()

    def jobs(self, server: XdsServer) -> Mapping[str, Coroutine[Any, Any, None]]:
        """What has to run, by name."""
        changes = (lambda: self.tokens.next_change, lambda: self.revocations.next_change)
        return {
            "certificate authority": self.authority.run(),
            "join tokens": self.tokens.run(),
            "revocations": self.revocations.run(),
            "server certificate": self.certificates.run(),
            "issued certificates": self.issued.run(),
            "lists of revoked certificates": self.lists.run(),
            "lists for proxies": self.listing.run(),
            "bundles of other trust domains": self.bundles.run(self.federation.fetched),
            "proofs of streams": server.watch_proofs(*changes),
            "secrets of proxies": self.keeper.run(),
            "revocations for proxies": self._tell_revocations(),
            "standings of proxies": self.reporter(server).run(),
            **({"keys of service accounts": self.keys.run()} if self.keys is not None else {}),
            "expiry of the CA": self.expiry.run(),
            "credentials": self.credentials.run(),
            "certificates to inspect with": self.inspector.run(),
            "credentials for proxies": self._tell_credentials(),
            "expiry of credentials": self._watch_expiry(),
        }

    def use_credentials(self, used: frozenset[CredentialName]) -> None:
        """These are what sidecars are told to use."""
        self.keeper.credentials_changed(self.giver.use(used))

    async def _tell_credentials(self) -> None:
        changed = self.credentials.next_change
        while True:
            await changed.wait()
            changed = self.credentials.next_change
            self.credentials_changed()

    def credentials_changed(self) -> None:
        """Some came, changed or went: who uses them is told."""
        touched = self.joint.touched()
        self.giver.forget(touched)
        self.keeper.credentials_changed({name.namespace for name in touched})
        self.tell_credentials(self.joint.parts())
        self._tell_closed()

    def _tell_closed(self) -> None:
        self.tell_closed((*self.credentials.problems(), *self.joint.problems(datetime.now(UTC))))

    async def _watch_expiry(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_EVERY)
            self._tell_closed()

    def singletons(self) -> Mapping[str, Job]:
        """What one daemon does for all, by name."""
        return {"root rotation": self.rotations.run} if self.rotations is not None else {}

    async def _tell_revocations(self) -> None:
        changed = self.revocations.next_change
        while True:
            now = self.authority.now()
            end = next_end(self.revocations.all(), now)
            pause = None if end is None else (end - now).total_seconds()
            with suppress(TimeoutError):  # one is over
                async with asyncio.timeout(pause):
                    await changed.wait()
            changed = self.revocations.next_change
            # The lists first: whoever is made to connect again must not get in again.
            await self.keeper.tell_revocations()
            self.tell_shut_out(self._shut_out())

    def _shut_out(self) -> ShutOut:
        return turns_told(self.revocations.all(), self.revocations.turns, self.authority.now())


def make_identity(
    options: Settings,
    store: Store,
    logger: FilteringBoundLogger,
    clock: Callable[[], float],
    metrics: Metrics,
    members: Callable[[], Awaitable[Sequence[Member]]],
    tell_credentials: TellCredentials = lambda _: None,
    tell_shut_out: TellShutOut = lambda _: None,
    tell_problems: TellProblems = lambda _: None,
    admit: Callable[[tuple[str, ...]], None] = lambda _: None,
    tell_untrusted: TellProblems = lambda _: None,
    tell_closed: TellProblems = lambda _: None,
    foreign: Foreign | None = None,
) -> Identity | None:
    """None where no TLS port is set; ``tell_credentials`` hears of all credentials whenever some change, ``tell_shut_out``
    of who is shut out, ``tell_problems`` of a CA that is about to expire, ``admit`` of trust domains that others bring,
    ``tell_untrusted`` of authorities of others that cannot be used, and ``tell_closed`` of secrets that cannot be opened, or
    that ``foreign`` platforms have in vain. Raises SealingError where the store needs a key that is not given.
    """
    if not serves_identity(options):
        return None
    issued = Ledger(store, logger, clock, lambda: datetime.now(UTC))

    async def daemons() -> list[str]:
        return [each.name for each in await members()]

    async def unready(before: Trust, after: Trust) -> str:
        try:
            return replacing.unready(before, after, await read_facts(store, daemons, datetime.now(UTC)))
        except StorageError as error:
            return f"the store cannot be asked who trusts what: {error}"

    sealer = _sealer(options, logger)

    def tell_source(why: str) -> None:
        expiry.faulty(why)

    source = _source(options, store, sealer, logger, unready, tell_source)
    lifetime = options.workload_cert_lifetime
    credentials = Credentials(store, sealer, logger)
    foreign = foreign or Foreign()
    joint = Joint(credentials, foreign)
    giver = Giver(joint.of, joint.whole)
    authority = Authority(source, options.trust_domain, lifetime, record=issued.record)
    tokens, revocations = Tokens(store, logger), Revocations(store, logger)
    lists = Lists(store, logger)
    bundles = KeyKeeper(
        Fetcher(Reach(options.jwks_networks), fault=bundle_fault),
        options.state_dir / "bundles",
        logger,
        BUNDLES_EVERY,
        bundle_fault,
    )
    federation = Federation(options.trust_domain, logger, bundles.want, report=tell_untrusted)

    def tell_expiry(found: Sequence[Problem]) -> None:
        tell_problems(found)
        federation.look()

    listing = Listing(
        authority,
        revocations,
        lists,
        logger,
        whole=lambda: bool(federation.foreign()),
        further=federation.own,
        longest=issued.longest,
    )
    issued.late = Latecomers(revocations, authority, logger, lambda: datetime.now(UTC))
    keys = _cluster_keys(options, logger)
    server = identity_of_server(options.trust_domain, options.root_namespace)
    identifier = Identifier(
        authority,
        tokens,
        revocations,
        Throttle(clock),
        lambda: datetime.now(UTC),
        lambda: keys.cluster if keys is not None else None,
        _reviewer(options),
        server,
    )
    names, addresses = _called(options)
    if options.peer_address is not None:
        names = [daemon_name(options.trust_domain), *names]

    def unused(whose: SpiffeID, left: Collection[Holder]) -> None:
        giver.release(whose.namespace, left)
        inspector.release(whose, left)

    certificates = ServerCertificates(authority, server, logger, names, addresses)
    keeper = Keeper(
        authority,
        clock,
        SystemRandom().random,
        logger,
        metrics,
        revoked=listing.given,
        federated=federation,
        credentials=lambda whose, gateway: (*giver(whose, gateway), *inspector.given(whose)),
        unused=unused,
    )
    inspector = Inspector(authority, clock, SystemRandom().random, logger, keeper.credentials_changed)
    listing.tell = federation.tell = keeper.revocations_changed
    federation.admit = admit
    gate = Gate(identifier, logger, metrics.refused)
    rotations = _rotations(source, store, daemons, logger, metrics)

    expiry = ExpiryWatch(authority, metrics, tell_expiry, ours=rotations is not None)

    def reporter(server: XdsServer) -> Reporter:
        return Reporter(store, options.name, authority, server.standings, standings.joined, logger)

    identity = Identity(
        authority,
        tokens,
        revocations,
        gate,
        certificates,
        keeper,
        issued,
        lists,
        listing,
        federation,
        bundles,
        keys,
        credentials,
        joint,
        giver,
        inspector,
        tell_credentials,
        tell_shut_out,
        tell_closed,
        rotations,
        reporter,
        expiry,
    )
    foreign.tell = identity.credentials_changed
    return identity


def _rotations(
    source: Source,
    store: Store,
    daemons: Callable[[], Awaitable[Sequence[str]]],
    logger: FilteringBoundLogger,
    metrics: Metrics,
) -> Rotations | None:
    """None where the roots are not ours to make."""
    if not isinstance(source, StoredRoots):
        return None

    def observe(progress: Progress) -> None:
        rotation = progress.rotation
        metrics.rotation(rotation.step.value if rotation is not None else "", len(progress.held))

    return Rotations(store, source, daemons, logger, observe=observe)


def joined(identity: Identity | None, options: Settings) -> Joined | None:
    """What the admin API has of it."""
    if identity is None:
        return None
    return Joined(
        identity.authority,
        identity.tokens,
        identity.revocations,
        identity.issued,
        identity.rotations,
        identity_of_server(options.trust_domain, options.root_namespace),
        identity.credentials,
        str(options.xds_tls_address or ""),
        str(options.xds_mtls_address or ""),
        identity.listing.why_none,
        options.mesh_domain,
        identity.joint,
        options.history_retention,
    )


def serve_proven(
    identity: Identity | None,
    server: XdsServer,
    machines: Registrar,
    logger: FilteringBoundLogger,
    turns: Callable[[Limit], Turns],
    streams: int,
) -> None:
    """Lets those who prove who they are have certificates, and report what probes find, on the TLS ports."""
    if identity is None:
        return
    certificates = CertificatesService(
        identity.gate, identity.authority, identity.tokens, logger, turns(Limit.CERTIFICATES)
    )
    server.also_serve_tls(SERVICE, certificates.handler())
    health = HealthService(identity.gate, machines, streams, turns(Limit.REQUESTS))
    server.also_serve_tls(HEALTH_SERVICE, health.handler())


def listen_tls(server: XdsServer, identity: Identity, ports: Mapping[str, Port]) -> None:
    """Lets the server listen on the TLS ports, which are named by their settings. Raises RuntimeError."""
    for setting, port in ports.items():
        credentials = identity.certificates.credentials(demand=setting == "xds-mtls-address")
        port.listen(lambda where, given=credentials: server.listen_tls(where, given))  # type: ignore[misc]


def sealer_of(options: Settings) -> Sealer:
    """What opens the CA in the store. Raises SealingError where no key is given."""
    return find_sealer(key_places(options))


def key_places(options: Settings) -> KeyPlaces:
    """Where the sealing key may be."""
    own = None if options.store.etcd else options.state_dir / OWN_FILE
    return KeyPlaces(options.ca_sealing_key_file, os.environ, own)


def _sealer(options: Settings, logger: FilteringBoundLogger) -> Sealer | None:
    """None where there is no key and the CA needs none. Raises SealingError where it does."""
    try:
        return sealer_of(options)
    except SealingError as error:
        if options.ca_cert is None and not options.vault_address:
            raise
        logger.warning("no secrets are kept for proxies", why=str(error))
        return None


def _source(
    options: Settings,
    store: Store,
    sealer: Sealer | None,
    logger: FilteringBoundLogger,
    unready: Callable[[Trust, Trust], Awaitable[str]],
    report: Callable[[str], None],
) -> Source:
    if options.ca_cert is not None and options.ca_key is not None:
        files = CaFiles(options.ca_cert, options.ca_key, options.ca_root)
        return FileCa(files, options.trust_domain, logger, unready=unready, report=report)
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
        return VaultCa(vault, logger, report=report)
    if sealer is None:
        raise SealingError(
            "the CA's key is to be sealed, and there is no key for that: set ca-sealing-key-file"
        )
    return StoredRoots(store, sealer, options.trust_domain, options.ca_key_type, logger)


def _reviewer(options: Settings) -> TokenReviewer | None:
    """Raises CaError where its files cannot be read."""
    url, token, ca = options.kubernetes_api, options.kubernetes_api_token_file, options.kubernetes_api_ca
    if url is None or token is None or ca is None:
        return None
    settings = ReviewSettings(url, token, ca, options.kubernetes_token_audience)
    check_files(settings)
    return TokenReviewer(settings)


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
