"""The store in memory keeps the contract."""

import pytest

from storage.base import Store
from storage.memory import MemoryStore
from tests.contracts.store import StoreMaker, WholeStoreContract
from tests.storage.clock import ManualClock


class TestMemoryStore(WholeStoreContract):
    @pytest.fixture
    def maker(self) -> StoreMaker:
        clock = ManualClock()

        async def open_store() -> Store:
            return MemoryStore(clock=clock, lease_tick=0.01)

        return StoreMaker(open_store, clock.elapse)
