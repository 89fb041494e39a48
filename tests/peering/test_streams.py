"""Two meshes over loopback, with mutual TLS: what one exports arrives in the other's catalog."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from api.peering.dialling import in_words
from api.proto.xdsd.peer.v1 import peering_pb2 as pb
from tests.ca.making import root
from tests.lab.eventually import eventually
from tests.peering.meshes import Installation
from tests.peering.test_book import GLOBAL, A, a, local
from xdsd.ca.issuer import pem
from xdsd.model.catalog import Health
from xdsd.peers.peers import AT_ONCE
from xdsd.registry.base import CatalogChange
from xdsd.registry.last_good import LastGood


async def test_an_export_arrives_as_a_service_of_the_others_catalog() -> None:
    """By its global name, at the gateways of the mesh that has it; a flip there is one here."""
    async with Installation("east") as east, Installation("west") as west:
        east.has(a(local()))
        east.declare(west, addresses=[])
        west.declare(east)
        await eventually(lambda: west.at(*GLOBAL) == ["192.0.2.1"])
        assert west.sources["peer:east"].state == "SYNCED"
        assert west.told("east") == []
        assert west.brought["peer:east"] == {"east.example": (east.ca.certificate,)}
        east.apply("store", CatalogChange(endpoints={A: (local(health=Health.UNHEALTHY),)}))
        await eventually(lambda: west.catalog.endpoints(GLOBAL)[0].health is Health.UNHEALTHY)
        east.apply("store", CatalogChange(removed_services=(A,)))
        await eventually(lambda: west.catalog.service(GLOBAL) is None)


async def test_each_side_hears_the_other_and_nothing_goes_round() -> None:
    """A service that both have is one name in both, with the other's gateways; neither is told of its own."""
    async with Installation("east") as east, Installation("west") as west:
        east.has(a(local("10.1.0.1")))
        west.has(a(local("10.2.0.1")))
        gateways = {"east": "192.0.2.1", "west": "192.0.2.2"}
        for one, other in ((east, west), (west, east)):
            one.declare(other, gateways=[{"address": gateways[one.name], "port": 15443}])
        await eventually(lambda: west.at(*GLOBAL) == ["10.2.0.1", "192.0.2.1"])
        await eventually(lambda: east.at(*GLOBAL) == ["10.1.0.1", "192.0.2.2"])
        assert east.peers.book.intakes["west"].services.keys() == {("foo", "a")}


async def test_a_mesh_that_no_peer_names_is_told_nothing() -> None:
    """Who calls has to be named by a Peer there, whatever certificate it has."""
    async with Installation("east") as east, Installation("west") as west, Installation("north") as north:
        east.has(a(local()))
        east.declare(west, addresses=[])
        north.declare(east)
        await eventually(lambda: "cannot be heard" in "".join(north.told("east")))
        assert north.at(*GLOBAL) == []


async def test_a_certificate_of_another_authority_is_of_no_peer() -> None:
    """A peer's authority vouches for its own trust domain alone: what it signs for another's is refused."""
    async with Installation("east") as east, Installation("west") as west, Installation("north") as north:
        east.has(a(local()))
        east.declare(west, addresses=[])
        east.declare(north, addresses=[])
        forger = Installation("west", ca=north.ca)
        forger.domain = "west.example"
        forger.current = forger.credential(north.ca)
        async with forger:
            forger.declare(east)
            await eventually(lambda: "no authority of west.example" in "".join(forger.told("east")))
            assert forger.at(*GLOBAL) == []


async def test_a_peer_has_so_many_streams_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each of its daemons, and some; each costs memory and turns here. One that ends makes room."""
    monkeypatch.setattr("api.peering.serving.MOST", 1)
    async with Installation("east") as east, Installation("west") as west:
        east.has(a(local()))
        east.declare(west, addresses=[])
        west.declare(east)
        await eventually(lambda: west.at(*GLOBAL) == ["192.0.2.1"])
        async with Installation("west", ca=west.ca) as second:
            second.declare(east)
            await eventually(lambda: "1 streams of the peer" in "".join(second.told("east")))
            west.undeclare("east")
            await eventually(lambda: second.at(*GLOBAL) == ["192.0.2.1"])


async def test_a_workload_of_a_peer_is_not_its_daemon() -> None:
    """A certificate of the right authority and domain, but another service account, hears nothing."""
    async with Installation("east") as east, Installation("west") as west:
        east.has(a(local()))
        east.declare(west, addresses=[])
        west.current = west.credential(west.ca, "shop")
        west.declare(east)
        await eventually(lambda: "sa/shop; the peer's daemon is" in "".join(west.told("east")))


async def test_a_daemon_of_another_authority_is_not_believed() -> None:
    """Whoever listens at a peer's address has to be of the authorities that the Peer names."""
    async with Installation("east") as east, Installation("west") as west:
        east.declare(west, addresses=[])
        west.declare(east, caCertificates=pem(root(now=datetime.now(UTC)).certificate).decode())
        await eventually(lambda: west.sources["peer:east"].state.startswith("STALE 127.0.0.1"))
        assert west.peers.book.intakes["east"].services == {}
        assert [each.path for each in west.sources["peer:east"].found] == ["spec.caCertificates"]


async def test_a_peer_at_our_own_address_is_a_loop_and_refused() -> None:
    """The Peer says so; nothing of ours is taken for another's."""
    async with Installation("west") as west:
        west.has(a(local()))
        west.declare(west)
        await eventually(lambda: "calls itself west, as we do" in "".join(west.told("west")))
        assert west.at(*GLOBAL) == ["10.0.0.1"]


async def test_what_a_peer_said_holds_while_it_is_gone_and_then_goes() -> None:
    """Its source is stale meanwhile; when it is back, the stream goes on where it was."""
    async with Installation("east") as east, Installation("west") as west:
        east.has(a(local()))
        east.declare(west, addresses=[])
        west.declare(east, keepFor="2s")
        await eventually(lambda: west.at(*GLOBAL) == ["192.0.2.1"])
        await east.deaf()
        await eventually(lambda: west.sources["peer:east"].state.startswith("STALE"))
        assert west.at(*GLOBAL) == ["192.0.2.1"]
        await eventually(lambda: west.at(*GLOBAL) == [])
        assert "what it said last is gone" in "".join(west.told("east"))
        await east.serve()
        await eventually(lambda: west.at(*GLOBAL) == ["192.0.2.1"])
        assert west.sources["peer:east"].state == "SYNCED"
        assert west.told("east") == []


async def test_a_peer_says_whom_it_trusts_next() -> None:
    """A new root is known before anything is signed by it, and the stream begins again by it."""
    async with Installation("east") as east, Installation("west") as west:
        east.has(a(local()))
        east.declare(west, addresses=[])
        west.declare(east)
        await eventually(lambda: west.at(*GLOBAL) == ["192.0.2.1"])
        second = root(domain="east.example", now=datetime.now(UTC))
        east.roots = (east.ca.certificate, second.certificate)
        east.peers.trust_changed()
        await eventually(lambda: west.brought["peer:east"] == {"east.example": east.roots})
        east.roots, east.current = (second.certificate,), east.credential(second)
        await east.deaf()
        await east.serve()
        await eventually(lambda: west.sources["peer:east"].state == "SYNCED")


async def test_a_removed_peer_takes_its_services_and_its_trust_along() -> None:
    """And its stream ends."""
    async with Installation("east") as east, Installation("west") as west:
        east.has(a(local()))
        east.declare(west, addresses=[])
        west.declare(east)
        await eventually(lambda: west.at(*GLOBAL) == ["192.0.2.1"])
        west.undeclare("east")
        assert west.at(*GLOBAL) == []
        assert west.brought["peer:east"] == {}
        assert "peer:east" not in west.sources


async def test_what_was_known_is_known_after_a_restart_without_the_peer(tmp_path: Path) -> None:
    """A copy keeps it for ``keepFor``, as if the peer had just gone."""
    async with Installation("east") as east:
        east.has(a(local()))
        async with Installation("west", copies=LastGood(tmp_path)) as west:
            east.declare(west, addresses=[])
            west.declare(east)
            await eventually(lambda: west.at(*GLOBAL) == ["192.0.2.1"])
        await east.deaf()
        async with Installation("west", copies=LastGood(tmp_path)) as again:
            again.declare(east)
            assert again.at(*GLOBAL) == ["192.0.2.1"]
            await eventually(lambda: again.sources["peer:east"].state.startswith("STALE"))
            assert again.at(*GLOBAL) == ["192.0.2.1"]


async def test_a_restart_does_not_make_last_words_hold_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of ``keepFor`` runs on while the daemon is away, from when the peer was lost."""
    async with Installation("east") as east:
        east.has(a(local()))
        async with Installation("west", copies=LastGood(tmp_path)) as west:
            east.declare(west, addresses=[])
            west.declare(east, keepFor="1h")
            await eventually(lambda: west.at(*GLOBAL) == ["192.0.2.1"])
            await east.deaf()
            await eventually(lambda: west.sources["peer:east"].state.startswith("STALE"))
    now = time.time()
    for later, expected in ((3000, ["192.0.2.1"]), (3700, [])):
        monkeypatch.setattr("xdsd.peers.link.time.time", lambda later=later: now + later)
        async with Installation("west", copies=LastGood(tmp_path)) as again:
            again.declare(east, keepFor="1h")
            assert again.at(*GLOBAL) == expected


async def test_meshes_of_one_trust_domain_and_root_are_peers_too() -> None:
    """No authorities are given: the mesh's own vouch for both. Nobody's are brought."""
    shared = root(domain="one.example", now=datetime.now(UTC))
    async with (
        Installation("east", ca=shared, domain="one.example") as east,
        Installation("west", ca=shared, domain="one.example") as west,
    ):
        east.has(a(local()))
        east.declare(west, addresses=[], caCertificates=None)
        west.declare(east, caCertificates=None)
        await eventually(lambda: west.at(*GLOBAL) == ["192.0.2.1"])
        assert west.brought["peer:east"] == {}
        assert west.catalog.endpoints(GLOBAL)[0].identities == ("spiffe://one.example/ns/foo/sa/x",)


async def test_a_peer_that_is_trusted_no_more_hears_no_more() -> None:
    """Where other authorities are given its stream ends at once, and does not begin again."""
    async with Installation("east") as east, Installation("west") as west:
        east.has(a(local()))
        east.declare(west, addresses=[])
        west.declare(east)
        await eventually(lambda: west.at(*GLOBAL) == ["192.0.2.1"])
        other = root(domain="west.example", now=datetime.now(UTC))
        east.declare(west, addresses=[], caCertificates=pem(other.certificate).decode())
        await eventually(lambda: west.sources["peer:east"].state.startswith("STALE"))
        east.apply("store", CatalogChange(removed_services=(A,)))
        assert west.at(*GLOBAL) == ["192.0.2.1"]


async def test_what_a_peer_offers_may_change() -> None:
    """A service that is exported no more goes there; the stream goes on."""
    async with Installation("east") as east, Installation("west") as west:
        east.has(a(local()))
        east.declare(west, addresses=[])
        west.declare(east)
        await eventually(lambda: west.at(*GLOBAL) == ["192.0.2.1"])
        east.declare(west, addresses=[], exports=[{"namespaces": ["bar"]}])
        await eventually(lambda: west.at(*GLOBAL) == [])
        assert west.sources["peer:east"].state == "SYNCED"


async def test_a_peer_whose_certificate_is_revoked_hears_no_more() -> None:
    """Its stream ends at once; with another certificate it is let in again, and goes on where it was."""
    async with Installation("east") as east, Installation("west") as west:
        east.has(a(local()))
        east.declare(west, addresses=[])
        west.declare(east)
        await eventually(lambda: west.sources["peer:east"].state == "SYNCED" and west.at(*GLOBAL))
        assert west.current is not None
        east.revoke(west.current)
        await eventually(lambda: "is revoked" in "".join(west.told("east")))
        assert west.at(*GLOBAL) == ["192.0.2.1"]
        west.current = west.credential(west.ca)
        await eventually(lambda: west.sources["peer:east"].state == "SYNCED")


async def test_another_gateway_is_told_of_all_services_in_turns() -> None:
    """Much that changes at once is said a part at a time, and all of it in the end."""
    async with Installation("east") as east, Installation("west") as west:
        count = 1200
        hosts = [f"s{number}" for number in range(count)]
        east.has(*(replace(a(local()), hostname=f"{host}.foo.svc.cluster.local") for host in hosts))
        east.declare(west, addresses=[])
        west.declare(east)

        def gateways() -> set[str]:
            return {each for host in hosts for each in west.at("foo", f"{host}.foo.global") or [""]}

        await eventually(lambda: gateways() == {"192.0.2.1"})
        east.declare(west, addresses=[], gateways=[{"address": "192.0.2.9", "port": 15443}])
        await eventually(lambda: gateways() == {"192.0.2.9"})


async def test_what_goes_round_three_meshes_is_told_by_its_own_alone() -> None:
    """Each takes from the next in a ring: a service arrives one mesh on, and never comes back or further."""
    async with Installation("east") as east, Installation("north") as north, Installation("west") as west:
        east.has(a(local("10.1.0.1")))
        for one, other in ((east, north), (north, west), (west, east)):
            other.declare(one, addresses=[])
            one.declare(other)
        for each in (east, north, west):
            each.has(replace(a(local()), hostname=f"{each.name}.foo.svc.cluster.local"))
        await eventually(lambda: west.at("foo", "east.foo.global") == ["192.0.2.1"])
        await eventually(lambda: north.at("foo", "west.foo.global") == ["192.0.2.1"])
        await eventually(lambda: east.at("foo", "north.foo.global") == ["192.0.2.1"])
        assert west.at(*GLOBAL) == ["192.0.2.1"]
        assert north.at(*GLOBAL) == []
        assert east.at(*GLOBAL) == ["10.1.0.1"]
        assert north.at("foo", "east.foo.global") == []
        assert {each.name: sorted(each.peers.book.offers["east"].services) for each in (north, west)} == {
            "north": [("foo", "north")],
            "west": [("foo", "west")],
        }


async def test_a_new_peer_with_thousands_of_services_stalls_nobody() -> None:
    """What it is offered, and what follows here, is found out a part at a time."""
    async with Installation("east") as east, Installation("west") as west:
        hosts = [f"s{number}" for number in range(2000)]
        west.has(*(replace(a(local()), hostname=f"{host}.foo.svc.cluster.local") for host in hosts))
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        beside = asyncio.create_task(others())
        west.declare(east)
        before = turns
        await eventually(lambda: len(west.peers.book.offers["east"]) == len(hosts), every=0)
        beside.cancel()
        assert turns - before >= len(hosts) // AT_ONCE // 2
        east.declare(west)
        await eventually(lambda: len(east.peers.book.intakes["west"].services) == len(hosts))


async def test_what_is_no_message_ends_the_stream_and_not_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was known holds, the Peer says why, and the peer is heard again as soon as it speaks clearly."""
    spoils = True

    def spoiled(message: pb.SubscribeResponse) -> bytes:
        return b"\xff\xff" if spoils and message.HasField("update") else message.SerializeToString()

    written = SimpleNamespace(SerializeToString=spoiled)
    spoken = SimpleNamespace(SubscribeRequest=pb.SubscribeRequest, SubscribeResponse=written)
    monkeypatch.setattr("api.peering.serving.pb", spoken)
    async with Installation("east") as east, Installation("west") as west:
        east.has(a(local()))
        east.declare(west, addresses=[])
        west.declare(east)
        await eventually(lambda: "is no message" in "".join(west.told("east")))
        spoils = False
        await eventually(lambda: west.at(*GLOBAL) == ["192.0.2.1"])
        assert west.sources["peer:east"].state == "SYNCED"


async def test_authorities_that_are_past_are_asked_to_be_replaced() -> None:
    """A peer that was heard through a rotation is believed; an old root in its Peer is told before it matters."""
    async with Installation("east") as east, Installation("west") as west:
        east.declare(west, addresses=[])
        west.declare(east)
        await eventually(lambda: west.sources["peer:east"].state == "SYNCED")
        assert west.told("east") == []
        second = root(domain="east.example", now=datetime.now(UTC))
        east.roots = (second.certificate,)
        east.peers.trust_changed()
        await eventually(lambda: "vouch for it now" in "".join(west.told("east")))
        east.current = east.credential(second)
        await east.deaf()
        await east.serve()
        west.declare(east, caCertificates=pem(second.certificate).decode())
        await eventually(lambda: west.told("east") == [])


async def test_a_peer_of_our_own_name_is_told_so() -> None:
    """Whoever answers at its address."""
    async with Installation("east") as east, Installation("west") as west:
        east.name = "west"
        west.declare(east)
        await eventually(lambda: "is what our own mesh is called" in "".join(west.told("west")))


FAILED = "failed to connect to all addresses; last error: UNKNOWN: ipv4:192.0.2.1:15016: "
SOCKET = "Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:1000007d:SSL routines:OPENSSL_internal:"
NAMED = "Custom verification check failed with error: UNAUTHENTICATED: Hostname Verification Check failed."


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            f"{FAILED}Failed to connect to remote host: Connection refused",
            "Connection refused; is its daemon up",
        ),
        (
            f"{FAILED}{SOCKET}CERTIFICATE_VERIFY_FAILED: certificate has expired: OK",
            "(certificate has expired); is it of",
        ),
        (f"{FAILED}{NAMED}", "of a daemon of spec.trustDomain"),
    ],
)
def test_what_grpc_says_is_put_in_words(said: str, meant: str) -> None:
    """Operators are told what they can do something about."""
    assert meant in in_words(said)
    assert "last error" not in in_words(said)
