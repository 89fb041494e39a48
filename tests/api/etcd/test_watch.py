"""Watches over the wire."""

import asyncio
from typing import Any

import pytest
import structlog
from aetcd import rpc

from api.services.etcd import following
from api.services.etcd.headers import Headers
from storage.memory import MemoryStore
from tests.api.daemon import Daemon
from tests.api.etcd.calling import DEADLINE, Calling, Watching
from xdsd.fleet.members import Member, Membership

APP, APP_END = b"/app/", b"/app0"
PUT, DELETE = rpc.Event.PUT, rpc.Event.DELETE


def test_a_watch_replays_then_follows(client: Calling, stream: Watching) -> None:
    """From its revision, one answer a revision, each of that revision."""
    first = client.put(b"/app/a", b"1").header.revision
    created = stream.create(APP, range_end=APP_END, start_revision=first)
    assert (created.created, created.watch_id, created.canceled) == (True, 0, False)
    client.put(b"/app/a", b"2")
    client.delete(b"/app/a")
    told = [stream.next() for _ in range(3)]
    assert [response.header.revision for response in told] == [first, first + 1, first + 2]
    events = [event for response in told for event in response.events]
    assert [(event.type, event.kv.value, event.kv.mod_revision) for event in events] == [
        (PUT, b"1", first),
        (PUT, b"2", first + 1),
        (DELETE, b"", first + 2),
    ]
    assert not any(event.HasField("prev_kv") for event in events)


def test_all_of_a_revision_comes_in_one_answer(client: Calling, stream: Watching) -> None:
    """With what was there before, if that is asked for."""
    client.put(b"/app/a", b"1")
    stream.create(APP, range_end=APP_END, prev_kv=True)
    puts = [rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=b"2")) for key in (b"/app/a", b"/app/b")]
    client.kv.Txn(rpc.TxnRequest(success=puts), timeout=DEADLINE)
    (a, b) = stream.next().events
    assert (a.prev_kv.value, b.HasField("prev_kv")) == (b"1", False)


def test_filters_leave_events_out(client: Calling, stream: Watching) -> None:
    """Puts, or deletions."""
    stream.create(APP, range_end=APP_END, filters=[rpc.WatchCreateRequest.NOPUT])
    stream.create(APP, range_end=APP_END, filters=[rpc.WatchCreateRequest.NODELETE])
    client.put(b"/app/a", b"1")
    client.delete(b"/app/a")
    told = [stream.next() for _ in range(2)]
    assert {(each.watch_id, each.events[0].type) for each in told} == {(0, DELETE), (1, PUT)}


def test_watches_have_ids(client: Calling, stream: Watching) -> None:
    """The next free one, or the one that is asked for unless it is taken."""
    assert stream.create(b"/app/a").watch_id == 0
    assert stream.create(b"/app/a", watch_id=1).watch_id == 1
    assert stream.create(b"/app/a").watch_id == 2
    refused = stream.create(b"/app/a", watch_id=1)
    assert (refused.watch_id, refused.created, refused.canceled) == (-1, True, True)
    assert "duplicate watch ID" in refused.cancel_reason


def test_a_cancelled_watch_is_told_nothing_more(client: Calling, stream: Watching) -> None:
    """Others on the stream go on; a watch that is not there is not answered."""
    stream.create(b"/app/a")
    stream.create(b"/app/a")
    stream.cancel(77)
    stream.cancel(0)
    gone = stream.next()
    assert (gone.watch_id, gone.canceled, gone.cancel_reason) == (0, True, "")
    client.put(b"/app/a", b"1")
    assert stream.next().watch_id == 1
    assert stream.end() == []


def test_progress_is_told_for_all_watches(client: Calling, stream: Watching) -> None:
    """Once, after all that has happened was sent; at once where there is no watch."""
    stream.progress()
    idle = stream.next()
    assert (idle.watch_id, len(idle.events)) == (-1, 0)
    stream.create(b"/app/a")
    stream.create(b"/app/b")
    client.put(b"/app/a", b"1")
    last = client.put(b"/app/c", b"1").header.revision
    stream.progress()
    told = [stream.next() for _ in range(2)]
    assert [each.watch_id for each in told] == [0, -1]
    assert told[1].header.revision >= last


def test_a_compacted_start_is_refused(client: Calling, stream: Watching) -> None:
    """With the revision from which there is something to see; the stream goes on."""
    for value in (b"1", b"2", b"3"):
        last = client.put(b"/app/a", value).header.revision
    client.kv.Compact(rpc.CompactionRequest(revision=last), timeout=DEADLINE)
    assert stream.create(b"/app/a", start_revision=last - 1).created
    lost = stream.next()
    assert (lost.canceled, lost.compact_revision, lost.watch_id) == (True, last, 0)
    assert lost.cancel_reason == "etcdserver: mvcc: required revision has been compacted"
    assert stream.create(b"/app/a", start_revision=last).watch_id == 1
    assert stream.next().events[0].kv.value == b"3"


def test_the_future_is_waited_for(client: Calling, stream: Watching) -> None:
    """A watch from a revision that has not happened yet begins there."""
    now = client.put(b"/app/a", b"0").header.revision
    stream.create(b"/app/a", start_revision=now + 2)
    client.put(b"/app/a", b"1")
    client.put(b"/app/a", b"2")
    assert stream.next().events[0].kv.value == b"2"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"key": b""}, "key is not provided"),
        ({"key": b"/app/a", "watch_id": -3}, "below 0"),
        ({"key": b"/app/a", "start_revision": -3}, "below 0"),
    ],
)
def test_what_cannot_be_watched_is_refused_alone(
    client: Calling, stream: Watching, asked: dict[str, object], reason: str
) -> None:
    """In words, and the stream goes on."""
    refused = stream.create(**asked)  # type: ignore[arg-type]
    assert (refused.created, refused.canceled) == (True, True)
    assert reason in refused.cancel_reason
    assert stream.create(b"/app/a").watch_id == 0


def test_large_answers_come_in_fragments(
    client: Calling, stream: Watching, server: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a client that asked for it; each says whether more of the revision follows."""
    monkeypatch.setattr(following, "FRAGMENT", 2000)
    stream.create(APP, range_end=APP_END, fragment=True)
    stream.create(APP, range_end=APP_END)
    puts = [rpc.RequestOp(request_put=rpc.PutRequest(key=b"/app/%d" % n, value=b"x" * 900)) for n in range(5)]
    client.kv.Txn(rpc.TxnRequest(success=puts), timeout=DEADLINE)
    told = [stream.next() for _ in range(4)]
    pieces = [(len(each.events), each.fragment) for each in told if each.watch_id == 0]
    assert pieces == [(2, True), (2, True), (1, False)]
    assert [(len(each.events), each.fragment) for each in told if each.watch_id == 1] == [(5, False)]


async def test_a_quiet_watch_is_told_of_progress() -> None:
    """As often as the interval says, if it asked for that; by an answer without events."""
    store = MemoryStore()
    member = Member(7, "one", "1.2.3", "2026-01-02T03:04:05Z", "", "")
    headers = Headers(store, Membership(store, member, structlog.get_logger()))
    told: asyncio.Queue[Any] = asyncio.Queue()
    asked = rpc.WatchCreateRequest(key=b"/app/a", progress_notify=True)
    followed = following.Followed(5, asked, store.watch(b"/app/a"), headers, told.put, 0.01)
    running = asyncio.create_task(followed.run())
    async with asyncio.timeout(60):
        first = await told.get()
        await store.put(b"/app/b", b"1")
        while (await told.get()).header.revision != 2:
            pass
    assert (first.watch_id, len(first.events), first.header.revision) == (5, 0, 1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()
