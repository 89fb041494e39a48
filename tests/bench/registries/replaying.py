"""A Consul as it was recorded, in a process of its own: each query of the recording is answered with its headers and its
body, and waits for a newer index as Consul's own do, since a real one cannot take as many changes as are wanted of it.

Orders: ``port``; ``set`` (which checks are ``passing`` or ``critical`` now, each by its service's name and its own id), of
which each is a change with an index of its own, that wakes the queries which wait for its service.
"""

import asyncio
import gzip
import json
import random
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.bench.control import Order, obey, prepare

INDEX = "X-Consul-Index"
SERVICE = "/v1/health/service/"
_STATUS = re.compile(rb'"Status":\s*"(\w+)"')
_MODIFIED = re.compile(rb'"ModifyIndex":\s*(\d+)')
_WAIT = "300000ms"
_FRAMING = frozenset({"content-length", "content-encoding", "transfer-encoding", INDEX.lower()})


@dataclass(slots=True, eq=False)
class Recorded:
    """What is answered to one path, and who waits for more."""

    head: bytes
    body: bytes
    index: int
    chunked: bool
    waiting: "set[_Connection]" = field(default_factory=set)

    def answer(self, *, zipped: bool) -> bytes:
        """As the server that was recorded frames it."""
        body = gzip.compress(self.body, 5) if zipped else self.body
        index = b"%s: %d\r\n" % (INDEX.encode(), self.index)
        if zipped:
            return b"%s%sContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (
                self.head,
                index,
                len(body),
                body,
            )
        if self.chunked:
            return b"%s%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
                self.head,
                index,
                len(body),
                body,
            )
        return b"%s%sContent-Length: %d\r\n\r\n%s" % (self.head, index, len(body), body)

    def set_check(self, ident: str, status: str, index: int) -> None:
        """A check says otherwise as of an index, which whoever waits is told."""
        at = self.body.index(f'"{ident}"'.encode())
        told, modified = _STATUS.search(self.body, at), _MODIFIED.search(self.body, at)
        assert told is not None
        assert modified is not None
        begin, middle, end = (
            self.body[: told.start(1)],
            self.body[told.end(1) : modified.start(1)],
            modified.end(1),
        )
        self.body = b"".join((begin, status.encode(), middle, str(index).encode(), self.body[end:]))
        self.index = index
        waiting, self.waiting = self.waiting, set()
        for each in waiting:
            each.answer(self)


class Replay:
    """All that was recorded, by path."""

    def __init__(self, recorded: Mapping[str, Recorded]) -> None:
        self.recorded = recorded
        self.chance = random.Random(7)
        self._index = max(each.index for each in recorded.values())

    def set_check(self, name: str, ident: str, status: str) -> None:
        self._index += 1
        self.recorded[SERVICE + name].set_check(ident, status, self._index)


class _Connection(asyncio.Protocol):
    """Answers one query after the other."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._received = b""
        self._waits: Recorded | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._zipped = False
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, ended, rest = self._received.partition(b"\r\n\r\n")
        if ended:
            self._received = rest
            self._asked(head)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waits is not None:
            self._waits.waiting.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def answer(self, recorded: Recorded) -> None:
        """What was waited for is there, or the time is over."""
        if self._timer is not None:
            self._timer.cancel()
        self._waits = self._timer = None
        recorded.waiting.discard(self)
        self._transport.write(recorded.answer(zipped=self._zipped))

    def _asked(self, head: bytes) -> None:
        line, _, headers = head.decode().partition("\r\n")
        path, _, query = line.split(" ")[1].partition("?")
        self._zipped = bool(re.search(r"(?im)^accept-encoding:.*\bgzip\b", headers))
        recorded = self._replay.recorded[path]
        asked = parse_qs(query)
        if int(asked.get("index", ["0"])[0]) < recorded.index:
            self.answer(recorded)
            return
        seconds = int(asked.get("wait", [_WAIT])[0].removesuffix("ms")) / 1000
        seconds += self._replay.chance.uniform(0, seconds / 16)
        self._waits = recorded
        self._timer = asyncio.get_running_loop().call_later(seconds, self.answer, recorded)
        recorded.waiting.add(self)


def read_recording(file: Path) -> Iterator[tuple[str, Recorded]]:
    """From lines of JSON, each with ``path``, ``headers`` and ``body``."""
    for line in file.read_bytes().splitlines():
        found = json.loads(line)
        headers: Mapping[str, str] = {name.lower(): value for name, value in found["headers"].items()}
        kept = [f"{name}: {value}" for name, value in headers.items() if name not in _FRAMING]
        head = "\r\n".join(["HTTP/1.1 200 OK", *kept, ""]).encode()
        chunked = headers.get("transfer-encoding", "") == "chunked"
        yield found["path"], Recorded(head, found["body"].encode(), int(headers[INDEX.lower()]), chunked)


async def main(options: dict[str, Any]) -> None:
    prepare(options["core"])
    replay = Replay(dict(read_recording(Path(options["recording"]))))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(replay), "127.0.0.1", 0, backlog=4096)
    port = server.sockets[0].getsockname()[1]

    async def perform(order: Order) -> Any:
        match order["order"]:
            case "port":
                return port
            case "set":
                for name, ident, status in order["checks"]:
                    replay.set_check(name, ident, status)
                return None
            case other:
                raise ValueError(other)

    await obey(perform)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
