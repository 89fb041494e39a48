"""What is measured of every platform alike: its services, how they flip, and who else watches."""

import os
import time
from collections.abc import Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from tests.bench.material import ENDPOINTS, PORT

NAMESPACE = "default"
Flip = tuple[int, int]
"""An endpoint: the number of its service, and its own."""


def name(number: int) -> str:
    """A service, as its platform calls it; its host is the one of ``tests.bench.material``."""
    return f"service-{number:05}"


def address(number: int, each: int) -> str:
    return f"10.{16 + number // 200}.{number % 200}.{each + 1}"


def state(number: int, ill: Set[Flip]) -> str:
    """Which endpoints of a service serve: ``1110111111``."""
    return "".join("0" if (number, each) in ill else "1" for each in range(ENDPOINTS))


class Bare(Protocol):
    """A client that only watches, in the process that also writes."""

    async def expect(self, number: int) -> "Heard":
        """It is going to be told of a service; returns once it is ready for it."""


class Heard(Protocol):
    """When something came, by the monotonic clock."""

    async def at(self) -> float: ...


class Platform(Protocol):
    """One platform, running. ``options`` say to the process under test how to watch it; ``pids`` are its programs. In a
    storm, ``at_once`` endpoints flip together, of so many ``neighbours`` among services.
    """

    services: int
    at_once: int
    neighbours: int

    @property
    def options(self) -> Mapping[str, Any]: ...

    @property
    def pids(self) -> Sequence[int]: ...

    async def read(self) -> None:
        """Reads all there is once, as quickly as can be, and does nothing with it."""

    def bare(self) -> AbstractAsyncContextManager[Bare]:
        """The client that only watches."""

    async def write(self, flipped: Sequence[Flip], ill: Set[Flip]) -> None:
        """One endpoint's change, as the platform's own programs make it: these are as ``ill`` says now."""

    async def storm(self, flipped: Sequence[Flip], ill: Set[Flip]) -> None:
        """The same for many endpoints, as quickly as can be."""


def give_way(*pids: int) -> None:
    """What these programs, each the first of its session, compute holds nobody up who is measured: on machines that do not
    share everything they run elsewhere.
    """
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), _NICE)
        group = Path(f"/proc/{pid}/autogroup")
        if group.exists():  # there, sessions are equals, whatever their threads are
            time.sleep(_BETWEEN)
            group.write_text(str(_NICE))


PORT_NUMBER = PORT.number
_NICE = 5
_BETWEEN = 0.2  # seconds; whoever is not root may not set it more often
