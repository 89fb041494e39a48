"""Lists of machines: a folder of files of ten services each, which a script replaces. Endpoints that are ill leave them."""

import asyncio
import ctypes
import json
import os
import struct
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.bench.material import ENDPOINTS, hostname
from tests.bench.registries.platform import PORT_NUMBER, Bare, Flip, address, name

PER_FILE = 10
_MOVED_TO = 0x80
_EVENT = struct.Struct("iIII")


class MachinesPlatform:
    """A folder. In a storm a script has news of half a file's endpoints whenever it replaces one."""

    at_once, neighbours = PER_FILE * ENDPOINTS // 2, PER_FILE

    def __init__(self, services: int, folder: Path) -> None:
        self.services = services
        self._folder = folder

    @property
    def options(self) -> Mapping[str, Any]:
        return {"kind": "machines", "where": str(self._folder)}

    @property
    def pids(self) -> Sequence[int]:
        return ()

    async def read(self) -> None:
        for file in sorted(self._folder.iterdir()):
            for _ in yaml.load_all(file.read_bytes(), yaml.CSafeLoader):
                pass

    @asynccontextmanager
    async def bare(self) -> AsyncIterator[Bare]:
        watching = _Notified(self._folder)
        try:
            yield watching
        finally:
            watching.close()

    async def write(self, flipped: Sequence[Flip], ill: Set[Flip]) -> None:
        for number in sorted({number // PER_FILE for number, _ in flipped}):
            self.write_file(number, ill)
            await asyncio.sleep(0)

    storm = write

    def write_file(self, number: int, ill: Set[Flip]) -> None:
        """Beside it, then renamed."""
        file = self._folder / _file(number)
        fresh = file.with_suffix(".new")
        listed = range(number * PER_FILE, min(self.services, (number + 1) * PER_FILE))
        fresh.write_text("\n---\n".join(json.dumps(_entry(each, ill)) for each in listed))
        fresh.rename(file)


class _Notified:
    """What the kernel says of the folder, and the file that it was about."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert libc.inotify_add_watch(self._descriptor, bytes(folder), _MOVED_TO) >= 0
        self._expected: dict[str, asyncio.Future[float]] = {}
        self._loop.add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        data = os.read(self._descriptor, 1 << 16)
        while data:
            _, _, _, size = _EVENT.unpack_from(data)
            found = data[_EVENT.size : _EVENT.size + size].rstrip(b"\0").decode()
            data = data[_EVENT.size + size :]
            expected = self._expected.pop(found, None)
            if expected is not None:
                (self._folder / found).read_bytes()
                expected.set_result(self._loop.time())

    async def expect(self, number: int) -> "_Heard":
        future = self._expected[_file(number // PER_FILE)] = self._loop.create_future()
        return _Heard(future)

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)


class _Heard:
    def __init__(self, future: "asyncio.Future[float]") -> None:
        self._future = future

    async def at(self) -> float:
        return await self._future


@asynccontextmanager
async def machines(folder: Path, services: int) -> AsyncIterator[MachinesPlatform]:
    """Filled."""
    lists = folder / "lists"
    lists.mkdir()
    made = MachinesPlatform(services, lists)
    for number in range(-(-services // PER_FILE)):
        made.write_file(number, frozenset())
    yield made


def _file(number: int) -> str:
    return f"list-{number:03}.yaml"


def _entry(number: int, ill: Set[Flip]) -> dict[str, Any]:
    endpoints = [
        {
            "address": address(number, each),
            "labels": {"app": name(number), "version": f"v{each % 3}"},
            "serviceAccount": name(number),
        }
        for each in range(ENDPOINTS)
        if (number, each) not in ill
    ]
    spec = {
        "hosts": [hostname(number)],
        "ports": [{"number": PORT_NUMBER, "name": "http", "protocol": "HTTP"}],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "endpoints": endpoints,
    }
    version = "networking.istio.io/v1"
    return {"apiVersion": version, "kind": "ServiceEntry", "metadata": {"name": name(number)}, "spec": spec}
