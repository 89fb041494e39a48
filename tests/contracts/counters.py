"""The contract of ``xdsd.ratelimit.counters``, as tests that any counters run.

A subclass says with a fixture ``counters`` what is tested.
"""

import asyncio

from xdsd.ratelimit import Counters, Hit

LONG = 3600.0


class CountersContract:
    """Every test uses keys of its own, so that a shared place may be used."""

    async def test_sums_include_what_is_added(self, counters: Counters) -> None:
        """Each addition returns the number of its counter so far."""
        hit = Hit("sums", 1, LONG)
        assert [await counters.add([hit]) for _ in range(3)] == [[1], [2], [3]]

    async def test_counters_are_told_apart_by_their_keys(self, counters: Counters) -> None:
        """Several are added to at once, by different amounts, and answered in their order."""
        await counters.add([Hit("apart-a", 5, LONG)])
        assert await counters.add([Hit("apart-b", 2, LONG), Hit("apart-a", 1, LONG)]) == [2, 6]

    async def test_nothing_is_added_by_nothing(self, counters: Counters) -> None:
        """An amount of 0 asks; no hits have no answer."""
        assert await counters.add([]) == []
        assert await counters.add([Hit("nothing", 0, LONG)]) == [0]

    async def test_no_addition_is_lost(self, counters: Counters) -> None:
        """Additions at the same time are all counted, and each gets a sum of its own."""
        sums = await asyncio.gather(*(counters.add([Hit("lost", 1, LONG)]) for _ in range(100)))
        assert sorted(sums) == [[number] for number in range(1, 101)]

    async def test_keys_may_hold_anything(self, counters: Counters) -> None:
        """Spaces, line ends and other languages are part of a key."""
        keys = ["a b", "a\r\nb", "ключ", "a"]
        assert await counters.add([Hit(f"any-{key}", 1, LONG) for key in keys]) == [1, 1, 1, 1]

    async def test_numbers_may_be_large(self, counters: Counters) -> None:
        """Up to what Envoy's protocol can say."""
        assert await counters.add([Hit("large", 2**40, LONG)]) == [2**40]
        assert await counters.add([Hit("large", 1, LONG)]) == [2**40 + 1]
