"""The lab's servers leave no connection behind, however late it came."""

import asyncio
import gc
import socket
import sys
from contextlib import AsyncExitStack

import pytest

from tests.lab.echo import first_line, http_server, tcp_server
from tests.lab.judge import judge
from tests.lab.ports import free_port
from tests.lab.relay import Relay
from tests.lab.sites import Site
from tests.lab.tap import Tap

KINDS = ("lines", "http", "site", "judge", "relay", "tap")


async def called(kind: str, turns: int) -> None:
    """A server that is over so many turns of the loop after three clients called."""
    behind, port = free_port(), free_port()
    async with AsyncExitStack() as clients, AsyncExitStack() as servers:
        await servers.enter_async_context(tcp_server("a", "127.0.0.1", behind))
        match kind:
            case "lines":
                port = behind
            case "http":
                await servers.enter_async_context(http_server("a", "127.0.0.1", port))
            case "site":
                await servers.enter_async_context(Site("a", "127.0.0.1", port))
            case "judge":
                await servers.enter_async_context(judge("127.0.0.1", port))
            case "relay":
                port = (await servers.enter_async_context(Relay(behind))).port
            case "tap":
                await servers.enter_async_context(Tap("127.0.0.1", port, "127.0.0.1", behind))
        for _ in range(3):
            clients.enter_context(socket.create_connection(("127.0.0.1", port)))
        for _ in range(turns):
            await asyncio.sleep(0)


@pytest.mark.parametrize("kind", KINDS)
def test_who_calls_last_is_left_by_nobody(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whichever turn of the loop the server ends: what it accepted it closes."""
    left: list[str] = []
    gc.collect()
    monkeypatch.setattr(sys, "unraisablehook", lambda told: left.append(repr(told.exc_value)))
    for turns in range(8):
        asyncio.run(called(kind, turns))
    gc.collect()
    assert left == []


async def test_a_relay_that_is_cut_carries_for_nobody() -> None:
    """Neither for those whom it served nor for those who called just then; mended, it carries again."""
    behind = free_port()
    async with tcp_server("a", "127.0.0.1", behind), Relay(behind) as relay:
        for turns in range(8):
            with socket.create_connection(("127.0.0.1", relay.port)) as late:
                late.setblocking(False)
                for _ in range(turns):
                    await asyncio.sleep(0)
                await relay.cut()
                loop = asyncio.get_running_loop()
                try:
                    while await loop.sock_recv(late, 100):
                        pass
                except ConnectionResetError:
                    pass
            await relay.mend()
        assert await first_line("127.0.0.1", relay.port) == "a 127.0.0.1"
