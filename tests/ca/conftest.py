"""Stores that authorities share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from storage.base import Store
from storage.embedded import open_embedded
from storage.memory import MemoryStore
from tests.lab.etcd import EtcdServer


@pytest.fixture(params=["memory", "embedded"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store of each kind that needs no other program."""
    async with _opened(request.param, tmp_path) as found:
        yield found


@pytest.fixture(params=["memory", "embedded", pytest.param("etcd", marks=pytest.mark.e2e)])
async def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    async with _opened(request.param, tmp_path) as found:
        yield found


@asynccontextmanager
async def _opened(kind: str, folder: Path) -> AsyncIterator[Store]:
    if kind == "etcd":
        async with EtcdServer(folder) as server, server.store() as opened:
            yield opened
        return
    found: Store = MemoryStore() if kind == "memory" else await open_embedded(folder / "xdsd.db")
    try:
        yield found
    finally:
        await found.close()
