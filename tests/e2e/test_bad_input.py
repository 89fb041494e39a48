"""What clients, files and machines do wrong costs them a sentence, and everybody else nothing.

The daemon is one process for all the wrongs that it must outlive, with a proxy connected that behaves: after each of them
the proxy is still on its first stream and gets the next change.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest
import pytest_asyncio
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from api.client import ApiError, Client
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from tests.e2e.asking import accepted, ask, cluster_of, encoded, metric, service
from tests.e2e.subscriber import Stream, Subscriber
from tests.lab.daemon import Daemon
from tests.lab.eventually import eventually
from xdsd.snapshot import CLUSTER, ENDPOINT

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

T = TypeVar("T")
MOST_NAMES = 10_000
GARBAGE = b"\xff\xfe\x00garbage" * 500


@dataclass(frozen=True, slots=True)
class House:
    """The daemon, and the proxy that behaves."""

    daemon: Daemon
    bystander: Subscriber
    numbers: "count[int]"

    async def asked(self, call: Callable[[Client], T]) -> T:
        """What the admin API answers, without the start of a process."""
        return await ask(self.daemon, call)

    async def goes_on(self) -> None:
        """The bystander has what it had, on the stream it had, is synced, and gets a new change."""
        before = dict(self.bystander.resources[CLUSTER])
        name = f"next-{next(self.numbers)}"
        await self.asked(lambda client: accepted(client.apply(encoded([service(name)]))))
        await eventually(lambda: cluster_of(name) in self.bystander.resources[ENDPOINT], f"{name} arrives")
        assert self.bystander.connected
        assert before.items() <= self.bystander.resources[CLUSTER].items()
        await eventually(
            lambda: self.asked(lambda client: states(client, self.bystander) == {pb.SYNC_STATE_SYNCED})
        )


def states(client: Client, proxy: Stream) -> set[int]:
    """How far a proxy is with what it asked for."""
    (found,) = (each for each in client.proxies() if each.node_id == proxy.node_id)
    return {each.state for each in found.types}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("house")
    settings = {"max-subscriptions": str(MOST_NAMES), "ack-wait": "1h"}
    async with Daemon(folder, settings) as daemon:
        (daemon.machines / "good.json").write_text(json.dumps(service("listed")))
        async with Subscriber(daemon.xds_address, "bystander") as bystander:
            await eventually(lambda: cluster_of("listed") in bystander.resources[ENDPOINT])
            yield House(daemon, bystander, count())


GOOD = json.dumps(service("twice")).encode()
BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (c + 1, c + 1, b",".join([b"*%c" % c] * 9)) for c in range(97, 120)
)
FILES = {
    "malformed": (b"kind: [\n", "not YAML"),
    "huge": (b"# " + b"x" * (50 << 20), "the file has 52428802 bytes, which is above 8388608; split it"),
    "deep": (b"x: " + b"[" * 100_000, "nested deeper than 64 levels"),
    "bomb": (BOMB, "the file holds more than 1000000 values"),
    "unknown": (b"apiVersion: networking.istio.io/v1\nkind: Nonsense\nmetadata: {name: a}\n", "Nonsense"),
    "twice": (GOOD + b"\n---\n" + GOOD, "is in this file twice, first on line 1; keep one of them"),
    "no-utf-8": (b"kind: \xff\n", "byte 0xff is no UTF-8; save the file as UTF-8"),
}


@pytest.mark.parametrize("name", FILES)
async def test_a_bad_file_is_refused_with_its_place(house: House, tmp_path: Path, name: str) -> None:
    """By xdsctl with exit code 1, in a machines folder as a problem; the file's name and what is wrong are said."""
    content, sentence = FILES[name]
    applied, listed = tmp_path / f"{name}.yaml", house.daemon.machines / f"{name}.yaml"
    applied.write_bytes(content)
    listed.write_bytes(content)
    output, _ = await asyncio.gather(
        house.daemon.xdsctl("apply", "-f", applied, check=False),
        eventually(lambda: _reported(house, listed, sentence)),
    )
    assert sentence in output
    assert output.startswith(str(applied))
    assert len(output) < 4000
    await house.goes_on()
    listed.unlink()
    await eventually(lambda: _reports_nothing(house))
    assert house.daemon.program.running
    assert not _faults(house.daemon)


async def _reported(house: House, file: Path, sentence: str) -> bool:
    found = await house.asked(lambda client: client.problems())
    return any(each.file == str(file) and sentence in each.message for each in found)


async def _reports_nothing(house: House) -> bool:
    return not await house.asked(lambda client: client.problems())


def _faults(daemon: Daemon) -> list[dict[str, Any]]:
    """Errors of the daemon itself: there is no input that may cause one."""
    return [
        event for event in daemon.events() if event["level"] in ("error", "critical") or "exception" in event
    ]


OBJECTS: Mapping[str, tuple[Sequence[bytes], str]] = {
    "no JSON": ([b"kind: ServiceEntry"], "an object is not JSON"),
    "no UTF-8": ([b'{"kind": "\xff"}'], "an object is not JSON"),
    "deep": ([b"[" * 1_000_000], "an object"),
    "deep spec": ([GOOD[:-1] + b', "x": ' + b'{"x":' * 900 + b"1" + b"}" * 901], "unknown field"),
    "unknown kind": ([b'{"apiVersion": "v1", "kind": "Nonsense", "metadata": {"name": "a"}}'], "Nonsense"),
    "twice": ([GOOD, GOOD], "is the 3. object and the 2. object of this request; keep one of them"),
    "a key twice": ([b'{"kind": "a", "kind": "b"}'], "'kind' stands twice in one place"),
    "50 MB": ([GOOD[:-1] + b', "x": "' + b"x" * (50 << 20) + b'"}'], "bytes"),
    "not a number": ([GOOD.replace(b'"weight": 1', b'"weight": NaN')], "weight"),
    "an endless number": ([GOOD.replace(b'"weight": 1', b'"weight": ' + b"9" * 100_000)], "an object"),
}


@pytest.mark.parametrize("name", OBJECTS)
async def test_a_bad_object_is_refused_with_a_sentence(house: House, name: str) -> None:
    """By the admin API, whoever calls it; nothing of the request is kept."""
    objects, sentence = OBJECTS[name]
    keep = json.dumps(service("innocent")).encode()
    response = await house.asked(lambda client: client.apply([keep, *objects]))
    assert not response.accepted
    assert any(sentence in problem.message or sentence in problem.path for problem in response.problems), (
        response
    )
    assert len(str(response)) < 4000
    await house.goes_on()
    assert cluster_of("innocent") not in house.bystander.resources[CLUSTER]
    assert not _faults(house.daemon)


async def test_a_request_beyond_the_largest_is_refused_with_a_sentence(house: House) -> None:
    """It is turned away by its length, before anybody reads it."""
    with pytest.raises(ApiError, match="send less at once, or raise max-message-size"):
        await house.asked(lambda client: client.apply([b"x" * (65 << 20)]))
    await house.goes_on()


async def _says(address: str, *words: bytes) -> None:
    """Says words on a connection of its own and hangs up."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for word in words:
            writer.write(word)
            await writer.drain()
        with suppress(OSError):  # it may have been hung up on already
            writer.write_eof()
        async with asyncio.timeout(60):
            while await reader.read(65536):
                pass
    except ConnectionError:
        pass  # it was hung up on
    finally:
        writer.close()


@pytest.mark.parametrize(
    "words",
    [
        (GARBAGE,),
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + GARBAGE,),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", GARBAGE),
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
            b"\xff\xff\xff\x01\x04\x00\x00\x00\x01",
        ),
    ],
    ids=["bytes", "HTTP/1.1", "TLS", "frames", "headers"],
)
async def test_what_is_no_grpc_is_hung_up_on(house: House, words: Sequence[bytes]) -> None:
    """Garbage on the wire ends its own connection."""
    await asyncio.gather(*(_says(house.daemon.xds_address, *words) for _ in range(20)))
    await house.goes_on()
    assert not _faults(house.daemon)


SERVICES = (
    "envoy.service.discovery.v3.AggregatedDiscoveryService/",
    "envoy.service.endpoint.v3.EndpointDiscoveryService/",
)
METHODS = [
    f"/{service}{name}"
    for service, names in zip(
        SERVICES,
        (("StreamAggregatedResources", "DeltaAggregatedResources"), ("StreamEndpoints", "DeltaEndpoints")),
        strict=True,
    )
    for name in names
]


@pytest.mark.parametrize("method", METHODS)
async def test_a_request_that_is_none_ends_its_stream(house: House, method: str) -> None:
    """The client is told which message its bytes are not."""
    refused = await refusals(house.daemon)
    async with Stream(house.daemon.xds_address, "garbage", method) as stream:
        await stream.sends(GARBAGE)
        code, details = await stream.ending()
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "not a envoy.service.discovery.v3" in details
    assert await refusals(house.daemon) == refused + 1
    await house.goes_on()
    assert not _faults(house.daemon)


async def test_a_node_that_is_none_ends_its_stream(house: House) -> None:
    """It is told the form that a node id has."""
    for node, sentence in (
        ("", "node"),
        ("nonsense", "sidecar~10.0.0.1~reviews-v1.default"),
        ("x" * 100_000, "node id"),
    ):
        async with Stream(house.daemon.xds_address, "") as stream:
            stream.node_id = node
            await stream.asks(CLUSTER)
            code, details = await stream.ending()
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert sentence in details
        assert len(details) < 1000
    await house.goes_on()


async def refusals(daemon: Daemon) -> float:
    """How many streams were ended for what their client did."""
    return await metric(daemon, "xdsd_refused_streams_total")


async def test_ten_thousand_subscriptions_are_served_and_one_more_ends_the_stream(house: House) -> None:
    """The one resource that exists comes, all others are said not to exist; the bound is said."""
    name = cluster_of("listed")
    others = [f"outbound|{number}||nowhere.example.com" for number in range(MOST_NAMES - 1)]
    async with Stream(house.daemon.xds_address, "curious") as stream:
        await stream.asks(ENDPOINT, [name, *others])
        found, missing, nonces = await _taken(stream, MOST_NAMES)
        assert (found, missing) == ({name}, set(others))
        for nonce in nonces:
            await stream.sends(DeltaDiscoveryRequest(type_url=ENDPOINT, response_nonce=nonce))
        await eventually(lambda: house.asked(lambda client: states(client, stream) == {pb.SYNC_STATE_SYNCED}))
        await house.goes_on()
        await stream.asks(ENDPOINT, ["one-more"])
        code, details = await stream.ending()
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert str(MOST_NAMES) in details
    await house.goes_on()


async def _taken(stream: Stream, expected: int) -> tuple[set[str], set[str], list[str]]:
    """Names that came, names that do not exist, and nonces, once so many were spoken of."""
    found: set[str] = set()
    missing: set[str] = set()
    nonces = []
    async with asyncio.timeout(60):
        while len(found) + len(missing) < expected:
            response = DeltaDiscoveryResponse.FromString(await stream.call.read())
            found.update(each.name for each in response.resources)
            missing.update(response.removed_resources)
            nonces.append(response.nonce)
    return found, missing, nonces


IDLE = 25
CHANGES = 200


async def test_clients_that_never_read_cost_the_others_nothing(house: House) -> None:
    """The bystander gets each of two hundred changes by itself; for those who do not read, one waits and none piles up."""
    addresses = [f"10.{number // 250}.{number % 250}.1" for number in range(400)]
    weights = count(1)
    await change(house, addresses, next(weights))
    name = cluster_of("large")
    size = len(house.bystander.bodies[name])
    levels = [await resident(house)]
    await changes(house, addresses, weights)
    levels.append(await resident(house))
    async with AsyncExitStack() as stack:
        pushes = await pushed(house.daemon)
        for number in range(IDLE):
            stream = await stack.enter_async_context(Stream(house.daemon.xds_address, f"idle-{number}"))
            await stream.asks(ENDPOINT, [name])
        await eventually(lambda: _connected(house, IDLE + 1))
        await eventually(lambda: _pushed(house, pushes + IDLE))
        for _ in range(3):
            await change(house, addresses, next(weights))
        pushes, heard = await pushed(house.daemon), house.bystander.heard[ENDPOINT]
        levels.append(await resident(house))
        await changes(house, addresses, weights)
        assert house.bystander.heard[ENDPOINT] - heard == CHANGES
        assert await pushed(house.daemon) - pushes == CHANGES
        # What was given back before may be taken again, and two hundred changes grow the history by themselves.
        grown, alone = await resident(house) - max(levels), max(levels[1] - levels[0], 0.0)
        assert grown - alone < IDLE * CHANGES * size / 4
    await eventually(lambda: _connected(house, 1))
    await house.goes_on()


async def resident(house: House) -> float:
    """The daemon's memory, in bytes."""
    return await metric(house.daemon, "process_resident_memory_bytes")


async def changes(house: House, addresses: Sequence[str], weights: Iterator[int]) -> None:
    """Two hundred, one after another."""
    for _ in range(CHANGES):
        await change(house, addresses, next(weights))


async def change(house: House, addresses: Sequence[str], weight: int) -> None:
    """Another weight for all endpoints of a large service, and the bystander has it."""
    name = cluster_of("large")
    before = house.bystander.resources[ENDPOINT].get(name)
    objects = encoded([service("large", *addresses, weight=weight)])
    await house.asked(lambda client: accepted(client.apply(objects)))
    await eventually(lambda: house.bystander.resources[ENDPOINT].get(name) not in (None, before), every=0.002)


async def pushed(daemon: Daemon) -> float:
    """Responses with endpoints that went to anybody."""
    return await metric(daemon, 'xdsd_pushes_total{type="eds"}')


async def _pushed(house: House, responses: float) -> bool:
    return await pushed(house.daemon) == responses


async def _connected(house: House, proxies: int) -> bool:
    return await metric(house.daemon, "xdsd_connected_proxies") == proxies
