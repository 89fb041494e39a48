"""A wire between two machines that can be cut and that can be long, whatever queueing disciplines the kernel has.

Each end is a TUN device; what is sent into one is carried to the other by the event loop of the test. So a cut is as silent
as that of a cable under the sea: nobody is told, and what was under way is lost.
"""

import asyncio
import fcntl
import os
import struct
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.lab.missing import missing
from tests.lab.netns import Machine

_TUNSETIFF = 0x400454CA
_TUN_WITHOUT_HEADER = 0x1001
_LARGEST = 65536
_AT_ONCE = 64


class Wire:
    """``async with Wire(one, "to-other", other, "to-one") as wire``: devices of these names on both machines.

    ``delay`` is how long a packet is under way, in seconds; ``cut`` and ``mend`` do to it what they say. Routes are the
    caller's.
    """

    def __init__(self, one: Machine, at_one: str, other: Machine, at_other: str) -> None:
        self.delay = 0.0
        self._whole = True
        self._places = ((one, at_one), (other, at_other))
        self._ends: list[int] = []

    async def __aenter__(self) -> Self:
        self._ends = [_device(machine, name) for machine, name in self._places]
        loop = asyncio.get_running_loop()
        for source, target in (self._ends, reversed(self._ends)):
            loop.add_reader(source, self._carry, source, target)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._whole = False
        loop = asyncio.get_running_loop()
        for end in self._ends:
            loop.remove_reader(end)
            os.close(end)
        self._ends = []

    def cut(self) -> None:
        """Whatever is sent is lost from now on."""
        self._whole = False

    def mend(self) -> None:
        """It carries again."""
        self._whole = True

    def _carry(self, source: int, target: int) -> None:
        for _ in range(_AT_ONCE):
            try:
                packet = os.read(source, _LARGEST)
            except BlockingIOError:
                return
            if not self._whole:
                continue
            if self.delay:
                asyncio.get_running_loop().call_later(self.delay, self._arrive, target, packet)
            else:
                self._arrive(target, packet)

    def _arrive(self, target: int, packet: bytes) -> None:
        if self._whole:
            with suppress(OSError):  # a full queue loses packets, as any does
                os.write(target, packet)


def _device(machine: Machine, name: str) -> int:
    with machine.entered():
        try:
            device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            missing("/dev/net/tun", str(error))
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TUN_WITHOUT_HEADER))
        machine.run("ip", "link", "set", name, "up")
    return device
