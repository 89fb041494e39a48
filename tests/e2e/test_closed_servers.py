"""Servers of a gateway whose files cannot be used are closed alone, on a real Envoy."""

from pathlib import Path

import pytest

from tests.e2e.edges import edge, server
from tests.lab.eventually import eventually

pytestmark = pytest.mark.e2e


async def test_a_bad_file_closes_its_server_and_no_other(tmp_path: Path) -> None:
    """One that is not there and one whose key is another's: the rest of the port serves, what comes later too; who asks for
    a closed host gets no certificate of a wider one; and a server that is mended opens.
    """
    async with edge(tmp_path) as gate:
        wide, own = (
            gate.authority.issue(name, f"DNS:{host}")
            for name, host in (("wide", "*.example.com"), ("shop", "shop.example.com"))
        )

        def files(cert: Path, key: Path) -> dict[str, str]:
            return {"mode": "SIMPLE", "serverCertificate": str(cert), "privateKey": str(key)}

        there = server(gate.https, "wide", ["*.example.com"], **files(wide.cert, wide.key))
        absent = server(gate.https, "absent", ["absent.example.com"], **files(Path("/no/such"), wide.key))
        other = server(gate.https, "shop", ["shop.example.com"], **files(own.cert, wide.key))
        await gate.servers(absent, other, there)

        async def opens(host: str) -> bool:
            return (await gate.ask(host))[0] == 200

        await eventually(lambda: opens("a.example.com"), "the good server serves")
        assert await gate.refused("absent.example.com")
        assert await gate.refused("shop.example.com")

        async def is_told() -> None:
            told = await gate.daemon.xdsctl("problems")
            assert "Gateway edge/edge spec.servers[0].tls.serverCertificate: edge.edge says: " in told
            assert "Gateway edge/edge spec.servers[1].tls.privateKey: edge.edge says: " in told
            assert "so this server is closed there" in told

        await eventually(is_told, "why each is closed is told")
        mended = server(gate.https, "shop", ["shop.example.com"], **files(own.cert, own.key))
        await gate.servers(absent, mended, there)
        await eventually(lambda: opens("shop.example.com"), "the mended server serves")
        assert (await gate.ask("shop.example.com"))[1] == ["shop.example.com"]
        assert await gate.refused("absent.example.com")

        async def is_told_no_more() -> None:
            assert "servers[1]" not in await gate.daemon.xdsctl("problems")

        await eventually(is_told_no_more, "nothing is wrong with the mended server")
