"""DNS: a server that knows a few names, and questions as a program's resolver asks them."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address
from typing import cast


class Kind(IntEnum):
    """Types of records."""

    A = 1
    TXT = 16
    AAAA = 28


class Code(IntEnum):
    """How a question was answered."""

    NOERROR = 0
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """The addresses of a name, and for how many seconds they may be kept."""

    code: Code
    addresses: tuple[str, ...] = ()
    ttl: int = 0


async def ask(
    name: str, kind: Kind = Kind.A, server: tuple[str, int] = ("127.0.0.1", 15053), timeout: float = 20
) -> Answer:
    """What a server says to one question over UDP. Raises TimeoutError if it says nothing."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        asking.connect(server)
        number = random.getrandbits(16)
        header = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0)
        await loop.sock_sendall(asking, header + _encoded(name) + struct.pack(">HH", kind, 1))
        async with asyncio.timeout(timeout):
            while True:
                data = await loop.sock_recv(asking, 4096)
                if struct.unpack_from(">H", data)[0] == number:
                    return _read(data)


@asynccontextmanager
async def dns_server(
    names: Mapping[str, tuple[str, ...]], address: str, port: int = 53
) -> AsyncIterator[list[str]]:
    """A server that knows some names; yields those that it was asked for, which grow."""
    asked: list[str] = []
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Server(names, asked), local_addr=(address, port)
    )
    try:
        yield asked
    finally:
        transport.close()


class _Server(asyncio.DatagramProtocol):
    def __init__(self, names: Mapping[str, tuple[str, ...]], asked: list[str]) -> None:
        self._names = names
        self._asked = asked

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, end = _name(data, 12)
        self._asked.append(name)
        (kind,) = struct.unpack_from(">H", data, end)
        known = self._names.get(name)
        fitting = [
            packed
            for each in known or ()
            if len(packed := ip_address(each).packed) == (4 if kind == Kind.A else 16)
        ]
        flags = 0x8180 | (Code.NOERROR if known else Code.NXDOMAIN)
        head = data[:2] + struct.pack(">HHHHH", flags, 1, len(fitting), 0, 0)
        records = (
            b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(packed)) + packed for packed in fitting
        )
        self._transport.sendto(head + data[12 : end + 4] + b"".join(records), addr)


def _encoded(name: str) -> bytes:
    words = name.rstrip(".").split(".")
    return b"".join(bytes([len(word)]) + word.encode() for word in words) + b"\0"


def _name(data: bytes, at: int) -> tuple[str, int]:
    """The name at a place of a message, and where it ends; a pointer ends it."""
    words = []
    while data[at] and data[at] < 0xC0:
        words.append(data[at + 1 : at + 1 + data[at]].decode())
        at += 1 + data[at]
    return ".".join(words), at + (2 if data[at] else 1)


def _read(data: bytes) -> Answer:
    _, flags, questions, answers, _, _ = struct.unpack_from(">HHHHHH", data)
    at = 12
    for _ in range(questions):
        at = _name(data, at)[1] + 4
    found, ttl = [], 0
    for _ in range(answers):
        at = _name(data, at)[1]
        _, _, ttl, size = struct.unpack_from(">HHIH", data, at)
        at += 10
        found.append(str(ip_address(data[at : at + size])))
        at += size
    return Answer(Code(flags & 15), tuple(found), ttl)
