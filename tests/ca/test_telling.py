"""Telling of many revoked certificates."""

import asyncio

import pytest

from xdsd.ca.issuer import CannotIssue
from xdsd.ca.telling import AT_ONCE, PATIENCE, tell_all


class Elsewhere:
    """Somebody who is told; ``bad`` serials are refused, and never more than some are told at once."""

    def __init__(self, *bad: int) -> None:
        self.told: list[int] = []
        self.bad = bad
        self.busy = self.busiest = 0

    async def tell(self, serial: int) -> None:
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        await asyncio.sleep(0)
        self.busy -= 1
        if serial in self.bad:
            raise CannotIssue(f"{serial} is not known")
        self.told.append(serial)


async def test_several_are_told_at_once() -> None:
    """Each once, and no more than some beside each other."""
    found = Elsewhere()
    await tell_all(found.tell, range(1, 1001))
    assert sorted(found.told) == list(range(1, 1001))
    assert 1 < found.busiest <= AT_ONCE
    await tell_all(found.tell, ())


async def test_one_that_fails_holds_back_no_other() -> None:
    """It is told in the end, with how many were not."""
    found = Elsewhere(3)
    with pytest.raises(CannotIssue, match=r"^3 is not known \(1 of 100 certificates\)$"):
        await tell_all(found.tell, range(1, 101))
    assert len(found.told) == 99
    with pytest.raises(CannotIssue, match=r"^3 is not known$"):
        await tell_all(found.tell, [3])


async def test_who_answers_nothing_is_asked_no_more() -> None:
    """After so many failures the rest is left, and counted."""
    found = Elsewhere(*range(1, 1001))
    with pytest.raises(CannotIssue, match="1000 of 1000 certificates"):
        await tell_all(found.tell, range(1, 1001))
    assert found.told == []
    assert found.busiest <= PATIENCE
