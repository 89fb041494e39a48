"""Meshes of tests: a catalog, an authority and the peering of each, joined over loopback as daemons are."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import count
from typing import Any, Self

import grpc
import structlog
from cryptography import x509

from tests.ca.making import DAY, root
from tests.lab.ports import free_port
from xdsd.ca.authority import Credential
from xdsd.ca.issuer import Ca, Request, bundle, issue, pem
from xdsd.ca.keys import new_key, private_pem
from xdsd.ca.proving import daemon_name
from xdsd.intents.watching import IntentChange
from xdsd.model.catalog import Service, ServiceKey
from xdsd.model.identity import SpiffeID
from xdsd.model.intent import Metadata, Object, Peer
from xdsd.model.problem import ObjectRef, Problem
from xdsd.peers import Mesh, Peers
from xdsd.registry.base import CatalogChange, ObjectsChange
from xdsd.registry.catalog import Catalog
from xdsd.registry.last_good import LastGood

ROOT = "istio-system"
_SERIALS = count(1)


class Source:
    """What one source said last, of itself and to the catalog."""

    def __init__(self, installation: "Installation", name: str) -> None:
        self._installation = installation
        self._name = name
        self.state = "SYNCING"
        self.found: Sequence[Problem] = ()

    def change(self, change: CatalogChange) -> None:
        self._installation.apply(self._name, change)

    def objects(self, change: ObjectsChange) -> None:
        raise AssertionError(f"{self._name} declares objects: {change}")

    def synced(self) -> None:
        self.state = "SYNCED"

    def stale(self, why: str) -> None:
        self.state = f"STALE {why}"

    def problems(self, scope: str, problems: Sequence[Problem]) -> None:
        self.found = problems


class Installation:
    """One mesh; a context in which it takes peers."""

    def __init__(self, name: str, *, ca: Ca | None = None, domain: str = "", copies: LastGood | None = None):
        self.name = name
        self.domain = domain or f"{name}.example"
        self.ca = ca or root(domain=self.domain, now=datetime.now(UTC))
        self.catalog = Catalog()
        self.sources: dict[str, Source] = {}
        self.brought: dict[str, Mapping[str, tuple[x509.Certificate, ...]]] = {}
        self.current: Credential | None = self.credential(self.ca)
        self.shut_out: set[int] = set()
        self.roots: tuple[x509.Certificate, ...] = (self.ca.certificate,)
        mesh = Mesh(name, self.domain, "cluster.local", ROOT)
        self.peers = Peers(
            mesh,
            self.catalog,
            self,
            self,
            lambda: self.roots,
            self.brought.__setitem__,
            structlog.get_logger(),
            copies,
            revoked=lambda identity, serial, now: serial if serial in self.shut_out else None,
        )
        self.revoking = asyncio.Event()
        self.port = free_port()
        self._stack = AsyncExitStack()
        self._server: grpc.aio.Server | None = None

    def credential(self, ca: Ca, account: str = "xdsd") -> Credential:
        """A certificate of a workload of the root namespace; of the daemon, by default."""
        key, identity = new_key(), SpiffeID(self.domain, ROOT, account)
        names = (daemon_name(self.domain),) if account == "xdsd" else ()
        request = Request(key.public_key(), identity, DAY, datetime.now(UTC), next(_SERIALS), names)
        return Credential(issue(ca, request), private_pem(key))

    async def __aenter__(self) -> Self:
        await self.serve()
        self._running = asyncio.gather(self.peers.run(), self.peers.follow_revocations(lambda: self.revoking))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self.deaf()

    async def serve(self) -> None:
        """Takes peers, at the same port as before."""
        assert self.current is not None

        def configuration() -> grpc.ServerCertificateConfiguration:
            assert self.current is not None
            pair = (self.current.key, self.current.svid.chain)
            trusted = self.peers.all_roots() or bundle(self.roots)
            return grpc.ssl_server_certificate_configuration([pair], trusted)

        credentials = grpc.dynamic_ssl_server_credentials(
            configuration(), configuration, require_client_authentication=True
        )
        self._server, self.port = self.peers.server(credentials, f"127.0.0.1:{self.port}")
        await self._server.start()

    async def deaf(self) -> None:
        """Takes no peers any more, and ends their streams."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    def expect(self, source: str) -> Source:
        return self.sources.setdefault(source, Source(self, source))

    def forget(self, source: str) -> None:
        del self.sources[source]

    def apply(self, source: str, change: CatalogChange) -> None:
        delta = self.catalog.apply(source, change)
        self.peers.services_changed(delta.services | delta.endpoints)

    def has(self, *services: Service) -> None:
        self.apply("store", CatalogChange(services=services))

    def declare(self, other: "Installation", **fields: Any) -> None:
        """A Peer, as the operator of this mesh writes it; ``fields`` are written over."""
        spec = {
            "addresses": [f"127.0.0.1:{other.port}"],
            "trustDomain": other.domain,
            "caCertificates": pem(other.ca.certificate).decode(),
            "exports": [{}],
            "imports": [{}],
            "gateways": [{"address": "192.0.2.1", "port": 15443}],
            **fields,
        }
        found = Object("mesh.xdsd.io/v1", "Peer", Metadata(ROOT, other.name), Peer.model_validate(spec))
        self.peers.objects(IntentChange(1, (found,)))

    def undeclare(self, other: str) -> None:
        self.peers.objects(IntentChange(1, removed=(ObjectRef("Peer", ROOT, other),)))

    def revoke(self, credential: Credential) -> None:
        """Shuts out whoever shows it."""
        self.shut_out.add(credential.svid.certificate.serial_number)
        done, self.revoking = self.revoking, asyncio.Event()
        done.set()

    def at(self, namespace: str, host: str) -> list[str]:
        return sorted(each.address for each in self.catalog.endpoints(ServiceKey(namespace, host)))

    def told(self, other: str) -> list[str]:
        """What is wrong with a peer."""
        return [each.message for each in self.sources[f"peer:{other}"].found]
