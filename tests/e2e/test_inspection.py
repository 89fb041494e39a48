"""TLS of programs that their own sidecars read, and begin anew outward."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.asking import accepted, ask, encoded
from tests.e2e.test_identity import REVIEWS, Mesh, mesh
from tests.lab.certificates import Authority
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports
from tests.lab.sites import Site

pytestmark = pytest.mark.e2e

PROGRAM = "127.0.0.14"
"""Where the sidecar listens in its program's place."""

BANK, OPEN = "bank.example.com", "open.example.com"


def thing(
    kind: str, name: str, spec: Mapping[str, Any], group: str = "networking.istio.io"
) -> dict[str, Any]:
    return {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "istio-system"},
        "spec": spec,
    }


def outside(host: str, port: int, target: int) -> dict[str, Any]:
    """A server outside that speaks TLS."""
    spec = {
        "hosts": [host],
        "ports": [{"number": port, "name": "tls", "protocol": "TLS"}],
        "resolution": "STATIC",
        "endpoints": [{"address": "127.0.0.1", "ports": {"tls": target}}],
    }
    return thing("ServiceEntry", host.partition(".")[0], spec)


@dataclass(frozen=True, slots=True)
class Caller:
    """A program beside a sidecar; it believes the authorities of ``trust`` alone."""

    port: int
    trust: Path

    async def ask(self, name: str, host: str = "", path: str = "/") -> tuple[int, str, str]:
        """The status and the text of an answer, and who the server's certificate says that signed it."""
        context = ssl.create_default_context(cafile=str(self.trust))
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(
                PROGRAM, self.port, ssl=context, server_hostname=name
            )
            try:
                issuer = ", ".join(
                    value for entry in writer.get_extra_info("peercert")["issuer"] for _, value in entry
                )
                writer.write(
                    f"GET {path} HTTP/1.1\r\nhost: {host or name}\r\nconnection: close\r\n\r\n".encode()
                )
                head, _, text = (await reader.read()).decode().partition("\r\n\r\n")
            finally:
                writer.close()
        assert head, "the sidecar closed without a word"
        return int(head.split()[1]), text, issuer


async def apply(made: Mesh, *objects: Mapping[str, Any]) -> None:
    accepted(await ask(made.daemon, lambda client: client.apply(encoded(list(objects)))))


async def sidecar(made: Mesh, folder: Path) -> Any:
    token = folder / "reviews.token"
    token.write_text(await made.token())
    words = ("--address", PROGRAM, "--outbound-bind", PROGRAM, "--root", made.root)
    return await made.bootstrap("till", *words, "--join-token-file", token, "--xds-address", made.tls)


async def test_a_sidecar_reads_what_its_program_says_to_the_servers_that_an_inspection_names(
    tmp_path: Path,
) -> None:
    """The program is shown a certificate of the mesh for the name that it asked for, requests are routed and logged by path,
    the server must prove itself, a request for another host is misdirected, and other servers see the program's own TLS.
    """
    authority = Authority(tmp_path / "pki")
    pairs = {host: authority.issue(host, f"DNS:{host}") for host in (BANK, OPEN)}
    port, *targets = free_ports(3)
    contexts = {host: ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) for host in pairs}
    for host, context in contexts.items():
        context.load_cert_chain(pairs[host].cert, pairs[host].key)
    async with (
        Site("bank", "127.0.0.1", targets[0], contexts[BANK]) as bank,
        Site("open", "127.0.0.1", targets[1], contexts[OPEN]),
        mesh(tmp_path, **{"system-ca": str(authority.cert)}) as made,
    ):
        await apply(
            made,
            outside(BANK, port, targets[0]),
            outside(OPEN, port, targets[1]),
            thing("Inspection", "bank", {"hosts": [BANK], "ports": [port]}, "mesh.xdsd.io"),
            thing("MeshConfig", "default", {"accessLogFile": str(tmp_path / "log")}, "mesh.xdsd.io"),
            thing(
                "VirtualService",
                "bank",
                {
                    "hosts": [BANK],
                    "http": [
                        {"match": [{"uri": {"prefix": "/closed"}}], "directResponse": {"status": 403}},
                        {"route": [{"destination": {"host": BANK, "port": {"number": port}}}]},
                    ],
                },
            ),
        )
        async with Envoy(await sidecar(made, tmp_path), tmp_path) as envoy:
            inside = Caller(port, made.root)

            async def read() -> None:
                status, text, issuer = await inside.ask(BANK, path="/balance")
                assert (status, text, "xdsd root" in issuer) == (200, "bank", True), (status, text, issuer)

            await eventually(read, "the program's TLS ends in its sidecar")
            assert bank.server_name == BANK
            assert (await inside.ask(BANK, path="/closed/vault"))[0] == 403
            assert (await inside.ask(BANK, host=OPEN))[0] == 421
            own = Caller(port, authority.cert)
            assert (await own.ask(OPEN))[1:] == ("open", "test CA")
            with pytest.raises(ssl.SSLCertVerificationError):
                await own.ask(BANK)
            await eventually(lambda: '"GET /balance' in (tmp_path / "log").read_text(), "a line a request")

            # A server that is not who it says gets nothing of what the program says.
            pair = authority.issue("wrong", "DNS:wrong.example.com")
            wrong = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            wrong.load_cert_chain(pair.cert, pair.key)
            await bank.stop()
            async with Site("impostor", "127.0.0.1", targets[0], wrong) as impostor:

                async def refused() -> bool:
                    return (await inside.ask(BANK))[0] == 503 and impostor.server_name == BANK

                await eventually(refused, "the server's certificate is looked at")
                assert impostor.requests == 0
            assert "PRIVATE KEY" not in made.daemon.program.log.read_text()
            assert "inspection" in await envoy.get("/certs") or "inspection" in json.dumps(
                await envoy.config_dump()
            )


async def test_an_inspection_ends_and_is_for_some_accounts_alone(tmp_path: Path) -> None:
    """One of another service account leaves the program's TLS alone; once it is for all it is read; once it is gone no more.
    Names of the mesh itself are never stood for, and it is said.
    """
    authority = Authority(tmp_path / "pki")
    pair = authority.issue(BANK, f"DNS:{BANK}")
    port, target = free_ports(2)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)
    async with (
        Site("bank", "127.0.0.1", target, context),
        mesh(tmp_path, **{"system-ca": str(authority.cert)}) as made,
    ):
        spec = {"hosts": [BANK, "xdsd.cluster.local"], "ports": [port], "serviceAccounts": ["other"]}
        await apply(made, outside(BANK, port, target), thing("Inspection", "bank", spec, "mesh.xdsd.io"))
        async with Envoy(await sidecar(made, tmp_path), tmp_path):
            assert (await made.connected("till")).identity == REVIEWS
            own, inside = Caller(port, authority.cert), Caller(port, made.root)

            async def untouched() -> None:
                assert (await own.ask(BANK))[2] == "test CA"

            await eventually(untouched, "another account's Inspection leaves it alone")
            spec["serviceAccounts"] = ["other", "reviews"]
            await apply(made, thing("Inspection", "bank", spec, "mesh.xdsd.io"))

            async def read() -> None:
                assert "xdsd root" in (await inside.ask(BANK))[2]

            await eventually(read, "it is read")
            told = await made.daemon.xdsctl("problems")
            assert "xdsd.cluster.local is of the mesh" in told, told
            await made.daemon.xdsctl("delete", "inspection", "bank", "-n", "istio-system")
            await eventually(untouched, "it is read no more")
