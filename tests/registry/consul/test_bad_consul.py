"""A Consul that answers wrongly: what it said last is served, and somebody is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from tests.contracts.registry import Recorder
from tests.lab.eventually import eventually
from tests.lab.ports import free_port
from tests.registry.consul.entries import entry
from tests.registry.consul.following import (
    A_PATH,
    B_PATH,
    NAMES,
    QUICK,
    A,
    B,
    following,
    has_problem,
    two_services,
)
from tests.registry.consul.liar import Liar, Lie, break_off, flood, hang, status, torn
from xdsd.model.catalog import ServiceKey
from xdsd.registry.consul import Consistency, ConsulOptions
from xdsd.registry.consul import client as client_module
from xdsd.registry.consul import listing as listing_module
from xdsd.registry.consul.registry import ConsulRegistry


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    """Speaks the truth about a and b at first."""
    async with two_services() as made:
        yield made


async def test_a_name_list_that_fails_is_an_outage(liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever way it fails: it is stale, keeps what was known, and is synced when it answers again."""
    monkeypatch.setattr(client_module, "LARGEST", 4 << 20)
    async with following(liar, timing=replace(QUICK, again=3600.0)) as sink:
        await sink.told("synced")
        lies: list[Lie] = [
            status(500, "No cluster leader"),
            status(403, "Permission denied"),
            status(429, "Your IP is issuing too many concurrent connections"),
            status(404),
            status(301),
            break_off,
            hang,
            flood,
            truncated(liar),
            empty(liar),
        ]
        for count, lie in enumerate(lies, start=1):
            with monkeypatch.context() as hasty:
                # Only while nothing answers at all: what answers late would else be an outage of its own.
                if lie is hang:
                    hasty.setattr(client_module, "_GRACE_SECONDS", 0.3)
                    hasty.setattr(listing_module, "_AGAIN_SECONDS", 0.3)
                liar.lie(NAMES, lie)
                await sink.told("stale", count)
            assert sink.services() == {A: ["10.0.0.1"], B: ["10.0.0.2"]}
            liar.lie(NAMES, None)
            await sink.told("synced", count + 1)
        assert sink.log == ["change", "change", "synced", *["stale", "synced"] * len(lies)]
        assert sink.mistakes == []


def truncated(liar: Liar) -> Lie:
    async def lie(_: object) -> object:
        return liar.said(b'{"consul": [], "a": [')

    return lie  # type: ignore[return-value]


def empty(liar: Liar) -> Lie:
    async def lie(_: object) -> object:
        return liar.said(b"{}")

    return lie  # type: ignore[return-value]


async def test_why_it_is_away_is_told(liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words that say what to do, and anew when it is another reason."""
    told: list[str] = []
    monkeypatch.setattr(Recorder, "stale", lambda _, why: told.append(why))
    liar.lie(NAMES, status(403, "ACL not found"))
    async with following(liar):
        await eventually(lambda: told, "it is told")
        assert told[-1] == (
            "Consul answers 403 (ACL not found): give a token that may read services and nodes in token-file"
        )
        liar.lie(NAMES, status(500, "No cluster leader"))
        await eventually(lambda: len(told) > 1, "it is told anew")
        assert told[-1] == "Consul answers 500 (No cluster leader)"


async def test_why_it_is_not_reached_is_told_in_plain_words(tmp_path: Path) -> None:
    """Where nobody listens, where nothing is, and where no name leads: who, and what is the matter, once."""
    port = free_port()
    said = {
        f"http://127.0.0.1:{port}": f"127.0.0.1:{port}: connection refused",
        f"http://localhost:{port}": f"localhost:{port}: connection refused",
        f"unix://{tmp_path}/none": f"{tmp_path}/none: no such file or directory",
    }
    for url, why in said.items():
        assert await why_stale(url) == why
    assert (await why_stale("http://nowhere.invalid:80")).startswith("nowhere.invalid:80: ")


async def why_stale(url: str) -> str:
    """What is told of a Consul that cannot be reached."""
    told: list[str] = []

    class Ear(Recorder):
        def stale(self, why: str) -> None:
            told.append(why)

    task = asyncio.create_task(ConsulRegistry(url, ConsulOptions(), "mesh.local", timing=QUICK).run(Ear()))
    await eventually(lambda: told, "it is told")
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return told[0]


@pytest.mark.parametrize(
    "lie",
    [status(500), status(403), status(404), break_off, flood, torn],
    ids=["500", "403", "404", "cut", "flood", "torn"],
)
async def test_one_service_that_fails_hurts_no_other(
    liar: Liar, lie: Lie, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays as it was, with a problem that names it; the others change as ever, and mending clears it."""
    monkeypatch.setattr(client_module, "LARGEST", 4 << 20)
    async with following(liar) as sink:
        await sink.told("synced")
        liar.lie(A_PATH, lie)
        await has_problem(sink, "ConsulService default/a: cannot be read, what was read last holds")
        assert f"{liar.url}: ConsulService" in str(sink.mistakes[0])
        liar.address("b", "10.0.0.3")
        await sink.sees({A: ["10.0.0.1"], B: ["10.0.0.3"]})
        liar.address("a", "10.0.0.4")
        liar.lie(A_PATH, None)
        await sink.sees({A: ["10.0.0.4"], B: ["10.0.0.3"]})
        await eventually(lambda: not sink.mistakes, "the problem is cleared")
        assert "stale" not in sink.log


async def test_one_service_that_never_worked_holds_nobody_up(liar: Liar) -> None:
    """The rest is synced without it."""
    liar.lie(A_PATH, status(500))
    async with following(liar) as sink:
        await sink.told("synced")
        assert sink.services() == {B: ["10.0.0.2"]}
        await has_problem(sink, "default/a: cannot be read")


async def test_an_index_of_0_is_not_waited_for(liar: Liar) -> None:
    """It would be answered at once, for ever: queries wait for 1 instead, and are not asked in a hurry."""
    liar.headers["X-Consul-Index"] = "0"
    async with following(liar, timing=replace(QUICK, burst=5, rate=10.0)) as sink:
        await sink.told("synced")
        await eventually(lambda: len(liar.waits(A_PATH)) > 6, "it is asked again")
        assert set(liar.waits(A_PATH)) == {"", "1"}
        assert "0" not in liar.waits(NAMES)
        liar.address("b", "10.0.0.3")
        liar.services["b"] += [entry("b-2", Address="10.0.0.4")]
        await sink.sees({A: ["10.0.0.1"], B: ["10.0.0.3", "10.0.0.4"]})
        liar.address("b", "10.0.0.3")
        await sink.sees({A: ["10.0.0.1"], B: ["10.0.0.3"]})
        del liar.services["a"]
        liar.move()
        await sink.sees({B: ["10.0.0.3"]})
        assert sink.mistakes == []


async def test_no_index_at_all_is_survived(liar: Liar) -> None:
    """As with 0."""
    liar.headers["X-Consul-Index"] = "soon"
    async with following(liar) as sink:
        await sink.told("synced")
        liar.headers.clear()
        liar.address("a", "10.0.0.9")
        await sink.sees({A: ["10.0.0.9"], B: ["10.0.0.2"]})


async def test_an_index_that_goes_backwards_is_forgotten(liar: Liar) -> None:
    """It is asked anew, surely, and what is still there is not told again."""
    async with following(liar) as sink:
        await sink.told("synced")
        told = len(sink.changes)
        liar.asked.clear()
        liar.move(by=-5)
        sure = {"consistent": ""}
        await eventually(lambda: (NAMES, sure) in liar.asked, "it is asked to be sure")
        # An instance that is replaced before it was seen again is one that Consul forgot, and is kept.
        await eventually(lambda: "" in liar.waits(A_PATH), "a is asked for anew")
        await eventually(lambda: "" in liar.waits(B_PATH), "b is asked for anew")
        liar.address("a", "10.0.0.9")
        await sink.sees({A: ["10.0.0.9"], B: ["10.0.0.2"]})
        assert len(sink.changes) == told + 1
        assert sink.mistakes == []


async def test_one_answer_that_does_not_come_is_no_outage(
    liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have come and be among thousands that were not read yet; so it is asked for at once, and only then it is."""
    monkeypatch.setattr(client_module, "_GRACE_SECONDS", 0.3)

    async def once(request: web.Request) -> web.StreamResponse:
        del liar.lies[NAMES]
        return await hang(request)

    async with following(liar) as sink:
        await sink.told("synced")
        liar.asked.clear()
        liar.lie(NAMES, once)
        await eventually(lambda: liar.waits(NAMES).count("") > 0, "it is asked again")
        liar.address("a", "10.0.0.9")
        await sink.sees({A: ["10.0.0.9"], B: ["10.0.0.2"]})
        assert "stale" not in sink.log


async def test_what_a_consul_forgot_is_kept_for_a_while(liar: Liar, time_is_over: Callable[[], None]) -> None:
    """It is told, served as it was, and let go when the time is over."""
    async with following(liar) as sink:
        await sink.told("synced")
        liar.services = {"consul": []}
        liar.move(by=-5)
        await has_problem(
            sink, "2 instances of a, b are served as they were, since Consul came back without them"
        )
        assert sink.services() == {A: ["10.0.0.1"], B: ["10.0.0.2"]}
        liar.address("a", "10.0.0.1")
        await has_problem(sink, "1 instances of b are served")
        time_is_over()
        await sink.sees({A: ["10.0.0.1"]})
        assert sink.mistakes == []


async def test_what_leaves_an_index_that_grows_is_gone_at_once(liar: Liar) -> None:
    """Nothing was lost there."""
    async with following(liar) as sink:
        await sink.told("synced")
        liar.services = {"consul": []}
        liar.move()
        await sink.sees({})
        assert sink.mistakes == []


async def test_wrong_objects_are_named(liar: Liar) -> None:
    """A name, a port and an address that cannot be: each is a problem of its own, and the rest is served."""
    liar.put("Not a host", entry())
    liar.put("a", entry("a-1", Address="10.0.0.1"), entry("a-2", Port=-1), entry("a-3", Address="nowhere!"))
    async with following(liar) as sink:
        await sink.told("synced")
        assert sink.services() == {A: ["10.0.0.1"], B: ["10.0.0.2"]}
        said = "\n".join(sorted(map(str, sink.mistakes)))
        assert "ConsulService default/a n1/a-2.Service.Port: -1 is not between 0 and 65535" in said
        assert "ConsulService default/a n1/a-3.Service.Address: 'nowhere!' is no IP address" in said
        assert "ConsulService default/not a host Service.Service: 'not a host' makes no host name" in said
        assert len(sink.mistakes) == 3
        del liar.services["Not a host"]
        liar.address("a", "10.0.0.1")
        await eventually(lambda: not sink.mistakes, "they are cleared")


async def test_a_large_service_is_read(liar: Liar) -> None:
    """Beyond what is read at once on the loop."""
    addresses = [f"10.1.{number >> 8}.{number & 255}" for number in range(2000)]
    liar.address("a", *addresses)
    async with following(liar) as sink:
        await sink.told("synced")
        assert sink.services()[A] == sorted(addresses)


async def test_what_is_hidden_from_the_token_is_told(liar: Liar) -> None:
    """Where Consul says so, and where it lists services but not their nodes."""
    liar.headers["X-Consul-Results-Filtered-By-ACLs"] = "true"
    liar.put("a")
    async with following(liar) as sink:
        await sink.told("synced")
        await has_problem(sink, "Consul hides some services from this token")
        await has_problem(sink, "the token may read services but not their nodes")
        liar.headers.clear()
        liar.address("a", "10.0.0.1")
        await eventually(lambda: not sink.mistakes, "they are cleared")


async def test_a_server_without_a_leader_is_believed_what_is_no_news(liar: Liar) -> None:
    """In stale mode it goes on being served, with a warning; what such a server forgot is not believed."""
    async with following(liar, ConsulOptions(consistency=Consistency.STALE)) as sink:
        await sink.told("synced")
        liar.headers |= {"X-Consul-KnownLeader": "false", "X-Consul-LastContact": "90000"}
        liar.address("a", "10.0.0.9")
        await sink.sees({A: ["10.0.0.9"], B: ["10.0.0.2"]})
        await has_problem(sink, "has no leader")
        liar.services = {"consul": []}
        liar.move(by=-8)
        await sink.told("stale")
        assert sink.services() == {A: ["10.0.0.9"], B: ["10.0.0.2"]}
        liar.headers.clear()
        liar.index = 50
        liar.address("a", "10.0.0.9")
        liar.address("b", "10.0.0.2")
        await sink.told("synced", 2)
        assert sink.mistakes == []


async def test_what_is_asked(liar: Liar, tmp_path: Path) -> None:
    """Datacenter, namespace, mode and token go with every query; a token that is replaced is used at once."""
    token = tmp_path / "token"
    token.write_text("first\n")
    options = ConsulOptions(
        token_file=token, datacenter="dc2", namespace="team", consistency=Consistency.CONSISTENT
    )
    async with following(liar, options) as sink:
        await sink.told("synced")
        for _, query in liar.asked:
            assert {**query, "index": "", "wait": ""} == {
                "dc": "dc2",
                "ns": "team",
                "consistent": "",
                "index": "",
                "wait": "",
            }
        assert liar.tokens == {"first"}
        token.write_text("another\n")
        liar.address("a", "10.0.0.9")
        await eventually(lambda: sink.services()[A] == ["10.0.0.9"], "the change is seen")
        await eventually(lambda: "another" in liar.tokens, "the new token is used")
        token.unlink()
        await sink.told("stale")
        both = {A: ["10.0.0.9"], B: ["10.0.0.2"]}
        in_dc2 = {
            ServiceKey("default", key.hostname.replace("consul", "dc2.consul")): at
            for key, at in both.items()
        }
        assert sink.services() == both | in_dc2


async def test_an_agent_on_a_socket(tmp_path: Path) -> None:
    """Agents may listen on one, of this machine's file system."""
    async with Liar().serving(str(tmp_path / "consul.sock")) as liar:
        liar.address("a", "10.0.0.1")
        async with following(liar) as sink:
            await sink.told("synced")
            assert sink.services() == {A: ["10.0.0.1"]}


async def test_a_wait_that_is_over_is_no_news(liar: Liar) -> None:
    """What did not change is neither read nor told again, and followed on."""
    async with following(liar) as sink:
        await sink.told("synced")
        await eventually(lambda: len(liar.waits(A_PATH)) > 4, "several waits are over")
        assert len(sink.changes) == 2
        liar.address("a", "10.0.0.9")
        await sink.sees({A: ["10.0.0.9"], B: ["10.0.0.2"]})


async def test_more_services_than_connections(liar: Liar) -> None:
    """Those beyond are read in turn, with a warning that says what to allow; they are no less current."""
    for number in range(20):
        liar.address(f"s{number:02}", f"10.1.0.{number}")
    async with following(liar, ConsulOptions(connections=10)) as sink:
        await sink.told("synced")
        await has_problem(
            sink, "20 of 22 services are read in turn rather than followed, since there are 10 connections"
        )
        liar.address("s19", "10.2.0.19")
        last = ServiceKey("default", "s19.service.consul")
        await eventually(lambda: sink.services()[last] == ["10.2.0.19"], "a change is found")
        del liar.services["s18"]
        liar.move()
        await eventually(lambda: len(sink.services()) == 21, "what is withdrawn is gone")
        for number in range(18):
            del liar.services[f"s{number:02}"]
        del liar.services["b"]
        liar.move()
        await eventually(lambda: not sink.mistakes, "there are connections enough")
        assert sorted(sink.services()) == [A, last]
