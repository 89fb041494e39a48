"""What owners of Gateways get wrong beside others: told at the right place, and everything else is served."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.asking import thing
from tests.e2e.edges import EDGE, Edge, edge, server
from tests.lab.echo import first_line
from tests.lab.eventually import eventually

pytestmark = pytest.mark.e2e


def gateway(name: str, *servers: dict[str, Any]) -> dict[str, Any]:
    made = thing("Gateway", name, {"selector": {"app": "edge"}, "servers": list(servers)})
    made["metadata"]["namespace"] = "edge"
    return made


async def plain(gate: Edge) -> str:
    """The status line of a request in plaintext."""
    return await first_line(EDGE, gate.http, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")


async def test_gateways_that_contradict_an_older_one_cost_it_nothing(tmp_path: Path) -> None:
    """A host that is taken, ports of another protocol, a certificate for other hosts and one that is not there: each is told
    at its field, and the servers beside it are served, the older ones' as before.
    """
    async with edge(tmp_path) as gate:
        shop = gate.authority.issue("shop", "DNS:shop.example.com")
        wide = gate.authority.issue("wide", "DNS:*.example.com")
        await gate.secret("shop", shop)
        await gate.secret("wide", wide)
        await gate.servers(
            server(gate.https, "shop", ["shop.example.com"], mode="SIMPLE", credentialName="shop"),
            {"port": {"number": gate.http, "name": "plain", "protocol": "HTTP"}, "hosts": ["*"]},
        )

        async def served() -> None:
            status, names, _ = await gate.ask("shop.example.com")
            assert (status, names) == (200, ["shop.example.com"])
            assert await plain(gate) == "HTTP/1.1 200 OK"

        await eventually(served, "the older Gateway is served")
        secure = {"mode": "SIMPLE", "credentialName": "wide"}
        opaque = [
            {"port": {"number": number, "name": f"tcp-{number}", "protocol": "TCP"}, "hosts": ["*"]}
            for number in (gate.https, gate.http)
        ]
        route = {"http": [{"route": [{"destination": {"host": "shop.internal"}}]}]}
        others = (
            gateway(
                "twin",
                server(gate.https, "twin", ["shop.example.com", "twin.example.com"], **secure),
                *opaque,
                server(gate.http, "tls", ["tls.example.com"], **secure),
                server(gate.https, "late", ["late.example.com"], **secure),
            ),
            gateway(
                "wrong",
                server(gate.https, "misnamed", ["shop.example.org"], **secure),
                server(gate.https, "absent", ["absent.example.com"], mode="SIMPLE", credentialName="absent"),
            ),
            thing(
                "VirtualService", "others", {**route, "hosts": ["*"], "gateways": ["edge/twin", "edge/wrong"]}
            ),
        )
        await gate.daemon.xdsctl("apply", "-f", "-", text="\n---\n".join(map(json.dumps, others)))

        async def others_served() -> None:
            assert (await gate.ask("late.example.com"))[0] == 200

        await eventually(others_served, "what is right of the younger one is served")
        await served()
        assert await gate.refused("absent.example.com")
        assert await gate.refused("twin.example.com")
        lines = (
            f"Gateway edge/twin spec.servers[0].hosts: shop.example.com of port {gate.https} is served by Gateway edge/edge",
            f"Gateway edge/twin spec.servers[1].port: TCP cannot share port {gate.https} with HTTPS of Gateway edge/edge",
            f"Gateway edge/twin spec.servers[2].port: TCP cannot share port {gate.http} with HTTP of Gateway edge/edge",
            f"Gateway edge/twin spec.servers[3].port: HTTPS cannot share port {gate.http} with HTTP of Gateway edge/edge",
            "warning: Gateway edge/wrong spec.servers[0].tls.credentialName: no certificate of edge that is named here",
            "Gateway edge/wrong spec.servers[1].tls: stays closed: there is no secret edge/absent",
        )

        async def is_told() -> None:
            told = await gate.daemon.xdsctl("problems")
            for line in lines:
                assert line in told, (line, told)
            assert "Gateway edge/edge" not in "".join(line.split(":")[0] for line in told.splitlines())

        await eventually(is_told, "each is told at its field")
        await gate.daemon.xdsctl("delete", "gateway", "edge", "-n", "edge")

        async def taken_over() -> None:
            assert (await gate.ask("twin.example.com"))[1] == ["*.example.com"]

        await eventually(taken_over, "with the older one gone the younger one has its hosts")
