"""Daemons that know each other by leased keys."""

import json
from dataclasses import replace
from io import StringIO

from structlog.typing import FilteringBoundLogger

from tests.fleet.conftest import Away, running
from tests.lab.eventually import eventually
from xdsd.fleet.members import PREFIX, Member, Membership


def member(number: int, name: str = "") -> Member:
    """A daemon."""
    return Member(number, name or f"d{number}", "1.0", "2026-01-01T00:00:00Z", "unix:/a", "127.0.0.1:15010")


async def test_members_see_each_other_until_they_leave(store: Away, logger: FilteringBoundLogger) -> None:
    """A daemon is a member while it runs, and is gone once it stopped."""
    one, other = Membership(store, member(1), logger), Membership(store, member(2), logger)
    async with running(one.run):
        async with running(other.run):
            await eventually(lambda: _are(one, [member(1), member(2)]))
        assert await one.list() == [member(1)]


async def test_a_silent_member_is_forgotten(store: Away, logger: FilteringBoundLogger) -> None:
    """A daemon that died without a word is no member once its lease has run out."""
    one, other = Membership(store, member(1), logger), Membership(store, member(2), logger)
    await other._stay()
    assert await one.list() == [member(1), member(2)]
    store.now = 60.0
    await eventually(lambda: _are(one, [member(1)]))


async def test_a_member_whose_lease_is_lost_registers_again(
    store: Away, logger: FilteringBoundLogger
) -> None:
    """A daemon whose lease ended during an outage is a member again after it."""
    one = Membership(store, member(1), logger, ttl=1)
    async with running(one.run):
        await eventually(lambda: _registered(store))
        await store.revoke(one._lease)
        await eventually(lambda: _registered(store))


async def test_an_outage_between_lease_and_key(logger: FilteringBoundLogger) -> None:
    """A daemon whose store went away just when it had a lease is a member once the store is back."""

    class GoneAfterGrant(Away):
        async def grant(self, ttl: int, lease: int = 0) -> int:
            granted = await super().grant(ttl, lease)
            self.away = not self.refused
            return granted

    store = GoneAfterGrant()
    async with running(Membership(store, member(1), logger, ttl=1).run):
        await eventually(lambda: store.refused)
        store.away = False
        await eventually(lambda: _registered(store))
    await store.close()


async def test_a_name_that_is_taken_is_said(store: Away, logger: FilteringBoundLogger, log: StringIO) -> None:
    """Two daemons of one name are told, by the address of the other."""
    elsewhere = replace(member(2, "same"), xds="127.0.0.1:15012")
    one, other = Membership(store, member(1, "same"), logger), Membership(store, elsewhere, logger)
    async with running(one.run):
        await eventually(lambda: _registered(store))
        async with running(other.run):
            await eventually(lambda: "another daemon has this name" in log.getvalue())
    assert json.loads(log.getvalue().splitlines()[0])["name"] == "same"


async def test_what_a_killed_daemon_left_is_no_other(
    store: Away, logger: FilteringBoundLogger, log: StringIO
) -> None:
    """A daemon that comes back within the time of its lease does not take what it left for another daemon."""
    await Membership(store, member(1, "same"), logger, ttl=1)._stay()
    async with running(Membership(store, member(2, "same"), logger, ttl=2).run):
        await eventually(lambda: _count(store, 2))
        store.now = 1.0
        await eventually(lambda: _count(store, 1))
    assert "another daemon" not in log.getvalue()


async def test_a_namesake_of_another_host_is_said(
    store: Away, logger: FilteringBoundLogger, log: StringIO
) -> None:
    """It may listen where we do, on a host of its own; it is told by outliving what we could have left."""
    one, other = (Membership(store, member(number, "same"), logger, ttl=1) for number in (1, 2))
    async with running(one.run):
        await eventually(lambda: _registered(store))
        async with running(other.run):
            await eventually(lambda: "another daemon has this name" in log.getvalue())
            assert other._leftovers_until == 0.0


async def test_what_others_wrote_there_is_no_member(store: Away, logger: FilteringBoundLogger) -> None:
    """A value in another form is passed over."""
    for value in (b"", b"{}", b"[]", b'{"id": "zz"}'):
        await store.put(PREFIX + b"x", value)
        assert await Membership(store, member(1), logger).list() == [member(1)]


async def _are(membership: Membership, members: list[Member]) -> bool:
    return list(await membership.list()) == members


async def _count(store: Away, count: int) -> bool:
    return len((await store.range(PREFIX, PREFIX + b"\xff")).kvs) == count


async def _registered(store: Away) -> bool:
    return bool((await store.range(PREFIX, PREFIX + b"\xff")).kvs)
