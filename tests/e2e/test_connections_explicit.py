"""A sidecar without redirection: programs call its ports on loopback, and tcp and tls rules say where that leads."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.asking import thing
from tests.lab.daemon import Daemon
from tests.lab.echo import first_line, tcp_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.hello import client_hello
from tests.lab.ports import free_ports

pytestmark = pytest.mark.e2e

BIND = "127.0.0.5"


def service(name: str, port: int, protocol: str, **targets: int) -> dict[str, Any]:
    """A service of programs on this machine, each a version of its own; without a protocol if that is empty."""
    declared = {"protocol": protocol} if protocol else {}
    endpoints = [
        {"address": "127.0.0.1", "ports": {"main": target}, "labels": {"version": version}}
        for version, target in targets.items()
    ]
    spec = {"ports": [{"number": port, "name": "main", **declared}], "resolution": "STATIC"}
    return thing("ServiceEntry", name, {"hosts": [f"{name}.example.com"], **spec, "endpoints": endpoints})


def versions(name: str) -> dict[str, Any]:
    subsets = [{"name": each, "labels": {"version": each}} for each in ("one", "two")]
    return thing("DestinationRule", name, {"host": f"{name}.example.com", "subsets": subsets})


def rules(name: str, section: str, *shares: tuple[str, int], **match: Any) -> dict[str, Any]:
    host = f"{name}.example.com"
    route = [{"destination": {"host": host, "subset": subset}, "weight": weight} for subset, weight in shares]
    rule = {"route": route, **({"match": [match]} if match else {})}
    return thing("VirtualService", name, {"hosts": [host], section: [rule]})


async def test_ports_of_loopback_follow_the_rules(tmp_path: Path) -> None:
    """By port, source and server name; a service whose protocol nobody declared is carried unread where it is no HTTP."""
    tcp, tls, auto, one, two = free_ports(5)
    both = {"one": one, "two": two}
    async with (
        tcp_server("one", "127.0.0.1", one),
        tcp_server("two", "127.0.0.1", two),
        Daemon(tmp_path) as daemon,
    ):

        async def apply(*objects: dict[str, Any]) -> None:
            await daemon.xdsctl("apply", "-f", "-", text="\n---\n".join(map(json.dumps, objects)))

        async def answer(port: int, say: bytes = b"") -> str:
            return (await first_line(BIND, port, say)).partition(" ")[0]

        async def answers(expected: set[str], port: int, say: bytes = b"") -> bool:
            return {await answer(port, say) for _ in range(8)} == expected

        await apply(
            service("tcp", tcp, "TCP", **both),
            service("tls", tls, "TLS", **both),
            service("auto", auto, "", **both),
            *(versions(name) for name in ("tcp", "tls", "auto")),
        )
        words = ("--name", "a", "--address", "127.0.0.9", "--interception", "none", "-o", "json")
        text = await daemon.xdsctl("bootstrap", *words, "--xds-address", daemon.xds_address)
        bootstrap = json.loads(text)
        bootstrap["node"]["metadata"]["OUTBOUND_BIND"] = BIND
        hello = client_hello("tls.example.com")
        async with Envoy(bootstrap, tmp_path):
            await eventually(lambda: answers({"one", "two"}, tcp))
            await eventually(lambda: answers({"one", "two"}, tls, hello))
            await apply(
                rules("tcp", "tcp", ("one", 0), ("two", 1), sourceSubnet="127.0.0.0/8", port=tcp),
                rules("tls", "tls", ("one", 1), sniHosts=["tls.example.com"], port=tls),
                rules("auto", "tcp", ("two", 1)),
            )
            await eventually(lambda: answers({"two"}, tcp))
            await eventually(lambda: answers({"one"}, tls, hello))
            await eventually(lambda: answers({"two"}, auto, b"raw\n"))
            assert await answer(tls, client_hello("other.example.com")) == ""
            await apply(rules("tcp", "tcp", ("two", 1), port=tcp + 1))
            await eventually(lambda: answers({"one", "two"}, tcp))
