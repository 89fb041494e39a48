"""Data centres made of network namespaces: a core that routes, machines behind it, and wires between the cores.

Nothing is shared between them but the wires: each has addresses of its own, ``10.NUMBER.0.0/16``, the core the first, and
what a core knows of another is the way to it.
"""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import combinations, count

from tests.lab.netns import Machine, require, run
from tests.lab.wires import Wire

_FIRST = 101
_numbers = count(1)


@dataclass
class Centre:
    """``core`` is the router and whatever runs on it; ``machines`` are behind it, by name."""

    name: str
    number: int
    core: Machine
    machines: dict[str, Machine] = field(default_factory=dict)

    @property
    def network(self) -> str:
        return f"10.{self.number}.0.0/16"


@dataclass(frozen=True, slots=True)
class Centres:
    """``wires`` are those between two, by their names in the order in which they were given."""

    of: dict[str, Centre]
    wires: dict[tuple[str, str], Wire]


@asynccontextmanager
async def centres(**machines: tuple[str, ...]) -> AsyncIterator[Centres]:
    """So many data centres, each with these machines, and a wire between any two."""
    require()
    async with AsyncExitStack() as stack:
        made = {
            name: stack.enter_context(_centre(name, _FIRST + place, names))
            for place, (name, names) in enumerate(machines.items())
        }
        wires: dict[tuple[str, str], Wire] = {}
        for one, other in combinations(made.values(), 2):
            wire = Wire(one.core, f"to-{other.name}", other.core, f"to-{one.name}")
            wires[one.name, other.name] = await stack.enter_async_context(wire)
            for here, there in ((one, other), (other, one)):
                way = ("route", "add", there.network, "dev", f"to-{there.name}", "src", here.core.address)
                run("ip", "-n", here.core.name, *way)
        yield Centres(made, wires)


@contextmanager
def _centre(name: str, number: int, machines: tuple[str, ...]) -> Iterator[Centre]:
    serial = next(_numbers)
    made = Centre(name, number, Machine(f"xdsd-{os.getpid()}-{serial}-{name}", f"10.{number}.0.1", ""))
    there: list[Machine] = []
    try:
        run("ip", "netns", "add", made.core.name)
        there.append(made.core)
        run("ip", "-n", made.core.name, "address", "add", f"{made.core.address}/32", "dev", "lo")
        run("ip", "-n", made.core.name, "link", "set", "lo", "up")
        made.core.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        for place, each in enumerate(machines, 10):
            machine = Machine(f"{made.core.name}-{each}", f"10.{number}.0.{place}", "")
            run("ip", "netns", "add", machine.name)
            there.append(machine)
            _join(made.core, machine, f"eth-{each}")
            made.machines[each] = machine
        yield made
    finally:
        for machine in there:
            run("ip", "netns", "delete", machine.name)


def _join(core: Machine, machine: Machine, device: str) -> None:
    """A wire of the kernel's between a core and a machine, which sends everything there."""
    pair = ("netns", core.name, "type", "veth", "peer", "name", "eth0", "netns", machine.name)
    run("ip", "link", "add", device, *pair)
    run("ip", "-n", machine.name, "address", "add", f"{machine.address}/32", "dev", "eth0")
    for where, link in ((machine, "lo"), (machine, "eth0"), (core, device)):
        run("ip", "-n", where.name, "link", "set", link, "up")
    run("ip", "-n", machine.name, "route", "add", core.address, "dev", "eth0")
    run("ip", "-n", machine.name, "route", "add", "default", "via", core.address)
    way = ("route", "add", f"{machine.address}/32", "dev", device, "src", core.address)
    run("ip", "-n", core.name, *way)
