"""The load: thousands of proxies, each on a connection of its own, in one process.

Orders: ``connect`` (how many, by which script) waits until all are configured; ``expect`` waits for one more response on
each and returns when they came; ``lost`` counts streams that ended.
"""

import asyncio
import json
import selectors
import socket
import sys
import time
from typing import Any

from tests.bench.control import Order, obey, prepare
from tests.bench.http2 import Inbound, message, opening
from tests.bench.material import ack, node_id, request, versions
from xdsd.snapshot import CLUSTER, ENDPOINT

PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"


class Proxy:
    """One stream: asks for ``script`` one after the other, each after the response to the one before."""

    __slots__ = ("at", "came", "inbound", "script", "socket", "unsent")

    def __init__(self, sock: socket.socket, script: list[tuple[str, bytes]]) -> None:
        self.socket = sock
        self.script = script
        self.inbound = Inbound()
        self.at = 0
        self.came: list[float] = []
        self.unsent = b""


class Load:
    """All proxies and the loop that serves them, which runs within an order."""

    def __init__(self, port: int, names: int, clusters: bool) -> None:
        self._address = ("127.0.0.1", port)
        self._opening = opening(PATH, f"127.0.0.1:{port}")
        self._names = names
        self._clusters = clusters
        self._shared = request(ENDPOINT, names=names)
        self._selector = selectors.DefaultSelector()
        self._proxies: list[Proxy] = []
        self._versions: dict[str, dict[str, str]] = {}
        self.lost = 0

    def connect(self, count: int) -> dict[str, Any]:
        """Opens ``count`` streams at once; seconds until all were configured."""
        started = time.monotonic()
        first = len(self._proxies)
        for number in range(first, first + count):
            self._proxies.append(self._open(number))
        new = self._proxies[first:]
        self._run(lambda: all(proxy.at >= len(proxy.script) for proxy in new), 120)
        done = [proxy.came[-1] for proxy in new if proxy.at >= len(proxy.script)]
        for proxy in new:
            proxy.came.clear()
        return {"seconds": max(done, default=0) - started, "configured": len(done), "lost": self.lost}

    def resume(self) -> dict[str, Any]:
        """Every proxy connects again and says what it has, with no script to follow."""
        count = len(self._proxies)
        self._proxies.clear()
        for number in range(count):
            known = [
                request(
                    type_url, node_id(number) * first, 0 if first else self._names, self._versions[type_url]
                )
                for type_url, first in ((CLUSTER, True), (ENDPOINT, False))
            ]
            self._proxies.append(self._opened(known))
        self._run(lambda: False, 1)
        lost = sum(proxy.inbound.over for proxy in self._proxies)
        return {"connected": count - lost, "lost": lost}

    def expect(self, flipped: float) -> dict[str, Any]:
        """Waits for a response on each stream; when they came, in seconds since ``flipped``."""
        alive = [proxy for proxy in self._proxies if not proxy.inbound.over]
        self._run(lambda: all(proxy.came for proxy in alive), 60)
        late = sorted(proxy.came[0] - flipped for proxy in alive if proxy.came)
        for proxy in alive:
            proxy.came.clear()
        return {"came": len(late), "late": late}

    def idle(self, seconds: float) -> dict[str, Any]:
        """Serves the connections for a while."""
        self._run(lambda: False, seconds)
        return {"lost": self.lost}

    def _opened(self, requests: list[bytes]) -> Proxy:
        sock = socket.socket()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(self._address)
        sock.setblocking(False)
        proxy = Proxy(sock, [])
        self._selector.register(sock, selectors.EVENT_READ, proxy)
        self._send(proxy, self._opening + b"".join(map(message, requests)))
        return proxy

    def _open(self, number: int) -> Proxy:
        node = node_id(number)
        if self._clusters:
            script = [(CLUSTER, request(CLUSTER, node)), (ENDPOINT, self._shared)]
        else:
            script = [(ENDPOINT, request(ENDPOINT, node, self._names))]
        proxy = self._opened([script[0][1]])
        proxy.script = script
        return proxy

    def _run(self, done: Any, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        turns = 0
        while time.monotonic() < deadline:
            events = self._selector.select(0.02)
            now = time.monotonic()
            for key, mask in events:
                if mask & selectors.EVENT_WRITE:
                    self._send(key.data, b"")
                if mask & selectors.EVENT_READ:
                    self._read(key.data, now)
            turns += 1
            if (not events or turns % 16 == 0) and done():
                return

    def _read(self, proxy: Proxy, now: float) -> None:
        try:
            received = proxy.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        inbound = proxy.inbound
        out = b""
        for response in inbound.feed(received):
            proxy.came.append(now)
            type_url = proxy.script[min(proxy.at, len(proxy.script) - 1)][0] if proxy.script else CLUSTER
            if proxy.at < len(proxy.script) and type_url not in self._versions:
                self._versions[type_url] = versions([response])
            out += message(ack(type_url, response))
            proxy.at += 1
            if proxy.at < len(proxy.script):
                out += message(proxy.script[proxy.at][1])
        if inbound.replies:
            out += inbound.replies
            inbound.replies = b""
        if inbound.over or not received:
            inbound.over = True
            self.lost += 1
            self._selector.unregister(proxy.socket)
            proxy.socket.close()
        elif out:
            self._send(proxy, out)

    def _send(self, proxy: Proxy, data: bytes) -> None:
        data = proxy.unsent + data
        try:
            sent = proxy.socket.send(data)
        except BlockingIOError:
            sent = 0
        waiting = bool(proxy.unsent)
        proxy.unsent = data[sent:]
        if bool(proxy.unsent) != waiting:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if proxy.unsent else 0)
            self._selector.modify(proxy.socket, events, proxy)


async def main(options: dict[str, Any]) -> None:
    prepare(options["core"])
    load = Load(options["port"], options["names"], options["clusters"])

    async def perform(order: Order) -> Any:
        match order["order"]:
            case "connect":
                return load.connect(order["count"])
            case "expect":
                return load.expect(order["flipped"])
            case "resume":
                return load.resume()
            case "idle":
                return load.idle(order["seconds"])
            case other:
                raise ValueError(other)

    await obey(perform)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
