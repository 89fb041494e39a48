"""The server on a real port, with clients that behave."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.lab.eventually import eventually
from tests.server.client import DELTA, NODE, SOTW, Call, channel
from tests.server.hand import VIEW, HandMesh, cluster, endpoints, listener
from tests.server.serving import serving
from xdsd.model.node import Node
from xdsd.protocol.watch import State
from xdsd.server import ServerSettings
from xdsd.server.services import methods
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, LayerId, Snapshot, SnapshotChange


class Counted:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.connected = 0
        self.streams = 0
        self.refusals: list[str] = []
        self.withholdings = 0
        self.pushes: list[tuple[str, int, int]] = []
        self.joins = 0
        self.accepts: list[tuple[str, float | None]] = []
        self.rejects: list[str] = []

    def proxies(self, connected: int) -> None:
        self.connected = connected

    def opened(self) -> None:
        self.streams += 1

    def exceeded(self, limit: str) -> None: ...

    def refused(self, reason: str) -> None:
        self.refusals.append(reason)

    def withheld(self, names: int) -> None:
        self.withholdings += names

    def pushed(self, type_url: str, size: int, resources: int) -> None:
        self.pushes.append((type_url, size, resources))

    def joined(self, times: int) -> None:
        self.joins += times

    def accepted(self, type_url: str, seconds: float | None) -> None:
        self.accepts.append((type_url, seconds))

    def rejected(self, type_url: str) -> None:
        self.rejects.append(type_url)


@pytest.mark.parametrize("method", [DELTA, SOTW])
async def test_an_aggregated_stream_serves_all_types(method: str) -> None:
    """Requests are answered and changes are pushed, in both dialects."""
    mesh = HandMesh([cluster("a"), endpoints("a", 80)])
    async with serving(mesh) as (_, port), channel(port) as conn:
        call = await Call(conn, method).asks(CLUSTER)
        first = await call.hears()
        assert (first.type_url, len(first.resources)) == (CLUSTER, 1)
        await call.acks(first)
        await call.asks(ENDPOINT, "a")
        second = await call.hears()
        await call.asks(ENDPOINT, *([] if call.is_delta else ["a"]), nonce=second.nonce)
        mesh.put(endpoints("a", 81))
        assert (await call.hears()).type_url == ENDPOINT


async def test_per_type_services_are_served_in_both_dialects() -> None:
    """Every method in the table answers a wildcard of its type, with the type left out."""
    mesh = HandMesh([cluster("a"), endpoints("a", 80), listener("l", 80, "r")])
    async with serving(mesh) as (_, port), channel(port) as conn:
        found = [method for method in methods() if method.type_url]
        assert len(found) == 12
        for method in found:
            call = await Call(conn, f"/{method.service}/{method.name}").asks("")
            assert (await call.hears()).type_url == method.type_url
            call.cancel()


async def test_polling_is_not_served() -> None:
    """The Fetch methods answer UNIMPLEMENTED."""
    async with serving(HandMesh()) as (_, port), channel(port) as conn:
        fetch = conn.unary_unary(
            "/envoy.service.cluster.v3.ClusterDiscoveryService/FetchClusters", None, None
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await fetch(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_health_and_reflection_are_served() -> None:
    """A load balancer sees SERVING, a person sees the services."""
    async with serving(HandMesh()) as (_, port), channel(port) as conn:
        health = health_pb2_grpc.HealthStub(conn)
        answer = await health.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        call = reflection_pb2_grpc.ServerReflectionStub(conn).ServerReflectionInfo()
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        listed = {service.name for service in (await call.read()).list_services_response.service}
        assert {method.service for method in methods()} < listed
        call.cancel()


async def test_operators_see_how_far_a_proxy_is() -> None:
    """SYNCED after the ACK, NACKED with the error and the guilty after a NACK, SYNCED again after a good version.

    The mesh is told what was refused.
    """
    mesh, clock = HandMesh([listener("l", 80, "r")]), asyncio.get_running_loop().time
    began = clock()
    async with serving(mesh) as (server, port), channel(port) as conn:
        call = await Call(conn, DELTA).asks(LISTENER)
        first = await call.hears()
        (proxy,) = server.status()
        assert (proxy.node.id, proxy.dialect, proxy.types[0].state) == (NODE, "delta", State.STALE)
        await call.asks(LISTENER, nonce=first.nonce, error="no")
        await eventually(lambda: server.status()[0].types[0].state is State.NACKED)
        assert server.status()[0].types[0].rejected[0].name == "l"
        assert server.rejected(LISTENER) == 1
        assert mesh.refused == [(NODE, LISTENER, "l", listener("l", 80, "r").version, "no")]
        mesh.put(listener("l", 81, "r"))
        await call.acks(await call.hears())
        await eventually(lambda: server.status()[0].types[0].state is State.SYNCED)
        assert server.rejected(LISTENER) == 0
        ago = server.status()[0].types[0].acked_at
        assert ago is not None
        assert 0 <= ago <= clock() - began


async def test_everything_is_counted() -> None:
    """Proxies, streams, pushes with bytes, joins, acceptances with the time since the change, rejections."""
    mesh, counted = HandMesh([endpoints("a", 80)]), Counted()
    async with serving(mesh, observer=counted) as (_, port), channel(port) as conn:
        one, two = (
            await Call(conn, DELTA).asks(ENDPOINT, "a"),
            await Call(conn, DELTA, "b").asks(ENDPOINT, "a"),
        )
        for call in (one, two):
            await call.acks(await call.hears())
        await eventually(lambda: len(counted.accepts) == 2)
        assert [seconds for _, seconds in counted.accepts] == [None, None]
        before, changed = counted.joins, asyncio.get_running_loop().time()
        mesh.put(endpoints("a", 81))
        for call in (one, two):
            await call.acks(await call.hears())
        await eventually(lambda: len(counted.accepts) == 4)
        seconds = counted.accepts[-1][1]
        assert seconds is not None
        assert 0 < seconds <= asyncio.get_running_loop().time() - changed
        assert counted.joins - before == 1
        assert (counted.connected, counted.streams, len(counted.pushes)) == (2, 2, 4)
        one.cancel()
        await eventually(lambda: counted.connected == 1)


async def test_b43_a_proxy_waits_until_the_mesh_serves_it() -> None:
    """A wildcard is not answered before the node is assigned; then it is."""
    mesh = HandMesh()
    mesh.snapshot = Snapshot()

    async def attach(node: Node) -> None:
        return

    mesh.attach = attach  # type: ignore[method-assign]
    async with serving(mesh) as (_, port), channel(port) as conn:
        call = await Call(conn, DELTA).asks(CLUSTER)
        with pytest.raises(TimeoutError):
            await call.hears(timeout=0.2)
        call = await Call(conn, DELTA).asks(CLUSTER)
        mesh.put(cluster("a"))
        change = SnapshotChange(9, assigned={NODE: (LayerId(VIEW),)})
        mesh.snapshot.apply(change)
        mesh.tell(change)
        assert len((await call.hears()).resources) == 1


async def test_two_streams_of_one_node_are_one_proxy() -> None:
    """The mesh hears of each beginning and of the last end."""
    mesh = HandMesh([cluster("a")])
    async with serving(mesh) as (_, port), channel(port) as conn:
        one, two = await Call(conn, DELTA).asks(CLUSTER), await Call(conn, DELTA).asks(CLUSTER)
        await one.hears()
        await two.hears()
        assert len(mesh.attached) == 2
        one.cancel()
        await two.asks(CLUSTER, "a")
        await two.half_closes()
        await eventually(lambda: len(mesh.detached) == 1)


async def test_draining_ends_streams_after_the_grace() -> None:
    """A stop refuses new connections, tells the old ones to go, and ends what is left."""
    mesh = HandMesh([cluster("a")])
    async with serving(mesh) as (server, port), channel(port) as conn:
        call = await Call(conn, DELTA).asks(CLUSTER)
        await call.hears()
        await server.stop(0.1)
        code, _ = await call.ends()
        assert code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        assert not server.status()
        with pytest.raises(grpc.aio.AioRpcError):
            await (await Call(conn, DELTA).asks(CLUSTER)).hears()


async def test_a_taken_port_is_refused() -> None:
    """Two servers never share a port by accident."""
    async with serving(HandMesh()) as (_, port):
        with pytest.raises(RuntimeError):
            async with serving(HandMesh(), ServerSettings()) as (other, _):
                other.listen(f"127.0.0.1:{port}")
