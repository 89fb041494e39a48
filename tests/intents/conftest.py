"""Both stores, and intents in them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.base import Store
from storage.embedded import open_embedded
from storage.memory import MemoryStore
from xdsd.intents import Intents


@pytest.fixture(params=["memory", "embedded"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: Store = MemoryStore() if request.param == "memory" else await open_embedded(tmp_path / "store.db")
    yield opened
    await opened.close()


@pytest.fixture
def intents(store: Store) -> Intents:
    return Intents(store)
