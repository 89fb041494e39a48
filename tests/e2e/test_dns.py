"""Programs that know nothing of the mesh look names up, wherever their resolv.conf points, and call what they find."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_machines_captured import PORTS, REVIEWS_ADDRESS, World, thing, world
from tests.lab.dns import Answer, Code, Kind, ask, dns_server
from tests.lab.echo import first_line, tcp_server
from tests.lab.eventually import eventually
from tests.lab.netns import INSIDE_ADDRESSES, capture_dns

pytestmark = pytest.mark.e2e

NOWHERE = ("192.0.2.53", 53)
"""The nameserver of the programs. There is none."""

OUTSIDE = {"outside.example.org": ("192.0.2.9", "2001:db8::9"), "old.example.org": ("192.0.2.10",)}
MARIA = 3307


def external(host: str, port: int, protocol: str, address: str, target: int) -> dict[str, Any]:
    """A ServiceEntry without an address of its own."""
    spec = {
        "hosts": [host],
        "ports": [
            {"number": port, "name": protocol.lower(), "protocol": protocol, "targetPort": target},
        ],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "endpoints": [{"address": address}],
    }
    return thing("ServiceEntry", host.removeprefix("*."), spec)


@dataclass(frozen=True, slots=True)
class Named:
    """A world whose machines look names up through their sidecars; ``asked`` is what the resolver outside heard."""

    mesh: World
    resolv: Path
    asked: list[str]

    async def program(self, *command: str) -> str:
        """The output of a program inside, whose resolv.conf points at a nameserver that is not there."""
        script = f'mount --bind {self.resolv} /etc/resolv.conf && exec "$@"'
        made = await asyncio.create_subprocess_exec(
            *("unshare", "--mount", "sh", "-ec", script, "program", *command),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(made.communicate(), 60)
        return output.decode() if made.returncode == 0 else f"ended with {made.returncode}: {output.decode()}"


SETTINGS = {"dns-resolvers": "10.201.0.2"}


@asynccontextmanager
async def named(folder: Path) -> AsyncIterator[Named]:
    """Reviews, a wildcard, and two databases on one port, none of which has an address that is routed anywhere."""
    async with world(folder, "v1", settings=SETTINGS, bootstrap=("--dns-capture",)) as mesh:
        capture_dns(mesh.inside)
        resolv = folder / "resolv.conf"
        resolv.write_text(f"nameserver {NOWHERE[0]}\noptions timeout:10 attempts:1\n")
        with mesh.outside.entered():
            server = dns_server(OUTSIDE, mesh.outside.address)
            asked = await server.__aenter__()
            maria = tcp_server("maria", "0.0.0.0", MARIA)
            await maria.__aenter__()
        try:
            outside = mesh.outside.address
            await mesh.apply(
                external("*.wild.example.com", 9080, "HTTP", outside, PORTS["v1"]),
                external("one.example.com", 3310, "TCP", outside, 3306),
                external("two.example.com", 3310, "TCP", outside, MARIA),
            )
            await eventually(lambda: found("two.example.com"))
            asked.clear()  # a name that the sidecar did not know yet was asked for outside
            yield Named(mesh, resolv, asked)
        finally:
            await maria.__aexit__(None, None, None)
            await server.__aexit__(None, None, None)


async def found(name: str) -> tuple[str, ...]:
    """The addresses of a name, none if there is none."""
    return (await ask(name, server=NOWHERE)).addresses


async def test_unmodified_programs_find_and_call_services(tmp_path: Path) -> None:
    """By any name that a service has, by wildcards, and two TCP services of a port apart; other names are found outside."""
    async with named(tmp_path) as lab:
        for name in (
            "reviews",
            "reviews.default",
            "reviews.default.svc",
            "reviews.default.svc.cluster.local",
        ):
            assert await found(name) == (REVIEWS_ADDRESS,)
            assert (await lab.program("curl", "-sS", f"http://{name}:9080/x")).splitlines()[0] == "v1"
        for name in ("any.wild.example.com", "a.b.wild.example.com"):
            assert (await lab.program("curl", "-sS", f"http://{name}:9080/")).splitlines()[:2] == [
                "v1",
                f"{name}:9080",
            ]
        for name, server in (("one", "mysql"), ("two", "maria")):
            script = f"exec 3<>/dev/tcp/{name}.example.com/3310; read -r line <&3; echo $line"
            assert (await lab.program("bash", "-c", script)).startswith(f"{server} ")
        assert lab.asked == []
        lines = (await lab.program("getent", "ahosts", "outside.example.org")).splitlines()
        assert {line.split()[0] for line in lines} == set(OUTSIDE["outside.example.org"])
        assert (await lab.program("getent", "hosts", "nobody.example.org")).startswith("ended with 2")
        assert set(lab.asked) == {"outside.example.org", "nobody.example.org"}
        await exists_for_both_families()


async def test_names_that_nobody_declared_are_not_asked_for_where_nothing_leaves(tmp_path: Path) -> None:
    """With REGISTRY_ONLY no question leaves, over UDP or over TCP, until a service is declared whose addresses are known
    outside alone.
    """
    async with named(tmp_path) as lab:
        policy = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
        await lab.mesh.apply(thing("Sidecar", "default", policy))

        async def closed() -> None:
            assert await ask("outside.example.org", server=NOWHERE) == Answer(Code.NXDOMAIN)

        await eventually(closed, "names outside are not known")
        lab.asked.clear()
        await closed()
        assert await ask("nobody.example.org", Kind.AAAA, NOWHERE) == Answer(Code.NXDOMAIN)
        assert await found("reviews") == (REVIEWS_ADDRESS,)
        with lab.mesh.outside.entered():
            over_tcp = tcp_server("resolver", "0.0.0.0", 53)
            await over_tcp.__aenter__()
        try:
            assert await first_line(lab.mesh.outside.address, 53) == ""
        finally:
            await over_tcp.__aexit__(None, None, None)
        assert lab.asked == []
        spec = {"hosts": ["*.example.org"], "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]}
        await lab.mesh.apply(thing("ServiceEntry", "org", {**spec, "resolution": "NONE"}))

        async def asked() -> None:
            assert await found("old.example.org") == ("192.0.2.10",)

        await eventually(asked, "what such a service needs is asked for")


async def exists_for_both_families() -> None:
    """Nobody hears that a name does not exist because it has no address of IPv6: that is the same, in IPv6's form."""
    both = {kind: await ask("reviews", kind, NOWHERE) for kind in (Kind.A, Kind.AAAA)}
    assert both[Kind.A] == Answer(Code.NOERROR, (REVIEWS_ADDRESS,), 30)
    assert both[Kind.AAAA].code is Code.NOERROR
    assert [each.rpartition(":")[0] for each in both[Kind.AAAA].addresses] == ["::ffff:a60"]
    # What Envoy makes of the rest is no better than this.
    assert await ask("old.example.org", Kind.A, NOWHERE) == Answer(Code.NOERROR, ("192.0.2.10",), 300)
    assert await ask("old.example.org", Kind.AAAA, NOWHERE) == Answer(Code.NXDOMAIN)
    assert await ask("outside.example.org", Kind.TXT, NOWHERE) == Answer(Code.NOTIMP)


async def test_a_machine_of_ipv6_is_answered_with_addresses_of_ipv6(tmp_path: Path) -> None:
    """Also for services whose own addresses are of IPv4; and connections to them are those services'."""
    bootstrap = ("--dns-capture", "--address", INSIDE_ADDRESSES[1])
    async with world(tmp_path, "v1", settings=SETTINGS, bootstrap=bootstrap) as mesh:
        capture_dns(mesh.inside)

        async def six(name: str) -> tuple[str, ...]:
            return (await ask(name, Kind.AAAA, ("2001:db8::53", 53))).addresses

        (address,) = await eventually(lambda: six("mysql.example.com"))
        assert address.startswith("2001:2:")
        assert (await first_line(address, 3306)).startswith("mysql ")
        assert (await six("reviews"))[0].startswith("2001:2:")


async def test_questions_during_edits_are_answered(tmp_path: Path) -> None:
    """While services come and go no question is lost or answered wrongly, and what stays keeps its address."""
    async with named(tmp_path) as lab:
        tally: dict[object, int] = {}
        kept = await found("one.example.com")
        stop = asyncio.Event()

        async def keep_asking(name: str, expected: tuple[str, ...]) -> None:
            while not stop.is_set():
                try:
                    answer = await ask(name, server=NOWHERE, timeout=30)
                    key: object = "right" if answer.addresses == expected else answer
                except TimeoutError:
                    key = "lost"
                tally[key] = tally.get(key, 0) + 1

        async with asyncio.TaskGroup() as asking:
            asking.create_task(keep_asking("reviews", (REVIEWS_ADDRESS,)))
            asking.create_task(keep_asking("one.example.com", kept))
            for number in range(1, 21):
                hosts = [f"new-{each}.example.com" for each in range(number // 2, number)]
                address = lab.mesh.outside.address
                lab.mesh.write("new.json", [external(host, 3310, "TCP", address, 3306) for host in hosts])
                await eventually(lambda host=hosts[-1]: found(host))  # type: ignore[misc]
            stop.set()
        assert set(tally) == {"right"}, tally
        assert tally["right"] > 20

        await flips_leave_the_names_alone(lab)


async def flips_leave_the_names_alone(lab: Named) -> None:
    """The table is pushed for names, not for where they lead."""
    before = listeners_sent(await lab.mesh.proxies["shop"].stats("lds.update_success"))
    lab.mesh.list_reviews("v1", "v2")

    async def both() -> bool:
        said = [await lab.program("curl", "-sS", "http://reviews:9080/") for _ in range(8)]
        return {each.partition("\n")[0] for each in said} == {"v1", "v2"}

    await eventually(both)
    assert listeners_sent(await lab.mesh.proxies["shop"].stats("lds.update_success")) == before


def listeners_sent(stats: Mapping[str, int]) -> int:
    """How often an Envoy took new listeners."""
    return stats["listener_manager.lds.update_success"]
