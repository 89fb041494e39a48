"""Machines that claim what is not theirs: each is told of, and those who are in their right stay served."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from tests.e2e.asking import ask, thing
from tests.e2e.test_registration import Town, town
from tests.lab.echo import http_server
from tests.lab.eventually import eventually
from tests.server.client import DELTA, Call
from tests.server.secure import connected
from xdsd.snapshot import CLUSTER

pytestmark = pytest.mark.e2e

LIMIT, FLOOD = 20, 1000


async def claims(made: Town, channel: grpc.aio.Channel, name: str, address: str, group: str) -> Call:
    """A machine without an Envoy, that is connected as long as somebody has hold of this."""
    token = (made.folder / "token").read_text().strip()
    call = Call(channel, DELTA, "", metadata=(("authorization", f"Bearer {token}"),))
    request = DeltaDiscoveryRequest(type_url=CLUSTER)
    request.node.id = f"sidecar~{address}~{name}.default~default.svc.cluster.local"
    request.node.metadata.update({"AUTO_REGISTER_GROUP": group, "NAMESPACE": "default"})
    await call.raw(request.SerializeToString())
    return call


@asynccontextmanager
async def machines(made: Town) -> AsyncIterator[grpc.aio.Channel]:
    trusted = grpc.ssl_channel_credentials((made.folder / "root.pem").read_bytes())
    async with connected(int(made.tls.rpartition(":")[2]), trusted) as channel:
        yield channel


async def told(made: Town, *parts: str) -> bool:
    """True if one problem says all of it."""
    problems = await ask(made.daemon, lambda client: client.problems())
    return any(all(part in each.message for part in parts) for each in problems)


async def test_what_is_not_theirs_is_refused_and_the_rest_served(tmp_path: Path) -> None:
    """A second machine at an address, an identity that the token does not cover, and a token that makes a thousand entries:
    the machine that was there keeps its entry and its requests, and all is as before when they are gone.
    """
    async with town(tmp_path, **{"machine-limit": str(LIMIT)}) as made, AsyncExitStack() as stack:
        await made.probe(httpGet={"path": "/", "port": made.port})
        await made.apply(thing("WorkloadGroup", "tills", {"template": {"serviceAccount": "till"}}))
        await stack.enter_async_context(http_server("one", "127.0.0.1", made.port))
        await stack.enter_async_context(made.machine("vm-1", "127.0.0.5"))
        await eventually(lambda: made.is_("127.0.0.5", "healthy"), "it is registered")
        async with AsyncExitStack() as flood:
            channel = await flood.enter_async_context(machines(made))
            held = [await claims(made, channel, "twin", "127.0.0.5", "reviews")]
            held += [await claims(made, channel, "guest", "127.0.0.6", "tills")]
            await eventually(lambda: told(made, "twin", "127.0.0.5, which", "vm-1", "holds"), "of the twin")
            await eventually(
                lambda: told(made, "guest", "the service account till", "not cover"), "of the guest"
            )
            for number in range(FLOOD):
                if number % 50 == 0:  # a connection carries a hundred streams
                    channel = await flood.enter_async_context(machines(made))
                address = f"127.1.{number // 250}.{number % 250}"
                held += [await claims(made, channel, f"m{number}", address, "reviews")]
            await eventually(lambda: told(made, "m999", f"has made {LIMIT} entries already"), "of the last")
            await eventually(lambda: _has(made, LIMIT), "the others are there")
            found = await made.entries()
            assert len(found) == LIMIT
            assert "reviews-127.0.0.5" in found
            assert await made.answers() == {"one"}
        await eventually(lambda: _alone(made), "they are gone")
        await eventually(lambda: _quiet(made), "nothing is wrong any more")
        assert await made.answers() == {"one"}


async def _alone(made: Town) -> bool:
    return list(await made.entries()) == ["reviews-127.0.0.5"]


async def _has(made: Town, entries: int) -> bool:
    return len(await made.entries()) >= entries


async def _quiet(made: Town) -> bool:
    return not await ask(made.daemon, lambda client: client.problems())
