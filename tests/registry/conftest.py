"""What is held of a platform that forgot it is let go when a test says so."""

from collections.abc import Callable
from typing import Any

import pytest

from xdsd.registry.holding import Holding


@pytest.fixture
def time_is_over(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets go what began to be held last, as if its time were over."""
    begun: list[Holding[Any]] = []
    begin = Holding.begin

    def noted(self: Holding[Any], until: float) -> None:
        begun.append(self)
        begin(self, until)

    monkeypatch.setattr(Holding, "begin", noted)

    def over() -> None:
        begun[-1].renew()
        begun[-1]._let_go()

    return over
