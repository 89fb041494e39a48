"""What is held of a Consul that forgot it, in the daemon's next life."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.contracts.registry import Recorder
from tests.lab.eventually import eventually
from tests.registry.consul.entries import SOURCE, body, entry
from tests.registry.consul.following import BOTH, A, B, following, has_problem, two_services
from tests.registry.consul.liar import Liar
from xdsd.model.catalog import ServiceKey
from xdsd.registry.catalog import Catalog
from xdsd.registry.consul import ConsulOptions
from xdsd.registry.consul.book import Book
from xdsd.registry.consul.held import read, written
from xdsd.registry.consul.services import Reader
from xdsd.registry.holding import FILE
from xdsd.registry.last_good import LastGood
from xdsd.registry.lines import Unreadable


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    """A Consul that knows a and b."""
    async with two_services() as made:
        yield made


@pytest.fixture
def copies(tmp_path: Path) -> LastGood:
    return LastGood(tmp_path / "copies")


@contextlib.asynccontextmanager
async def synced(liar: Liar, copies: LastGood, hold: float = 60.0) -> AsyncIterator[Recorder]:
    async with following(liar, ConsulOptions(hold=hold), copies=copies) as sink:
        await sink.told("synced")
        yield sink


async def forget(liar: Liar, sink: Recorder) -> None:
    """Consul begins anew, with nothing."""
    liar.services = {"consul": []}
    liar.server = "another"
    liar.move(by=-5)
    await has_problem(sink, "2 instances of a, b are served as they were")


async def test_it_is_held_on(liar: Liar, copies: LastGood, tmp_path: Path) -> None:
    """In a file that nobody else may read, and which is gone when nothing is held."""
    async with synced(liar, copies) as sink:
        await forget(liar, sink)
    modes = {each.stat().st_mode & 0o777 for each in (tmp_path / "copies").iterdir()}
    assert modes == {0o600}
    async with synced(liar, copies) as sink:
        await has_problem(sink, "2 instances of a, b are served as they were")
        assert sink.services() == BOTH
        liar.address("b", "10.0.0.2")
        await has_problem(sink, "1 instances of a are served as they were")
        liar.address("a", "10.0.0.1")
        await eventually(lambda: not sink.mistakes, "all are there again")
        assert sink.services() == BOTH
    assert copies.load(FILE) is None
    assert list((tmp_path / "copies").iterdir()) == []


async def test_a_daemon_that_is_killed_wrote_it_down(liar: Liar, copies: LastGood) -> None:
    """Soon after the loss; it needs no end of its own for that."""
    async with synced(liar, copies) as sink:
        await forget(liar, sink)
        await eventually(lambda: copies.load(FILE) is not None, "it is written down")
        data = copies.load(FILE)
    assert data is not None
    copies.save(FILE, data)
    async with synced(liar, copies) as sink:
        await has_problem(sink, "2 instances of a, b")
        assert sink.services() == BOTH


async def test_what_came_back_and_left_is_not_held_again(liar: Liar, copies: LastGood) -> None:
    """It was seen, so it is as ever."""
    async with synced(liar, copies) as sink:
        await forget(liar, sink)
        liar.address("b", "10.0.0.2")
        await has_problem(sink, "1 instances of a")
        del liar.services["b"]
        liar.move()
        await sink.sees({A: ["10.0.0.1"]})
    async with synced(liar, copies) as sink:
        await has_problem(sink, "1 instances of a")
        assert sink.services() == {A: ["10.0.0.1"]}


async def test_it_is_let_go_when_it_would_have_been(liar: Liar, copies: LastGood) -> None:
    """However often the daemon begins anew meanwhile."""
    async with synced(liar, copies, hold=4.0) as sink:
        await forget(liar, sink)
    async with synced(liar, copies, hold=4.0) as sink:
        await sink.sees({})
        assert sink.mistakes == []
    async with synced(liar, copies, hold=4.0) as sink:
        assert sink.services() == {}
        assert sink.mistakes == []


async def test_what_is_over_is_not_recalled(liar: Liar, copies: LastGood) -> None:
    """Where the daemon was away for longer than it was to be held."""
    async with synced(liar, copies) as sink:
        await forget(liar, sink)
    data = copies.load(FILE)
    assert data is not None
    held = read(data)
    assert {each.name for each in held.services} == {"a", "b"}
    copies.save(FILE, b"".join(written(1000.0, held.services)))
    async with synced(liar, copies) as sink:
        assert sink.services() == {}
        assert sink.mistakes == []
    assert copies.load(FILE) is None


@pytest.mark.parametrize(
    ("torn", "why"),
    [
        (lambda data: data[: len(data) // 2], "the last line: Invalid JSON"),
        (lambda data: data.split(b"\n", 1)[1], "it has 1 entries of 2"),
        (lambda data: data.replace(b'"10.0.0.1"', b"17"), "line 1.instances.0.endpoint.address"),
        (lambda _: b'{"entries": 0}', "the last line.until: Field required"),
        (lambda _: b"\xff\x00", "Invalid JSON"),
    ],
    ids=["torn", "without a line", "wrong", "lacking", "binary"],
)
async def test_what_cannot_be_read_is_told(
    liar: Liar, copies: LastGood, torn: Callable[[bytes], bytes], why: str
) -> None:
    """And nothing else suffers from it."""
    async with synced(liar, copies) as sink:
        await forget(liar, sink)
    data = copies.load(FILE)
    assert data is not None
    copies.save(FILE, torn(data))
    liar.address("b", "10.0.0.7")
    async with synced(liar, copies) as sink:
        assert sink.services() == {B: ["10.0.0.7"]}
        (mistake,) = sink.mistakes
        assert "what was held for a Consul that forgot it cannot be read, and is let go" in str(mistake)
        assert why in str(mistake)


def test_all_of_an_endpoint_is_written_down() -> None:
    """What is recalled is what was served."""
    reader = Reader(ConsulOptions(network="far"), "mesh.local", SOURCE)
    book, catalog = Book(reader), Catalog()
    meta = {"zone": "z1", "service-account": "web", "protocol": "grpc", "service-port": "80"}
    entries = [
        entry("web-1", Meta=meta, Tags=["version=v2"], Weights={"Passing": 7, "Warning": 1}),
        entry("web-2", Meta=meta, Address="fd00::1", checks=[{"CheckID": "x", "Status": "critical"}]),
    ]
    catalog.apply(SOURCE, book.take("web", book.read("web", body(entries))).change)
    book.lose()
    again, recalled = Book(reader), Catalog()
    for change in again.recall(read(b"".join(written(5.0, book.held())))):
        recalled.apply(SOURCE, change)
    key = ServiceKey("default", "web.service.consul")
    assert recalled.service(key) == catalog.service(key)
    assert recalled.endpoints(key) == catalog.endpoints(key) != ()
    assert again.lost(5) == (2, ("web",))


def test_a_file_of_another_kind_is_refused() -> None:
    """With the place where it is another."""
    with pytest.raises(Unreadable, match="until"):
        read(b"{}")
