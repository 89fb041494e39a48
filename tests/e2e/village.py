"""A mesh of proven identities in one process with its tests, whose certificates live as short as a test wants.

Programs and their sidecars (without redirection) are on addresses of loopback. What the daemon joins (``xdsd.identity``)
is joined here from the same parts, so that a test can hold the CA and its clock in its hands.
"""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from cryptography import x509
from prometheus_client import CollectorRegistry

from api.bootstrap import BootstrapOptions, bootstrap_json
from storage.memory import MemoryStore
from tests.lab.envoy import Envoy
from tests.lab.ports import free_port, free_ports
from xdsd.authorization.reach import Question, Verdict, can
from xdsd.authorization.sites import seen, site_of
from xdsd.authorization.sparing import sparing
from xdsd.ca.authority import Authority, Credential
from xdsd.ca.federation import Federation
from xdsd.ca.issuer import Request, issue
from xdsd.ca.keys import new_key, private_pem
from xdsd.ca.listing import lists_now
from xdsd.ca.proving import Identifier, identity_of_server
from xdsd.ca.registers import Tokens
from xdsd.ca.revocations import Revocation, turns_told
from xdsd.ca.revoked import Revocations
from xdsd.ca.sealing import Sealer
from xdsd.ca.stored import StoredRoots
from xdsd.compile.compiler import Compiler
from xdsd.manifest import parse_manifest
from xdsd.model.identity import SpiffeID
from xdsd.model.intent import AuthorizationPolicy, Object
from xdsd.model.key_type import KeyType
from xdsd.model.mesh import Interception, MeshSettings, Role
from xdsd.model.problem import ObjectRef
from xdsd.reconcile import STORE, ObjectsChange, Reconciler, Settling
from xdsd.secrets.keeper import Keeper
from xdsd.secrets.schedule import renewal
from xdsd.server import XdsServer
from xdsd.server.certificates import SERVER_NAME, ServerCertificates
from xdsd.server.gate import Gate
from xdsd.settings import TcpAddress
from xdsd.snapshot import SnapshotChange
from xdsd.telemetry import Metrics
from xdsd.throttle import Throttle

DOMAIN = "cluster.local"
LIFETIME = timedelta(hours=1)
_TLS_SOCKET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


def account(name: str, domain: str = DOMAIN) -> SpiffeID:
    """The identity of a service account of the default namespace."""
    return SpiffeID(domain, "default", name)


@dataclass
class Village:
    """``proxies`` are the HTTP proxies of sidecars, by name; those in ``sotw`` speak the state-of-the-world variant. Proxies
    find the control plane at ``host``.
    """

    folder: Path
    authority: Authority
    tokens: Tokens
    revocations: Revocations
    mesh: Reconciler
    federation: Federation
    metrics: Metrics
    pace: Callable[[float, float], float]
    port: int = 0
    server: XdsServer | None = None
    keeper: Keeper | None = None
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    envoys: dict[str, Envoy] = field(default_factory=dict)
    proxies: dict[str, str] = field(default_factory=dict)
    shown: dict[str, x509.Certificate] = field(default_factory=dict)
    sotw: frozenset[str] = frozenset()
    host: str = "127.0.0.1"
    revision: int = 0
    declared: dict[ObjectRef, Any] = field(default_factory=dict)

    async def comes(self) -> None:
        """What serves proxies starts, on the port that it had before."""
        log, clock = structlog.get_logger(), asyncio.get_running_loop().time
        now = lambda: datetime.now(UTC)  # noqa: E731 - it is the clock
        identifier = Identifier(self.authority, self.tokens, self.revocations, Throttle(clock), now)
        gate = Gate(identifier, log, self.metrics.refused)
        self.keeper = Keeper(
            self.authority,
            clock,
            random.random,
            log,
            self.metrics,
            revoked=self.lists,
            federated=self.federation,
            pace=self.pace,
        )
        self.server = XdsServer(self.mesh, log, self.metrics, gate=gate, secrets=self.keeper)
        named = identity_of_server(DOMAIN, "istio-system")
        certificates = ServerCertificates(self.authority, named, log)
        self.tasks = [asyncio.create_task(job) for job in (certificates.run(), self.keeper.run())]
        self.port = self.server.listen_tls(f"{self.host}:{self.port}", certificates.credentials(demand=False))
        async with asyncio.timeout(60):
            await certificates.ready()
        await self.server.start()

    def lists(self) -> bytes:
        """Lists of revoked certificates, as proxies are given them."""
        whole = bool(self.federation.foreign())
        further = self.federation.own()
        return lists_now(self.authority, self.revocations, [], whole=whole, further=further).pem

    def trusts_others(self) -> None:
        """Proxies are told whom to trust anew."""
        if self.keeper is not None:
            self.keeper.revocations_changed()

    async def leaves(self) -> None:
        """It is gone, as a daemon that was killed."""
        if self.server is not None:
            await self.server.stop(0)
        self.server = self.keeper = None
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def revoke(self, certificate: x509.Certificate) -> None:
        """Shuts a certificate out."""
        now = datetime.now(UTC)
        await self.revocations.add(Revocation(now, now + LIFETIME, serial=certificate.serial_number))
        assert self.keeper is not None
        self.keeper.revocations_changed()

    async def shut_out(
        self,
        who: SpiffeID,
        *,
        listed: bool = True,
        keep: bool = False,
        policies: Sequence[Object[AuthorizationPolicy]] = (),
    ) -> None:
        """Revokes an identity, as the daemon does; without ``listed`` its certificates are on no list, and ``policies`` say
        whom it spares.
        """
        now = datetime.now(UTC)
        shown = self.shown.get(who.service_account)
        serials = (shown.serial_number,) if shown is not None and listed else ()
        revocation = Revocation(now, now + LIFETIME, identity=who, serials=serials)
        spared = sparing(policies, (str(who),), domains=(DOMAIN,), root="istio-system")
        await self.revocations.add(revocation, ends=who, keep=keep, spared=spared)
        assert self.keeper is not None
        await self.keeper.tell_revocations()
        self.mesh.set_shut_out(turns_told(self.revocations.all(), self.revocations.turns, now))

    def published(self, change: SnapshotChange, seen: float) -> None:
        if self.server is not None:
            self.server.published(change, seen)

    @property
    def issued(self) -> float:
        """Certificates that were made for proxies."""
        found = self.metrics.registry.get_sample_value("xdsd_certificates_total", {"result": "issued"})
        return found or 0.0

    async def apply(self, text: str) -> None:
        """Objects, as YAML."""
        manifest = parse_manifest(text.encode(), "test.yaml")
        assert not manifest.problems, manifest.problems
        self._change(tuple(parsed.object for parsed in manifest.objects))

    async def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        self._change((), (ObjectRef(kind, namespace, name),))

    def _change(self, upserts: tuple[Any, ...], removed: tuple[ObjectRef, ...] = ()) -> None:
        self.revision += 1
        self.declared.update({each.ref: each for each in upserts})
        for ref in removed:
            self.declared.pop(ref, None)
        self.mesh.receive(STORE, ObjectsChange(upserts, removed, self.revision))

    def judged(self, caller: str, target: str, path: str = "/") -> Verdict:
        """What ``xdsctl authz can`` would say of a caller and the only workload of a service."""
        services = dict(self.mesh.catalog.services())
        endpoints = {key: self.mesh.catalog.endpoints(key) for key in services}
        known = seen(self.mesh.shut_out.identities, self.mesh.observed().proxies, self.mesh.foreign_domains)
        site = site_of(self.declared.values(), services, endpoints, MeshSettings(), known)
        (verdict,) = can(site, Question(caller, target, path=path))
        return verdict

    async def sidecar(self, name: str, address: str, **options: Any) -> Envoy:
        """An Envoy that proves the service account of its name, with an HTTP proxy for its program."""
        (proxy,) = free_ports(1)
        self.proxies[name] = f"http://{address}:{proxy}"
        return await self._proxy(name, address, {"http_proxy_port": proxy, **options})

    async def gateway(self, name: str, address: str, **options: Any) -> Envoy:
        """An Envoy that proves the service account of its name, and opens what Gateways for its label say."""
        return await self._proxy(name, address, {"role": Role.ROUTER, **options})

    async def _proxy(self, name: str, address: str, options: Mapping[str, Any]) -> Envoy:
        (admin,) = free_ports(1)
        described = BootstrapOptions(
            role=Role.SIDECAR,
            name=name,
            namespace="default",
            address=address,
            xds_addresses=(TcpAddress(self.host, self.port),),
            labels={"app": name},
            interception=Interception.NONE,
            outbound_bind=address,
            admin_port=admin,
        )
        token, _ = await self.tokens.create(account(name), datetime.now(UTC), timedelta(hours=1))
        config = over_tls(bootstrap_json(replace(described, **options)), token, self.authority.bundle)
        if name in self.sotw:
            config["dynamicResources"]["adsConfig"]["apiType"] = "GRPC"
        envoy = self.envoys[name] = Envoy(config, self.folder, name=f"envoy-{name}")
        await self.stack.enter_async_context(envoy)
        return envoy

    async def get(self, caller: str, url: str) -> tuple[int, str]:
        """What a program is answered through the sidecar beside it."""
        timeout = aiohttp.ClientTimeout(total=30)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, proxy=self.proxies[caller]) as response,
        ):
            return response.status, await response.text()

    async def client(self, name: str = "", alpn: str = "istio", domain: str = DOMAIN) -> ssl.SSLContext:
        """TLS of a caller without a sidecar: with the certificate of an account (``shown``, by name), or with none.

        Of whatever ``domain`` it is, the mesh's own authority signed it.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(cadata=self.authority.bundle.decode())
        context.set_alpn_protocols([alpn])
        if name:
            made = await self._credential(account(name, domain))
            self.shown[name] = made.svid.certificate
            file = self.folder / f"{name}.pem"
            file.write_bytes(made.key + made.svid.chain)
            context.load_cert_chain(file)
        return context

    async def _credential(self, identity: SpiffeID) -> Credential:
        """A key with its certificate, of another trust domain too, which the authority itself would not sign for."""
        if identity.trust_domain == DOMAIN:
            return await self.authority.credential(identity)
        trust = self.authority._trust
        assert trust is not None
        key, now = new_key(), datetime.now(UTC)
        asked = Request(key.public_key(), identity, LIFETIME, now, random.getrandbits(64))
        return Credential(issue(trust.cas[0], asked), private_pem(key))


async def peer_of(address: str, port: int, tls: ssl.SSLContext) -> x509.Certificate:
    """The certificate that a server shows, once it has believed ours."""
    reader, writer = await asyncio.open_connection(address, port, ssl=tls)
    try:
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert await reader.read(), "the server closed without a word"
        made = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(made)
    finally:
        writer.close()


def identity_in(certificate: x509.Certificate) -> list[str]:
    """The SPIFFE ids of a certificate."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def over_tls(config: Mapping[str, Any], token: str, roots: bytes) -> dict[str, Any]:
    """The bootstrap with xDS over TLS, and a token."""
    made = {**config}
    ads = made["dynamicResources"]["adsConfig"]
    for each in ads["grpcServices"]:
        each["initialMetadata"] = [{"key": "authorization", "value": f"Bearer {token}"}]
    for cluster in made["staticResources"]["clusters"]:
        cluster["transportSocket"] = {
            "name": "envoy.transport_sockets.tls",
            "typedConfig": {
                "@type": _TLS_SOCKET,
                "sni": SERVER_NAME,
                "commonTlsContext": {
                    "alpnProtocols": ["h2"],
                    "validationContext": {"trustedCa": {"inlineString": roots.decode()}},
                },
            },
        }
    return made


@asynccontextmanager
async def village(
    folder: Path,
    *,
    lifetime: timedelta = LIFETIME,
    pace: Callable[[float, float], float] = renewal,
    sotw: Collection[str] = (),
    host: str = "127.0.0.1",
) -> AsyncIterator[Village]:
    """A control plane that serves over TLS; ``pace`` says when certificates are renewed, of their life and chance, and
    ``sotw`` which proxies are told the state of the world instead of what changed. It is at the address ``host``.
    """
    log, metrics = structlog.get_logger(), Metrics(CollectorRegistry(), "test")
    clock = asyncio.get_running_loop().time
    store = MemoryStore()
    source = StoredRoots(store, Sealer(b"k" * 32), DOMAIN, KeyType.ECDSA_P256, log)
    authority = Authority(source, DOMAIN, lifetime)
    tokens, revocations = Tokens(store, log), Revocations(store, log)
    federation = Federation(DOMAIN, log, lambda _: {})
    mesh = Reconciler(
        Compiler(MeshSettings()),
        DOMAIN,
        metrics,
        log,
        clock,
        Settling(quiet=0.001, longest=0.01),
        trust=federation.declare,
    )
    sink = mesh.expect(STORE)
    made = Village(
        folder,
        authority,
        tokens,
        revocations,
        mesh,
        federation,
        metrics,
        pace,
        sotw=frozenset(sotw),
        host=host,
        port=free_port(),  # nobody is given it while the server is away
    )
    federation.tell, federation.admit = made.trusts_others, mesh.set_foreign
    jobs = [authority.run(), tokens.run(), revocations.run(), mesh.run(made.published)]
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        sink.synced()
        async with asyncio.timeout(60):
            await asyncio.gather(tokens.known(), revocations.known(), authority.known())
        await made.comes()
        async with made.stack:
            yield made
    finally:
        await made.leaves()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()
