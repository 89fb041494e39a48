"""A link to a peer beside its stream: what ends, what begins again, and what waits."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from api.peering.dialling import Dialler
from tests.lab.eventually import eventually
from tests.peering.meshes import Installation
from tests.peering.test_book import GLOBAL, a, local
from tests.peering.test_offer import service
from xdsd.model.catalog import ServiceKey
from xdsd.peering.intake import Intake, News, Refused
from xdsd.peering.values import Begin, Update
from xdsd.peers.link import Link
from xdsd.registry.last_good import LastGood

BEGIN = Begin("east", "east.example", "one")


class Recorded(Dialler):
    """A dialler whose hearer the test is too."""

    hearers: list[Any] = []

    def __init__(self, addresses: Any, hearer: Link, *others: Any) -> None:
        super().__init__(addresses, hearer, *others)
        self.hearers.append(hearer)


@pytest.fixture
def hearers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Who hears each peer that is declared, in their order."""
    Recorded.hearers = []
    monkeypatch.setattr("xdsd.peers.link.Dialler", Recorded)
    return Recorded.hearers


async def test_what_a_peer_says_after_it_was_taken_away_is_refused(hearers: list[Any]) -> None:
    """Its stream ends a moment later; what arrives until then is a fault of nobody."""
    async with Installation("east") as east, Installation("west") as west:
        west.declare(east, addresses=[])
        (link,) = hearers
        link.begins(BEGIN)
        west.undeclare("east")
        with pytest.raises(Refused, match="Peer is gone"):
            link.begins(BEGIN)
        with pytest.raises(Refused, match="Peer is gone"):
            link.takes(Update(1, True, (service("a"),)))
        link.lost("it is over")
        assert isinstance(link.shown(), str)
        assert link.hello().mesh == "west"


async def test_a_peer_that_is_made_anew_at_once_is_called() -> None:
    """Also where nothing had a turn between; nothing of the old one is left."""
    async with Installation("east") as east, Installation("west") as west:
        east.has(a(local()))
        east.declare(west, addresses=[])
        west.declare(east)
        await eventually(lambda: west.at(*GLOBAL) == ["192.0.2.1"])
        west.undeclare("east")
        west.declare(east)
        assert west.at(*GLOBAL) == []
        await eventually(lambda: west.at(*GLOBAL) == ["192.0.2.1"])
        assert west.sources["peer:east"].state == "SYNCED"


async def test_many_services_are_known_after_a_restart_too(tmp_path: Path, hearers: list[Any]) -> None:
    """A copy holds as many as a peer may have, in more than a message of a stream may."""
    names = [f"a{number}" for number in range(1100)]
    async with Installation("east") as east:
        async with Installation("west", copies=LastGood(tmp_path)) as west:
            west.declare(east, addresses=[])
            hearers[0].begins(BEGIN)
            identity = f"spiffe://{east.domain}/ns/foo/sa/x"
            told = tuple(answered_by(service(name), identity) for name in names)
            hearers[0].takes(Update(1, True, told[:600]))
            hearers[0].takes(Update(2, True, told[600:]))
            await eventually(lambda: west.catalog.service(ServiceKey("foo", "a1099.foo.global")) is not None)
        async with Installation("west", copies=LastGood(tmp_path)) as again:
            again.declare(east, addresses=[])
            assert len(again.peers.book.intakes["east"].services) == len(names)
            assert again.catalog.service(ServiceKey("foo", "a1099.foo.global")) is not None


def answered_by(shared: Any, identity: str) -> Any:
    """A service that others answer for."""
    return type(shared)(shared.key, shared.ports, (identity,), shared.summaries)


async def test_nothing_waits_for_a_peer_that_was_never_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its time is over nothing is looked at again and again."""
    looks = 0
    expires = Intake.expires

    def counted(self: Intake, now: float) -> News:
        nonlocal looks
        looks += 1
        return expires(self, now)

    monkeypatch.setattr(Intake, "expires", counted)
    async with Installation("east") as east, Installation("west") as west:
        await east.deaf()
        west.declare(east, keepFor="0s")
        await eventually(lambda: looks > 0)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert looks < 50
