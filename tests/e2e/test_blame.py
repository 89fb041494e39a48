"""Real Envoys that cannot have a file or an address: all else goes on, and who asked for it is named with the field."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.patching import HOST, Shop, running_shop
from tests.lab.echo import http_server
from tests.lab.eventually import eventually
from tests.lab.ports import free_port, free_ports

pytestmark = pytest.mark.e2e

API = "networking.istio.io/v1"
NOT_TAKEN = "so the cluster outbound|{}||{} is not taken there"


def declared(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}


def mesh_config(log: str) -> dict[str, Any]:
    where = {"name": "default", "namespace": "istio-system"}
    spec = {"accessLogFile": log}
    return {"apiVersion": "mesh.xdsd.io/v1", "kind": "MeshConfig", "metadata": where, "spec": spec}


def edge(name: str, **server: Any) -> dict[str, Any]:
    """One more Gateway of the shop's gateway."""
    return declared(
        "Gateway", name, {"selector": {"app": "gateway"}, "servers": [{"hosts": ["*"], **server}]}
    )


def at(port: int, protocol: str = "HTTP") -> dict[str, Any]:
    return {"port": {"number": port, "name": protocol.lower(), "protocol": protocol}}


async def told(shop: Shop, *starts: str) -> list[str]:
    """The lines of what is wrong that begin with these words, once there is one for each and no other rejection."""

    async def lines() -> list[str]:
        printed = (await shop.daemon.xdsctl("problems")).splitlines()
        found = sorted(line for line in printed if "(RejectedByProxy)" in line)
        assert len(found) == len(starts), found
        assert all(map(str.startswith, found, sorted(starts))), found
        return found or [""]

    return await eventually(lines, f"told are {starts}")


async def synced(shop: Shop) -> None:
    """Waits until every proxy has all, however long that takes which is to be left out."""
    await eventually(lambda: shop.daemon.xdsctl("wait", "--for=synced"), "no proxy rejects anything")


async def status(shop: Shop, port: int) -> int:
    """What the gateway answers on a port."""
    return (await shop.at(port)).status


async def test_a_log_that_one_machine_cannot_open(tmp_path: Path) -> None:
    """The sidecar cannot open the log and the gateway can: both take a listener that comes later, the gateway writes, the
    MeshConfig is to blame, and mended it is written by both.
    """
    async with running_shop(tmp_path) as shop:
        folder = tmp_path / "gateway-alone"
        folder.mkdir()
        await shop.apply(mesh_config("/no/such/dir/x"))
        (line,) = await told(
            shop, "MeshConfig istio-system/default spec.accessLogFile: client.default and 1 other"
        )
        assert "unable to open file '/no/such/dir/x': No such file or directory" in line
        port, program = free_ports(2)
        later = {
            "hosts": ["later.example.com"],
            "ports": [{"number": port, "name": "tcp", "protocol": "TCP"}],
            "resolution": "STATIC",
            "endpoints": [{"address": "127.0.0.1", "ports": {"tcp": program}}],
        }
        async with http_server("later", "127.0.0.1", program):
            await shop.apply(
                declared("ServiceEntry", "later", later), edge("more", bind="127.0.0.1", **at(free_port()))
            )
            await synced(shop)

            async def is_later() -> bool:
                return (await shop.at(port)).text.startswith("later")

            await eventually(is_later, "the sidecar listens where it was told while it had no log")
        log = folder / "log"
        await shop.apply(mesh_config(str(log)))
        await told(shop)
        await synced(shop)

        async def is_written() -> bool:
            assert (await shop.through_gateway()).status == 200
            return log.exists() and "GET / HTTP" in log.read_text()

        await eventually(is_written, "the log is written")


async def test_files_and_addresses_that_a_machine_does_not_have(tmp_path: Path) -> None:
    """Clusters and listeners that an Envoy refuses are named by object and field, hold nothing back that comes with them or
    after them, and are told no more once they are mended.
    """
    async with running_shop(tmp_path) as shop:
        tls = {"mode": "SIMPLE", "caCertificates": "/no/such"}
        nowhere, taken, secure, good = free_ports(4)
        server_tls = {"mode": "SIMPLE", "serverCertificate": "/no/cert", "privateKey": "/no/key"}
        async with http_server("taken", "127.0.0.1", taken):
            await shop.apply(
                declared("DestinationRule", "nt", {"host": "shop", "trafficPolicy": {"tls": tls}}),
                edge("nowhere", bind="9.9.9.9", **at(nowhere)),
                edge("taken", bind="127.0.0.1", **at(taken)),
                edge("secure", bind="127.0.0.1", tls=server_tls, **at(secure, "HTTPS")),
                edge("good", bind="127.0.0.1", **at(good)),
                declared("VirtualService", "good", {"hosts": ["*"], "gateways": ["good"], "http": [TEAPOT]}),
            )
            lines = await told(
                shop,
                "DestinationRule default/nt spec.trafficPolicy.tls.caCertificates: client.default and 1 other proxy say:"
                " Invalid path: /no/such",
                "Gateway default/nowhere spec.servers[0].bind: gateway.default says: cannot bind",
                "Gateway default/secure spec.servers[0].tls.privateKey: gateway.default says: Failed to load",
                "Gateway default/taken spec.servers[0].port.number: gateway.default says: cannot bind",
            )
            assert NOT_TAKEN.format(shop.service_port, HOST) in lines[0]
            await eventually(lambda: _is(418, shop, good), "the good server came with the bad ones")
            # What is there goes on as it was, and what comes later comes through.
            assert (await shop.through_gateway()).status == 200
            teapot = {**TEAPOT, "directResponse": {"status": 425}}
            await shop.apply(
                declared("VirtualService", "good", {"hosts": ["*"], "gateways": ["good"], "http": [teapot]})
            )
            await eventually(lambda: _is(425, shop, good), "a later change came through")
            later = free_port()
            await shop.apply(edge("good", bind="127.0.0.1", **at(later)))
            await eventually(lambda: _is(425, shop, later), "so did a listener")
        for kind, name in (("gateway", "nowhere"), ("gateway", "taken"), ("gateway", "secure")):
            await shop.daemon.xdsctl("delete", kind, name)
        rule = {"host": "shop", "trafficPolicy": {"tls": {"mode": "DISABLE"}}}
        await shop.apply(declared("DestinationRule", "nt", rule))
        await told(shop)
        await synced(shop)


TEAPOT: dict[str, Any] = {"name": "tea", "directResponse": {"status": 418}}


async def _is(wanted: int, shop: Shop, port: int) -> bool:
    return await status(shop, port) == wanted
