"""A Consul that lies, with two services, and a registry that follows it."""

import contextlib
from collections.abc import AsyncIterator

from tests.contracts.registry import Recorder, running
from tests.lab.eventually import eventually
from tests.registry.consul.liar import Liar
from xdsd.model.catalog import ServiceKey
from xdsd.registry.consul import ConsulOptions
from xdsd.registry.consul.registry import ConsulRegistry
from xdsd.registry.consul.timing import Timing
from xdsd.registry.last_good import LastGood

NAMES = "/v1/catalog/services"
A_PATH, B_PATH = (f"/v1/health/service/{name}" for name in "ab")
A, B = (ServiceKey("default", f"{name}.service.consul") for name in "ab")
BOTH = {A: ["10.0.0.1"], B: ["10.0.0.2"]}
QUICK = Timing(names=0.5, service=0.5, first_pause=0.01, longest_pause=0.05, again=0.2)


@contextlib.asynccontextmanager
async def two_services() -> AsyncIterator[Liar]:
    """Speaks the truth about a and b at first."""
    async with Liar().serving() as made:
        made.address("a", "10.0.0.1")
        made.address("b", "10.0.0.2")
        yield made


@contextlib.asynccontextmanager
async def following(
    liar: Liar, options: ConsulOptions | None = None, timing: Timing = QUICK, copies: LastGood | None = None
) -> AsyncIterator[Recorder]:
    """What a registry says of it."""
    registry = ConsulRegistry(
        liar.url, options or ConsulOptions(), "mesh.local", timing=timing, copies=copies
    )
    async with running(registry) as sink:
        yield sink


async def has_problem(sink: Recorder, said: str) -> None:
    """Waits for it."""
    await eventually(lambda: any(said in str(each) for each in sink.mistakes), f"a problem says {said}")
