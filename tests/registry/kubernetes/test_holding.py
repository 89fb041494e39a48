"""What is held of a cluster that forgot it, in the daemon's next life."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.contracts.registry import Recorder, running
from tests.lab.eventually import eventually
from tests.registry.kubernetes.cluster import DOMAIN, backed_by, endpoint_slice, node, pod, service
from tests.registry.kubernetes.test_former import Told
from tests.registry.kubernetes.test_lives import becomes, brings, said, system, told
from tests.registry.kubernetes.test_state import put, state_of
from tests.registry.kubernetes.unruly import Unruly, only, refusal, unruly_server
from xdsd.model.catalog import ServiceKey
from xdsd.registry.catalog import Catalog
from xdsd.registry.holding import FILE
from xdsd.registry.kubernetes import Cluster
from xdsd.registry.kubernetes.facts import Name
from xdsd.registry.kubernetes.held import Entry, Held, read, written
from xdsd.registry.kubernetes.kinds import Kind
from xdsd.registry.kubernetes.registry import KubernetesRegistry
from xdsd.registry.kubernetes.state import ClusterState
from xdsd.registry.last_good import LastGood
from xdsd.registry.lines import Unreadable
from xdsd.registry.stepwise import finished

A = ServiceKey("default", "a.default.svc.mesh.local")
B = ServiceKey("default", "b.default.svc.mesh.local")
LONG = 3600.0
BEHIND = [backed_by("p", "10.0.0.1", nodeName="one"), "10.0.0.2"]
ALL = (
    service("a", clusterIPs=["10.96.0.1", "fd00::1"], ipFamilies=["IPv6", "IPv4"]),
    pod("p", "10.0.0.1", {"app": "a"}, account="web"),
    node("one", "r", "z"),
    endpoint_slice("s", "a", [*BEHIND, {"addresses": ["10.0.0.9"], "conditions": {"ready": False}}]),
)


def kept(state: ClusterState) -> Iterable[Entry]:
    """All that a state has, none of which the cluster has any more."""
    for kind in Kind:
        entries = (state.held(kind, name) for name in state.names(kind))
        yield from (each for each in entries if each is not None)
    yield from state.held_slices()


def next_life(state: ClusterState, *, set_back: bool = False, **options: str) -> ClusterState:
    """Another daemon's state, by what this one wrote down."""
    held = read(b"".join(written(5.0, set_back, kept(state))))
    made = ClusterState(**{"source": "kubernetes", "domain": DOMAIN, **options})
    finished(made.recall(held.entries, set_back=held.set_back))
    return made


def forgotten(*objects: Any, set_back: bool = False) -> ClusterState:
    """The state of a cluster that has forgotten these."""
    state = state_of(*objects)
    state.take()
    finished(state.lose(set_back=set_back))
    return state


def test_all_of_a_service_is_written_down() -> None:
    """What is recalled is what was served: addresses, labels, accounts, localities and workloads."""
    before, after = Catalog(), Catalog()
    state = state_of(*ALL)
    change = state.take()
    assert change is not None
    before.apply("source", change)
    finished(state.lose(set_back=False))
    again = next_life(state).take()
    assert again is not None
    after.apply("source", again)
    assert after.service(A) == before.service(A)
    assert after.endpoints(A) == before.endpoints(A)
    assert [each.locality for each in after.endpoints(A)] == ["r/z", ""]
    assert again.workloads == change.workloads != ()


def test_the_mesh_may_be_called_otherwise_by_then() -> None:
    """Hosts are of the mesh's domain as it is now."""
    told = Told(next_life(forgotten(*ALL), domain="other"))
    assert told.endpoints() == ["10.0.0.1", "10.0.0.2"]
    change = next_life(forgotten(*ALL), domain="other").take()
    assert change is not None
    assert [each.hostname for each in change.services] == ["a.default.svc.other"]


def test_what_comes_after_a_restart_is_what_it_is_then() -> None:
    """As without one: by address, by pod, and by the name of a slice."""
    state = next_life(forgotten(*ALL))
    told = Told(state)
    put(state, endpoint_slice("t", "a", ["10.0.0.2", "10.0.0.3"]))
    assert told.endpoints() == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    put(state, pod("q", "10.0.0.1"))
    assert state.take_displaced() == {Name("default", "p")}
    assert told.endpoints() == ["10.0.0.2", "10.0.0.3"]
    put(state, service("b", clusterIP="10.96.0.1"))
    assert told.services()["a"] == (["fd00::1"], ["10.0.0.2", "10.0.0.3"])
    put(state, endpoint_slice("s", "a", ["10.0.0.4"]))
    assert told.services()["a"] == (["fd00::1"], ["10.0.0.2", "10.0.0.3", "10.0.0.4"])
    finished(state.forget())
    assert told.services()["a"] == (["fd00::1"], ["10.0.0.2", "10.0.0.3", "10.0.0.4"])


def test_what_is_mentioned_again_is_not_written_down() -> None:
    """So nothing is, once all is."""
    state = forgotten(*ALL)
    put(state, endpoint_slice("t", "a", [backed_by("p", "10.0.0.1"), "10.0.0.2"]))
    state.take()
    assert list(state.held_slices()) == []
    assert list(written(5.0, False, state.held_slices())) == []


@pytest.mark.parametrize("now", [["10.0.0.1", "10.0.0.3"], ["10.0.0.1"], None])
def test_a_slice_that_was_set_back_may_be_written_while_the_daemon_is_away(now: list[str] | None) -> None:
    """As it was set back, it says what was, beside what was known since. Otherwise, or deleted, it is what it is."""
    state = forgotten(service("a"), endpoint_slice("s", "a", ["10.0.0.1", "10.0.0.2"]), set_back=True)
    put(state, service("a"), endpoint_slice("s", "a", ["10.0.0.1", "10.0.0.3"]))
    state.take()
    again = next_life(state, set_back=True)
    told = Told(again)
    assert told.endpoints() == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert again.names(Kind.ENDPOINT_SLICE) == {Name("default", "s")}
    if now is None:
        again.drop(Kind.ENDPOINT_SLICE, Name("default", "s"))
    else:
        put(again, endpoint_slice("s", "a", now))
    stays = now is not None and len(now) == 2
    assert told.endpoints() == (["10.0.0.1", "10.0.0.2", "10.0.0.3"] if stays else now or [])


@pytest.mark.parametrize(
    ("torn", "why"),
    [
        (lambda data: data[: len(data) // 2], "the last line"),
        (lambda data: data[data.index(b"\n") + 1 :], "it has 3 entries of 4"),
        (lambda data: data.replace(b'"10.0.0.2"', b"17"), "slice.before.backends.1.address"),
        (lambda data: data.replace(b'"of":"node"', b'"of":"moon"'), "line "),
        (lambda _: b"{}", "the last line.until: Field required"),
        (lambda _: b"\xff\x00", "the last line: Invalid JSON"),
    ],
    ids=["torn", "lacking", "wrong", "unknown", "other", "binary"],
)
def test_half_a_copy_is_none(torn: Callable[[bytes], bytes], why: str) -> None:
    """And it is said where it is wrong."""
    data = b"".join(written(5.0, False, kept(forgotten(*ALL))))
    assert len(read(data).entries) == 4
    with pytest.raises(Unreadable, match=why):
        read(torn(data))


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Unruly]:
    """A cluster with a service and its endpoint."""
    async with unruly_server() as server:
        server.objects = [system("one"), *ONE]
        server.revision = 100
        yield server


ONE = (service("a"), endpoint_slice("a", "a", [backed_by("p", "10.0.0.1")]), pod("p", "10.0.0.1"))


@pytest.fixture
def copies(tmp_path: Path) -> LastGood:
    return LastGood(tmp_path / "copies")


@contextlib.asynccontextmanager
async def daemon(
    server: Unruly, copies: LastGood, hold: float = LONG, **options: Any
) -> AsyncIterator[Recorder]:
    """One life of it."""
    cluster = Cluster(name="east", hold=hold, **options)
    registry = KubernetesRegistry(cluster, DOMAIN, login=server.login, brief=0.0, copies=copies)
    async with running(registry) as sink:
        yield sink
    # What it followed would else be taken for the next one's.
    server.hang_up()


async def test_it_is_held_over_a_restart(server: Unruly, copies: LastGood, tmp_path: Path) -> None:
    """In a file that nobody else may read, and which is gone when nothing is held. What is not missing is as ever."""
    async with daemon(server, copies) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        await becomes(server, 2, system("two"), service("b"))
        await told(sink, "3 objects")
    modes = {each.stat().st_mode & 0o777 for each in (tmp_path / "copies").iterdir()}
    assert modes == {0o600}
    server.objects.append(endpoint_slice("b", "b", ["10.0.0.5"]))
    async with daemon(server, copies) as sink:
        await told(sink, "3 objects (1 endpointslices, 1 pods, 1 services) are served as they were")
        assert sink.services() == {A: ["10.0.0.1"], B: ["10.0.0.5"]}
        assert all(state.get(A) == ["10.0.0.1"] for state in sink.states if A in state)
        await brings(server, *ONE)
        server.objects += ONE
        await eventually(lambda: not said(sink), "all of it is there again")
        await eventually(lambda: copies.load(FILE) is None, "nothing is held")
        assert sink.services() == {A: ["10.0.0.1"], B: ["10.0.0.5"]}
    server.objects = [system("two"), service("b")]
    async with daemon(server, copies) as sink:
        await sink.sees({B: []})
        assert not said(sink)


async def test_a_daemon_that_is_killed_wrote_it_down(server: Unruly, copies: LastGood) -> None:
    """Soon after the loss; it needs no end of its own for that."""
    async with daemon(server, copies) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        await becomes(server, 2, system("two"))
        await eventually(lambda: copies.load(FILE) is not None, "it is written down")
        await told(sink, "3 objects")
        data = copies.load(FILE)
    assert data is not None
    copies.save(FILE, data)
    async with daemon(server, copies) as sink:
        await told(sink, "3 objects")
        assert sink.services() == {A: ["10.0.0.1"]}


async def test_it_is_served_while_the_cluster_is_away(server: Unruly, copies: LastGood) -> None:
    """Nobody needs to ask it for what it does not have."""
    await lost(server, copies)
    server.misbehave = only("/", refusal(503))
    async with daemon(server, copies) as sink:
        await sink.told("stale")
        assert sink.services() == {A: ["10.0.0.1"]}
        server.misbehave = lambda _: None
        await sink.told("synced")
        assert sink.services() == {A: ["10.0.0.1"], B: []}


async def test_it_is_let_go_when_it_would_have_been(server: Unruly, copies: LastGood) -> None:
    """However often the daemon begins anew meanwhile."""
    held = await lost(server, copies)
    copies.save(FILE, b"".join(written(time.time() + 3.0, False, held.entries)))
    async with daemon(server, copies) as sink:
        await sink.sees({B: []})
        await eventually(lambda: not said(sink), "nothing is kept")
        await eventually(lambda: copies.load(FILE) is None, "nothing is held")


async def lost(server: Unruly, copies: LastGood) -> Held:
    """A daemon lives through the loss of all but b: what it wrote down."""
    async with daemon(server, copies) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        await becomes(server, 2, system("two"), service("b"))
        await told(sink, "3 objects")
    data = copies.load(FILE)
    assert data is not None
    return read(data)


async def test_what_is_over_is_not_recalled(server: Unruly, copies: LastGood) -> None:
    """Where the daemon was away for longer than it was to be held, or is not to hold anything now."""
    held = await lost(server, copies)
    for hold, until in ((0.0, held.until), (LONG, 1000.0)):
        copies.save(FILE, b"".join(written(until, False, held.entries)))
        async with daemon(server, copies, hold=hold) as sink:
            await sink.sees({B: []})
            assert all(A not in state for state in sink.states)
        assert copies.load(FILE) is None


async def test_what_a_healthy_cluster_deleted_meanwhile_is_gone(server: Unruly, copies: LastGood) -> None:
    """Nothing is held of a cluster that lost nothing."""
    async with daemon(server, copies) as sink:
        await sink.sees({A: ["10.0.0.1"]})
    assert copies.names() == ()
    server.objects, server.revision = [system("one"), service("b")], 101
    async with daemon(server, copies) as sink:
        await sink.sees({B: []})
        assert all(A not in state for state in sink.states)
        assert not said(sink)


async def test_what_came_back_and_was_deleted_meanwhile_is_gone(server: Unruly, copies: LastGood) -> None:
    """It was seen, so it is as ever."""
    async with daemon(server, copies) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        await becomes(server, 2, system("two"))
        await told(sink, "3 objects")
        await brings(server, service("a"))
        await told(sink, "2 objects")
    async with daemon(server, copies) as sink:
        await told(sink, "2 objects")
        assert sink.services() == {}


async def test_what_is_not_read_any_more_is_not_recalled(server: Unruly, copies: LastGood) -> None:
    """Of other namespaces than the option says."""
    await lost(server, copies)
    server.objects = [system("two")]
    async with daemon(server, copies, namespaces=("other",)) as sink:
        await sink.told("synced")
        assert sink.services() == {}
        assert not said(sink)


async def test_what_cannot_be_read_is_told(server: Unruly, copies: LastGood) -> None:
    """And nothing else suffers from it."""
    copies.save(FILE, b"half")
    async with daemon(server, copies) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        (mistake,) = sink.mistakes
        assert "what was held for a cluster that forgot it cannot be read, and is let go" in str(mistake)


async def test_no_secret_is_written_down(server: Unruly, copies: LastGood, tmp_path: Path) -> None:
    """Nor anything else of an object than what services are made of."""
    secret = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"key": "c2VjcmV0LXdvcmQ="}}
    secret["metadata"] = {"name": "tls", "namespace": "default"}
    marked = pod("p", "10.0.0.1")
    marked["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "value": "secret-word"}]
    server.objects = [system("one"), *ONE[:2], marked, secret]
    cluster = Cluster(name="east", hold=LONG, secrets=("default/*",))
    given = Given()
    registry = KubernetesRegistry(
        cluster, DOMAIN, login=server.login, brief=0.0, copies=copies, secrets=given
    )
    async with running(registry) as sink:
        await sink.sees({A: ["10.0.0.1"]})
        await eventually(lambda: given.names == ["tls"], "the secret is given")
        await eventually(partial(server.watched, "secrets"), "secrets are watched")
        await becomes(server, 2, system("two"))
        await told(sink, "4 objects (1 endpointslices, 1 pods, 1 secrets, 1 services)")
    data = b"".join(each.read_bytes() for each in (tmp_path / "copies").iterdir())
    assert b"10.0.0.1" in data
    for word in (b"secret", b"c2VjcmV0LXdvcmQ=", b"PASSWORD", b"tls"):
        assert word not in data


class Given:
    """Is given secrets."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def put(self, _source: str, name: Any, _data: Any) -> None:
        self.names.append(name.name)

    def drop(self, _source: str, _name: Any) -> None:
        pass
