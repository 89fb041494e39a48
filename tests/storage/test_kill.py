"""kill -9 at any instant loses no acknowledged write and tears no transaction."""

import asyncio
import multiprocessing
import os
import random
import threading
from dataclasses import dataclass, field
from pathlib import Path

from storage.base import EventType
from storage.embedded import EmbeddedStore, open_embedded
from tests.contracts.store import ALL, take_through
from tests.storage import killed_writer
from tests.storage.killed_writer import HISTORY, KEPT, WRITERS, content

KILLS = 120
SEED = 20_240_607


@dataclass(slots=True)
class Acknowledged:
    """What one life of the writer was told: the newest write of each, the revision of all, its lease."""

    newest: dict[int, int] = field(default_factory=dict)
    revisions: dict[tuple[int, int], int] = field(default_factory=dict)
    lease: int = 0

    def add(self, line: str) -> None:
        words = line.split()
        if words[0] == "lease":
            self.lease = int(words[1])
        elif words[0].isdigit():
            writer, number, revision = map(int, words)
            self.newest[writer] = number
            self.revisions[writer, number] = revision


def live_and_die(path: Path, lines: int, pause: float) -> Acknowledged:
    """Starts a writer, kills it ``pause`` seconds after ``lines`` lines, and returns all that it was told."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([killed_writer.__name__])
    reading, writing = context.Pipe(duplex=False)
    process = context.Process(target=killed_writer.run, args=(path, writing))
    process.start()
    writing.close()
    told = Acknowledged()
    with reading, os.fdopen(os.dup(reading.fileno())) as pipe:
        for _ in range(lines):
            told.add(pipe.readline())
        threading.Event().wait(pause)
        process.kill()
        for line in pipe:
            told.add(line)
    process.join()
    process.close()
    return told


async def check(path: Path, told: Acknowledged, before: dict[int, int]) -> dict[int, int]:
    """Reads everything back; the newest write of each writer. A write that nobody was told of may be there or not."""
    store = await open_embedded(path, keep=HISTORY)
    try:
        newest = {}
        for writer in range(WRITERS):
            newest[writer] = await _check_writer(store, writer)
            least = told.newest.get(writer, before.get(writer, 0))
            assert least <= newest[writer] <= least + 1, f"writer {writer} was told {least}"
        for (writer, number), revision in told.revisions.items():
            if number > newest[writer] - KEPT:
                kv = await store.get(b"log/%d/%08d" % (writer, number))
                assert kv is not None
                assert kv.mod_revision == revision
        if told.lease:
            assert (await store.time_to_live(told.lease)).left > 3500
        await _check_history(store)
    finally:
        await store.close()
    return newest


async def _check_writer(store: EmbeddedStore, writer: int) -> int:
    first, last = await store.get(b"a/%d" % writer), await store.get(b"z/%d" % writer)
    number = int(first.value) if first else 0
    assert (int(last.value) if last else 0) == number, "a transaction was torn"
    log = await store.range(b"log/%d/" % writer, b"log/%d0" % writer)
    kept = range(max(number - KEPT + 1, 1), number + 1)
    assert {kv.key: kv.value for kv in log.kvs} == {
        b"log/%d/%08d" % (writer, entry): content(writer, entry) for entry in kept
    }
    return number


async def _check_history(store: EmbeddedStore) -> None:
    """The newest state is what the history leads to from any older one."""
    newest = await store.revision()
    oldest = max(newest - 150, 1)
    state = {kv.key: kv for kv in (await store.range(ALL, ALL, revision=oldest)).kvs}
    if oldest < newest:
        batches = await take_through(store.watch(ALL, ALL, start_revision=oldest + 1), newest)
        assert [batch.revision for batch in batches] == list(range(oldest + 1, newest + 1))
        for event in (event for batch in batches for event in batch.events):
            if event.type is EventType.PUT:
                state[event.kv.key] = event.kv
            else:
                del state[event.kv.key]
    assert state == {kv.key: kv for kv in (await store.range(ALL, ALL)).kvs}


def test_killed_writers_lose_nothing(tmp_path: Path) -> None:
    """A writer killed at 120 random instants finds every acknowledged write again, whole, and goes on from there."""
    chance = random.Random(SEED)
    path = tmp_path / "store.db"
    newest: dict[int, int] = {}
    acknowledged = 0
    for _ in range(KILLS):
        lines = chance.choice((0, 1, 2, 3, chance.randrange(400)))
        told = live_and_die(path, lines, chance.random() * 0.02)
        newest = asyncio.run(check(path, told, newest))
        acknowledged += len(told.revisions)
    assert acknowledged > 20 * KILLS
