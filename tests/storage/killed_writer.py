"""A process that writes and says what was acknowledged, until it is killed."""

import asyncio
import os
import random
from multiprocessing.connection import Connection
from pathlib import Path

from storage.base import Delete, Put
from storage.embedded import EmbeddedStore, Keeping, open_embedded

WRITERS = 4
KEPT = 30
HISTORY = Keeping(revisions=200)


def content(writer: int, number: int) -> bytes:
    """What writer ``writer`` logs as its write ``number``: up to 8 kB that can be told again."""
    return random.Random(f"{writer}/{number}").randbytes(1 + (number * 2654435761 + writer) % 8000)


def run(path: Path, pipe: Connection) -> None:
    """Writes to the store at ``path`` for ever; says ``writer number revision`` on ``pipe`` once acknowledged."""
    asyncio.run(_run(path, pipe.fileno()))


async def _run(path: Path, pipe: int) -> None:
    os.write(pipe, b"opening\n")
    store = await open_embedded(path, keep=HISTORY)
    os.write(pipe, b"open\n")
    lease = await store.grant(3600)
    os.write(pipe, b"lease %d\n" % lease)
    async with asyncio.TaskGroup() as tasks:
        for writer in range(WRITERS):
            tasks.create_task(_write(store, writer, pipe))


async def _write(store: EmbeddedStore, writer: int, pipe: int) -> None:
    newest = await store.get(b"a/%d" % writer)
    number = int(newest.value) if newest else 0
    while True:
        number += 1
        result = await store.txn(
            [],
            [
                Put(b"a/%d" % writer, b"%d" % number),
                Put(b"log/%d/%08d" % (writer, number), content(writer, number)),
                Delete(b"log/%d/" % writer, b"log/%d/%08d" % (writer, max(number - KEPT + 1, 0))),
                Put(b"z/%d" % writer, b"%d" % number),
            ],
        )
        os.write(pipe, b"%d %d %d\n" % (writer, number, result.revision))
