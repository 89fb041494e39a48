"""gRPC accepts from a socket that was there before it."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.lab.eventually import eventually
from xdsd.listening import CannotAdoptError, adopt

Maker = Callable[[], socket.socket]


@pytest.fixture(params=["127.0.0.1", "::1", "unix"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """A listening socket of each family."""
    if request.param == "unix":
        made = socket.socket(socket.AF_UNIX)
        made.bind(f"\0xdsd-test-{os.getpid()}-{tmp_path.name}")
        made.listen()
    else:
        family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
        made = socket.create_server((request.param, 0), family=family)
    with made:
        yield made


def target(kept: socket.socket) -> str:
    """As a gRPC client writes it."""
    name = kept.getsockname()
    if kept.family == socket.AF_UNIX:
        return f"unix-abstract:{name[1:].decode()}"
    return f"[{name[0]}]:{name[1]}" if kept.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"


def answering(word: bytes) -> Any:
    """A server that answers everything with a word; Any: grpc's stubs know no bytes."""
    server = grpc.aio.server()

    async def answer(request: bytes, context: Any) -> bytes:
        return word

    method = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.B", {"C": method}),))
    return server


async def ask(address: str) -> bytes:
    """What a client with a connection of its own is answered."""
    async with grpc.aio.insecure_channel(
        address, options=(("grpc.use_local_subchannel_pool", 1), ("grpc.default_authority", "a"))
    ) as channel:
        call: Any = channel.unary_unary("/a.B/C")  # type: ignore[call-arg]
        return bytes(await call(b"", timeout=60))


@asynccontextmanager
async def asking(address: str) -> AsyncIterator[Awaitable[bytes]]:
    task = asyncio.create_task(ask(address))
    yield task
    await task


async def test_a_socket_is_served_by_one_server_after_the_other(kept: socket.socket) -> None:
    """Who connects before a server starts, or after it released the socket, waits for the next one."""
    address = target(kept)
    for word in (b"first", b"second"):
        server = answering(word)
        adopted = adopt(server.add_insecure_port, kept)
        async with asking(address) as early:
            await server.start()
            assert await early == word
        assert await asyncio.gather(*(ask(address) for _ in range(20))) == [word] * 20
        adopted.release()
        adopted.release()
        await server.stop(0)
        assert kept.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    waiting = asyncio.create_task(ask(address))
    third = answering(b"third")
    adopt(third.add_insecure_port, kept)
    await third.start()
    assert await waiting == b"third"
    await third.stop(0)


async def test_an_adoption_leaves_nothing_open(kept: socket.socket) -> None:
    """However many servers adopted, soon no more files are open than gRPC keeps for itself."""

    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names alone

    async def adoption() -> None:
        server = answering(b"")
        adopted = adopt(server.add_insecure_port, kept)
        await server.start()
        adopted.release()
        await server.stop(0)

    await adoption()
    turns, before = 60, opened()
    for _ in range(turns):
        await adoption()
    await eventually(lambda: opened() < before + turns / 2, "what servers had open is closed")


async def test_a_listener_that_is_none_of_grpcs_is_not_touched() -> None:
    """Without a socket of gRPC's there is nothing whose place could be taken."""
    with (
        socket.create_server(("127.0.0.1", 0)) as kept,
        pytest.raises(CannotAdoptError, match="was not found"),
    ):
        adopt(lambda address: 1, kept)


def test_another_way_of_waiting_is_refused() -> None:
    """A gRPC that polls has no entry that could be changed; the sentence says what to do."""
    code = (
        "import asyncio, grpc, socket\nfrom xdsd.listening import adopt\n"
        "async def main():\n"
        "    adopt(grpc.aio.server().add_insecure_port, socket.create_server(('127.0.0.1', 0)))\n"
        "asyncio.run(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "GRPC_POLL_STRATEGY": "poll"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert (
        "CannotAdoptError: gRPC does not wait for connections by epoll; unset GRPC_POLL_STRATEGY"
        in done.stderr
    )
