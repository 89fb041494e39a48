"""Work that one daemon does for all."""

import asyncio

from tests.fleet.conftest import Away, running
from tests.lab.eventually import eventually
from xdsd.fleet.singletons import Singletons


async def test_each_job_is_done_by_one_daemon(store: Away) -> None:
    """Every job runs on one of the daemons, which says so; what one leaves another takes."""
    done: dict[str, list[str]] = {"a": [], "b": []}

    def jobs(daemon: str) -> Singletons:
        async def work(job: str) -> None:
            done[job].append(daemon)
            await asyncio.Event().wait()

        return Singletons(store, daemon, {"a": lambda: work("a"), "b": lambda: work("b")}, ttl=3600)

    one, other = jobs("one"), jobs("other")
    async with running(other.run):
        async with running(one.run):
            await eventually(lambda: {*one.held, *other.held} == {"a", "b"})
            assert not {*one.held} & {*other.held}
            assert all(len(daemons) == 1 for daemons in done.values())
        await eventually(lambda: other.held == ("a", "b"))
    assert other.held == ()
