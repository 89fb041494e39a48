"""Clusters and load assignments in a running Envoy: which endpoints get traffic."""

import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from google.protobuf.any_pb2 import Any as AnyMessage

from tests.lab.echo import first_line, tcp_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_ports
from tests.lab.static import as_dict, static_bootstrap
from xdsd.compile.clusters import outbound_cluster
from xdsd.compile.endpoints import load_assignment
from xdsd.compile.locality import Place, nearness_of
from xdsd.compile.names import outbound_cluster_name
from xdsd.compile.policy import policy_of
from xdsd.model.catalog import Endpoint, Health, Port, Protocol, Service
from xdsd.model.intent import TrafficPolicy

pytestmark = pytest.mark.e2e

HOST = "a.default.svc.cluster.local"
NAME = outbound_cluster_name(80, "", HOST)
PORT = Port(80, "tcp", Protocol.TCP, 1)
ROUND_ROBIN = {"loadBalancer": {"simple": "ROUND_ROBIN"}}


class Lab:
    """An Envoy before two servers, ``one`` and ``two``, whose endpoints come from a file by real EDS."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.file = folder / "eds.json"
        self.port, *ports = free_ports(3)
        self.one, self.two = (Endpoint("127.0.0.1", {PORT.name: port}) for port in ports)
        policy = policy_of(TrafficPolicy.model_validate(settings))
        self.nearness = nearness_of(policy)
        self.cluster: Any = outbound_cluster(NAME, Service("default", HOST, (PORT,)), PORT, policy)
        self.cluster.eds_cluster_config.eds_config.path_config_source.path = str(self.file)
        self.envoy = Envoy(static_bootstrap([self.listener()], [self.cluster]), folder)

    def assign(self, *endpoints: Endpoint, place: str = "") -> None:
        """What a proxy at a place is told."""
        wrapped = AnyMessage()
        wrapped.Pack(load_assignment(NAME, PORT, endpoints, None, self.nearness, Place(place)))
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps({"resources": [as_dict(wrapped)]}))
        new.rename(self.file)

    def listener(self) -> Any:
        proxy = TcpProxy(stat_prefix="lab", cluster=NAME)
        listener: Any = Listener(name="lab")
        listener.address.socket_address.address = "127.0.0.1"
        listener.address.socket_address.port_value = self.port
        listener.filter_chains.add().filters.add(name="envoy.filters.network.tcp_proxy").typed_config.Pack(
            proxy
        )
        return listener

    async def shares(self, connections: int = 12) -> Counter[str]:
        """Who answered so many connections; the empty name stands for nobody."""
        lines = [await first_line("127.0.0.1", self.port) for _ in range(connections)]
        return Counter(line.partition(" ")[0] for line in lines)

    async def answer(self, names: Sequence[str]) -> None:
        """Waits until just these answer."""

        async def holds() -> None:
            assert set(await self.shares()) == set(names)

        await eventually(holds, f"{names} answer")


@asynccontextmanager
async def lab(folder: Path, settings: Mapping[str, Any]) -> AsyncIterator[Lab]:
    made = Lab(folder, settings)
    made.assign(made.one, made.two)
    async with AsyncExitStack() as stack:
        for name, endpoint in (("one", made.one), ("two", made.two)):
            await stack.enter_async_context(tcp_server(name, "127.0.0.1", endpoint.ports[PORT.name]))
        await stack.enter_async_context(made.envoy)
        yield made


def ill(endpoint: Endpoint, health: Health = Health.UNHEALTHY) -> Endpoint:
    return replace(endpoint, health=health)


async def test_unhealthy_endpoints_are_the_last_resort(tmp_path: Path) -> None:
    """They get nothing while one is healthy, and everything when none is; without any, nobody answers."""
    async with lab(tmp_path, ROUND_ROBIN) as made:
        await made.answer(["one", "two"])
        made.assign(made.one, ill(made.two))
        await made.answer(["one"])
        made.assign(ill(made.one, Health.DRAINING), made.two)
        await made.answer(["two"])
        made.assign(ill(made.one), ill(made.two))
        await made.answer(["one", "two"])
        made.assign()
        await made.answer([""])


async def test_outlier_detection_keeps_unhealthy_endpoints_out(tmp_path: Path) -> None:
    """With it the published default holds: no traffic to unhealthy endpoints, whatever is left."""
    async with lab(tmp_path, {**ROUND_ROBIN, "outlierDetection": {"consecutive5xxErrors": 5}}) as made:
        await made.answer(["one", "two"])
        made.assign(ill(made.one), ill(made.two))
        await made.answer([""])


async def test_endpoints_get_traffic_by_weight(tmp_path: Path) -> None:
    """Weights count across localities as they do within one."""
    async with lab(tmp_path, ROUND_ROBIN) as made:
        made.assign(replace(made.one, weight=3), made.two)
        await eventually(lambda: three_quarters(made, "one"), "one has three quarters")
        made.assign(made.one, replace(made.two, weight=3, locality="eu/a"))
        await eventually(lambda: three_quarters(made, "two"), "two has three quarters")


@pytest.mark.parametrize("simple", ["ROUND_ROBIN", "LEAST_REQUEST"])
async def test_a_new_endpoint_warms_up(tmp_path: Path, simple: str) -> None:
    """It begins with few connections beside one that is warm, and ends with as many."""
    warmup = {"duration": "3s", "minimumPercent": 1}
    async with lab(tmp_path, {"loadBalancer": {"simple": simple, "warmup": warmup}}) as made:
        made.assign(made.one)
        await made.answer(["one"])
        warm_at = time.monotonic() + 3.2
        await eventually(lambda: time.monotonic() > warm_at, "the first is warm")

        async def begins_with_few() -> None:
            # A machine that is busy may let it warm up meanwhile, so it may begin again.
            made.assign(made.one)
            await made.answer(["one"])
            made.assign(made.one, made.two)
            await eventually(lambda: members(made, 2), "the second is there", every=0)
            found = await made.shares(60)
            assert found["two"] <= 10  # as many of 60 that are spread evenly happen once in 12 million times

        await eventually(begins_with_few, "it begins with few connections")
        await eventually(lambda: half(made), "the second is warm")


async def members(made: Lab, count: int) -> bool:
    """True if Envoy has so many endpoints now."""
    return await made.envoy.stat(f"cluster.{made.cluster.alt_stat_name}.membership_total") == count


async def half(made: Lab) -> bool:
    return (await made.shares(40))["two"] == pytest.approx(20, abs=5)


async def test_a_nearer_endpoint_that_is_ill_is_left(tmp_path: Path) -> None:
    """Without outlier detection too: what the platform says of health decides, and what is near gets all again."""
    async with lab(tmp_path, {"loadBalancer": {"localityLbSetting": {}}}) as made:
        near, far = replace(made.one, locality="eu/a"), replace(made.two, locality="us/a")
        made.assign(near, far, place="eu/a")
        await made.answer(["one"])
        made.assign(ill(near), far, place="eu/a")
        await made.answer(["two"])
        made.assign(near, ill(far), place="eu/a")
        await made.answer(["one"])
        made.assign(near, far, place="us")
        await made.answer(["two"])


async def three_quarters(made: Lab, name: str) -> bool:
    return (await made.shares(40))[name] == pytest.approx(30, abs=2)
