"""The contract of registries on a real Consul, from which the registry is cut off and joined again."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.registry import RegistryContract
from tests.lab.consul import ConsulAgent
from tests.lab.relay import Relay
from xdsd.model.catalog import ServiceKey
from xdsd.registry.base import Registry
from xdsd.registry.consul import ConsulOptions
from xdsd.registry.consul.registry import ConsulRegistry
from xdsd.registry.consul.timing import Timing

QUICK = Timing(names=5.0, service=10.0, first_pause=0.05, longest_pause=0.4)


class ConsulPlatform:
    """Services whose instances stand on one node; one without instances is kept by one that has no port."""

    def __init__(self, consul: ConsulAgent, relay: Relay) -> None:
        self.consul = consul
        self._relay = relay
        self.known: dict[str, set[str]] = {}

    def registry(self) -> Registry:
        return ConsulRegistry(
            f"http://127.0.0.1:{self._relay.port}", ConsulOptions(), "mesh.local", timing=QUICK
        )

    def key(self, name: str) -> ServiceKey:
        return ServiceKey("default", f"{name}.service.consul")

    async def declare(self, name: str, addresses: Sequence[str]) -> None:
        wanted = {f"{name}-{address}": address for address in addresses}
        changes = [
            *self._puts(name, wanted),
            *self._deletes(name, self.known.get(name, set()) - {*wanted, name}),
        ]
        self.known[name] = {*wanted, name}
        await self.consul.txn(changes)

    async def withdraw(self, name: str) -> None:
        await self.consul.txn(list(self._deletes(name, self.known.pop(name))))

    async def spoil(self, name: str) -> None:
        wrong = {"ID": f"{name}-wrong", "Service": name, "Port": 80, "Address": "10.0.0.300"}
        self.known[name].add(f"{name}-wrong")
        await self.consul.txn([{"Service": {"Verb": "set", "Node": "machine", "Service": wrong}}])

    async def touch(self) -> None:
        for name, idents in self.known.items():
            addresses = [each.removeprefix(f"{name}-") for each in idents if each != name]
            await self.declare(name, addresses)

    async def leave(self) -> None:
        await self._relay.cut()

    async def come(self) -> None:
        await self._relay.mend()

    def _puts(self, name: str, wanted: dict[str, str]) -> list[dict[str, Any]]:
        meta = {"service-port": "80", "protocol": "http"}
        services: list[dict[str, Any]] = [{"ID": name, "Service": name, "Meta": meta}]
        services += [
            {"ID": ident, "Service": name, "Port": 80, "Address": address, "Meta": meta}
            for ident, address in wanted.items()
        ]
        node = {"Node": {"Verb": "set", "Node": {"Node": "machine", "Address": "10.9.9.9"}}}
        return [
            node,
            *({"Service": {"Verb": "set", "Node": "machine", "Service": each}} for each in services),
        ]

    def _deletes(self, name: str, idents: set[str]) -> list[dict[str, Any]]:
        gone = [{"ID": ident, "Service": name} for ident in sorted(idents)]
        return [{"Service": {"Verb": "delete", "Node": "machine", "Service": each}} for each in gone]


@pytest.mark.e2e
class TestConsulContract(RegistryContract):
    @pytest.fixture
    async def platform(self, tmp_path: Path) -> AsyncIterator[ConsulPlatform]:
        async with (
            ConsulAgent(tmp_path, forgetful=True) as consul,
            Relay(consul.port) as relay,
        ):
            yield ConsulPlatform(consul, relay)
