"""A Consul that hides things, which it does without a word: what a token may not read is not what is gone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.registry import Recorder
from tests.lab.eventually import eventually
from tests.registry.consul.entries import entry
from tests.registry.consul.following import (
    A_PATH,
    BOTH,
    NAMES,
    QUICK,
    A,
    B,
    following,
    has_problem,
    two_services,
)
from tests.registry.consul.liar import Liar
from xdsd.registry.consul import Consistency, ConsulOptions
from xdsd.registry.consul.timing import Timing

A_HIDDEN = "ConsulService default/a: 1 instances are hidden from the token now, and served as they were"


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    """Speaks the truth about a and b at first."""
    async with two_services() as made:
        yield made


@contextlib.asynccontextmanager
async def synced(
    liar: Liar, options: ConsulOptions | None = None, timing: Timing = QUICK
) -> AsyncIterator[Recorder]:
    async with following(liar, options, timing) as sink:
        await sink.told("synced")
        assert sink.services() == BOTH
        yield sink


async def test_rights_to_nodes_that_are_taken_and_given_back(liar: Liar) -> None:
    """Consul's index does not move for either: what was known is served with a warning, and what is there again is read."""
    async with synced(liar) as sink:
        liar.services["a"] = []
        await has_problem(sink, A_HIDDEN)
        assert sink.services() == BOTH
        liar.services["a"] = [entry("a-10.0.0.1", Address="10.0.0.7")]
        await sink.sees({A: ["10.0.0.7"], B: ["10.0.0.2"]})
        await eventually(lambda: not sink.mistakes, "the warning is cleared")
        assert sink.log.count("stale") == 0


async def test_a_change_of_what_is_hidden_takes_nothing_away(liar: Liar) -> None:
    """A service that is listed has instances, whatever Consul shows of them; deregistered, it is listed no more."""
    async with synced(liar) as sink:
        liar.put("a")
        await has_problem(sink, A_HIDDEN)
        liar.move()
        liar.address("b", "10.0.0.3")
        await sink.sees({A: ["10.0.0.1"], B: ["10.0.0.3"]})
        del liar.services["a"]
        liar.move()
        await sink.sees({B: ["10.0.0.3"]})
        assert sink.mistakes == []


async def test_rights_to_services_that_are_taken_and_given_back(liar: Liar) -> None:
    """A name that leaves the list while no index moves is hidden; one whose index moved has left."""
    async with synced(liar) as sink:
        liar.hide("a")
        await has_problem(sink, A_HIDDEN)
        liar.address("b", "10.0.0.3")
        await sink.sees({A: ["10.0.0.1"], B: ["10.0.0.3"]})
        liar.show("a")
        await eventually(lambda: not sink.mistakes, "the warning is cleared")
        liar.hide("a")
        await has_problem(sink, A_HIDDEN)
        liar.show("a")
        del liar.services["a"]
        liar.address("b", "10.0.0.2")
        await sink.sees({B: ["10.0.0.2"]})
        assert sink.mistakes == []


async def test_rights_to_some_nodes_that_are_taken_and_given_back(liar: Liar) -> None:
    """Instances that an answer of the same index lacks are hidden; they leave with the service's next change."""
    liar.address("a", "10.0.0.1", "10.0.0.9")
    async with following(liar) as sink:
        await sink.told("synced")
        both = liar.services["a"]
        liar.services["a"] = both[:1]
        await has_problem(sink, A_HIDDEN)
        assert sink.services()[A] == ["10.0.0.1", "10.0.0.9"]
        liar.services["a"] = both
        await eventually(lambda: not sink.mistakes, "the warning is cleared")
        liar.services["a"] = both[:1]
        await has_problem(sink, A_HIDDEN)
        liar.move()
        await sink.sees(BOTH)
        await eventually(lambda: not sink.mistakes, "nothing is hidden any more")


async def test_consul_may_say_that_it_hides_something(liar: Liar) -> None:
    """Newer ones do: then nothing leaves, though the index moved."""
    async with synced(liar) as sink:
        liar.headers["X-Consul-Results-Filtered-By-ACLs"] = "true"
        del liar.services["a"]
        liar.move()
        await has_problem(sink, A_HIDDEN)
        assert sink.services() == BOTH
        liar.headers.clear()
        liar.move()
        await sink.sees({B: ["10.0.0.2"]})


async def test_what_is_hidden_from_the_start_is_told_at_once(liar: Liar) -> None:
    """Before the source is called synced, and not a round of questions later."""
    liar.services["a"] = []
    async with following(liar, timing=replace(QUICK, names=60.0, service=60.0)) as sink:
        await sink.told("synced")
        assert sink.services() == {B: ["10.0.0.2"]}
        assert "default/a: is listed without any instance" in "".join(map(str, sink.mistakes))


async def test_another_token_asks_for_everything_anew(liar: Liar, tmp_path: Path) -> None:
    """At once, however long the waits are that were begun with the one before."""
    token = tmp_path / "token"
    token.write_text("first")
    timing = replace(QUICK, names=60.0, service=60.0, token=0.05)
    async with synced(liar, ConsulOptions(token_file=token), timing) as sink:
        liar.services["a"] = [entry("a-10.0.0.1", Address="10.0.0.7")]
        liar.services["c"] = [entry("c-1", Address="10.0.0.8")]
        token.write_text("another")
        await eventually(
            lambda: sorted(sink.services().values()) == [["10.0.0.2"], ["10.0.0.7"], ["10.0.0.8"]]
        )
        asked = len(liar.asked)
        token.write_text("another")
        liar.address("a", "10.0.0.9")
        await eventually(lambda: sink.services()[A] == ["10.0.0.9"], "it goes on")
        assert len(liar.asked) < asked + 12
        assert sink.log.count("synced") == 1


async def test_services_that_are_swept_are_hidden_too(liar: Liar) -> None:
    """Also those that have no query of their own."""
    for number in range(4):
        liar.address(f"s{number}", f"10.1.0.{number}")
    async with following(liar, ConsulOptions(connections=9)) as sink:
        await sink.told("synced")
        known = sink.services()
        liar.hide("s3")
        await has_problem(sink, "default/s3: 1 instances are hidden")
        liar.services["s2"] = []
        liar.address("a", "10.0.0.5")
        await has_problem(sink, "default/s2: 1 instances are hidden")
        await sink.sees({**known, A: ["10.0.0.5"]})
        liar.address("s2", "10.2.0.2")
        liar.show("s3")
        await eventually(lambda: len([each for each in sink.mistakes if "hidden" in str(each)]) == 0)
        await eventually(lambda: ["10.2.0.2"] in sink.services().values())


async def test_a_consul_that_began_anew_beyond_the_index_that_was_known(
    liar: Liar, time_is_over: Callable[[], None]
) -> None:
    """Its servers are others: what it lacks is served as it was, be it a service or one of several instances."""
    liar.address("b", "10.0.0.2", "10.0.0.3")
    async with following(liar) as sink:
        await sink.told("synced")
        known = sink.services()
        del liar.services["a"]
        liar.address("b", "10.0.0.2")
        liar.server = "another"
        liar.move(100)
        await has_problem(sink, "2 instances of a, b are served as they were")
        assert sink.services() == known
        liar.address("a", "10.0.0.1")
        await has_problem(sink, "1 instances of b are served as they were")
        time_is_over()
        await sink.sees(BOTH)
        assert sink.mistakes == []


async def test_instances_alone_tell_that_a_consul_began_anew(liar: Liar) -> None:
    """Where all services are there again, and one has fewer instances."""
    liar.address("b", "10.0.0.2", "10.0.0.3")
    async with following(liar, timing=replace(QUICK, names=60.0)) as sink:
        await sink.told("synced")
        known = sink.services()
        liar.server = "another"
        liar.address("b", "10.0.0.2")
        await has_problem(sink, "1 instances of b are served as they were")
        assert sink.services() == known


async def test_names_that_lag_keep_nothing_for_ever(liar: Liar) -> None:
    """In stale mode another server may still list what has left: it leaves once that one knows."""
    async with synced(liar, ConsulOptions(consistency=Consistency.STALE)) as sink:
        index = liar.index

        async def lag(_: object) -> object:
            await asyncio.sleep(0.05)
            return liar.said(b'{"consul": [], "a": [], "b": []}', index)

        liar.lie(NAMES, lag)  # type: ignore[arg-type]
        del liar.services["a"]
        liar.move()
        await has_problem(sink, A_HIDDEN)
        liar.lie(NAMES, None)
        await sink.sees({B: ["10.0.0.2"]})
        assert sink.mistakes == []


async def test_names_that_move_all_the_time_delay_no_beginning(liar: Liar) -> None:
    """What is read is not begun again with each registration elsewhere."""
    for number in range(100):
        liar.address(f"s{number:02}", f"10.1.0.{number}")
    timing = replace(QUICK, parallel=2, burst=1000, rate=1000.0)

    async def busy(request: object) -> object:
        liar.index += 1
        return liar.said(
            b'{"consul":[],"a":[],"b":[]' + b"".join(b',"s%02d":[]' % n for n in range(100)) + b"}"
        )

    liar.lie(NAMES, busy)  # type: ignore[arg-type]
    async with following(liar, timing=timing) as sink:
        await sink.told("synced")
        assert len(sink.services()) == 102
        assert liar.waits(A_PATH).count("") < 5
