"""The lab itself: what it starts is real, and nothing stays."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.lab.envoy import Envoy, validate
from tests.lab.eventually import eventually
from tests.lab.hourglass import timeless
from tests.lab.missing import missing
from tests.lab.netns import require, run, sweep
from tests.lab.ports import Ports, free_port, free_ports, free_row


def answering(port: int, text: str) -> dict[str, object]:
    """A bootstrap with one listener that answers every request itself."""
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network"
        ".http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "answer",
        "http_filters": [
            {
                "name": "router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                },
            }
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "direct_response": {"status": 200, "body": {"inline_string": text}},
                        }
                    ],
                }
            ]
        },
    }
    listener = {
        "name": "answer",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener]}}


@pytest.mark.e2e
async def test_an_envoy_serves_its_bootstrap_and_is_gone_afterwards(tmp_path: Path) -> None:
    """Inside the block the listener answers and the admin pages can be read; after it nothing runs."""
    port = free_port()
    async with Envoy(answering(port, "hello"), tmp_path) as envoy, aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/") as response:
            assert await response.text() == "hello"
        assert await envoy.stat("http.answer.downstream_rq_total") == 1
        assert await envoy.stat("no.such.counter") == 0
        pid = envoy.program.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.e2e
async def test_an_envoy_that_cannot_start_says_why(tmp_path: Path) -> None:
    """A bootstrap that Envoy refuses fails at once, with the end of its log."""
    with pytest.raises(AssertionError, match="no_such_field"):
        async with Envoy({"no_such_field": 1}, tmp_path):
            pytest.fail("it must not start")


@pytest.mark.e2e
async def test_validate_tells_good_from_bad(tmp_path: Path) -> None:
    """Nothing is said of a bootstrap that Envoy takes; the reason is said of one that it refuses."""
    assert await validate(answering(free_port(), "hello"), tmp_path) == ""
    assert "no_such_field" in await validate({"no_such_field": 1}, tmp_path)


async def test_eventually_returns_what_became_true() -> None:
    """It asks again while the answer is false or an assertion fails, and gives the answer back."""
    answers = iter([0, None, 7])

    def ask() -> int:
        answer = next(answers)
        assert answer is not None
        return answer

    assert await eventually(ask, every=0) == 7


async def test_eventually_says_what_it_saw_last() -> None:
    """After the deadline the failure carries what was waited for and the last answer."""
    with pytest.raises(AssertionError, match=r"the moon did not hold .* seen last: 0"):
        await eventually(lambda: 0, "the moon", timeout=0.05)


@pytest.mark.e2e
def test_what_a_killed_run_left_is_taken_away() -> None:
    """Its namespaces, but none of a run that lives."""
    require()
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    left, own = f"xdsd-{gone.pid}-left", f"xdsd-{os.getpid()}-own"
    for name in (left, own):
        run("ip", "netns", "add", name)
    try:
        sweep()
        listed = run("ip", "netns", "list").split()
    finally:
        run("ip", "netns", "delete", own)
    assert own in listed
    assert left not in listed


def test_free_ports_are_distinct() -> None:
    """No port comes twice, neither alone nor in a row; of a row each is the one after the other."""
    row = free_row(6)
    assert list(row) == list(range(row[0], row[0] + 6))
    assert len({*free_ports(20), *row, *free_ports(20)}) == 46


def test_ports_of_one_run_are_no_others() -> None:
    """What a process was given nobody else is, as long as it runs, whether or not it listens there."""
    ours = free_ports(5)
    asked = f"from tests.lab.ports import Ports; own = Ports(); print([own.takes(port) for port in {ours}])"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", asked], stdout=subprocess.PIPE, text=True, env=environment
    ) as other:
        assert other.communicate()[0] == f"{[False] * 5}\n"


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["stream", "datagram"])
@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.8.7", "::1"])
def test_a_port_that_someone_has_anywhere_is_not_free(kind: socket.SocketKind, address: str) -> None:
    """Whichever address it is on: a program may listen on all of them."""
    port, family = free_port(), socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as taken:
        try:
            taken.bind((address, port))
        except OSError as error:
            missing("IPv6", str(error))
        assert not Ports().takes(port)
    assert Ports().takes(port)


def test_a_missing_part_skips_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name and the reason are said either way."""
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="etcd is missing: not installed"):
        missing("etcd", "not installed")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="etcd is missing: not installed"):
        missing("etcd", "not installed")


def test_free_ports_are_not_those_of_outgoing_connections() -> None:
    """A port that was free stays so: no connection of any program is given it meanwhile."""
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    others = {*range(20000, 65536)} - {*range(low, high + 1)}
    assert len(others) < 2000 or set(free_ports(50)) <= others


@timeless
async def test_time_that_is_waited_for_passes_at_once_and_to_the_second() -> None:
    """A day is over as soon as nothing else is to be done, and what is due before is done before; work takes no time."""
    loop, due = asyncio.get_running_loop(), list[tuple[str, float]]()

    def arrives(name: str) -> None:
        due.append((name, loop.time()))

    for name, seconds in (("late", 86_400.0), ("soon", 0.5), ("next", 3600.0)):
        loop.call_later(seconds, arrives, name)
    sum(range(1_000_000))
    assert loop.time() == 0
    await eventually(lambda: len(due) == 3, every=43_200)
    assert due == [("soon", 0.5), ("next", 3600.0), ("late", 86_400.0)]
