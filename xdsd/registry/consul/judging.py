"""Judges answers about single services: what leaves an answer has left Consul, unless Consul lost it, or hides it.

Consul filters what a token may not read without a word, and without moving its index. So nothing leaves that only one of two
answers lacks, or an answer of the same index; and nothing of another Consul than the one that was asked before.
"""

import asyncio
from dataclasses import dataclass, replace
from enum import Enum

from xdsd.registry.consul.book import Book, News
from xdsd.registry.consul.client import Answer
from xdsd.registry.consul.life import Life
from xdsd.registry.consul.listing import Listing
from xdsd.registry.consul.options import Consistency
from xdsd.registry.consul.remarks import Remarks
from xdsd.registry.consul.services import Reader, Reading
from xdsd.registry.consul.telling import Telling

_LARGE = 1 << 18
_EMPTY = b"[]"


class Verdict(Enum):
    """What became of an answer: its service is known as of now, has left, or must be asked for anew."""

    KNOWN = "known"
    LEFT = "left"
    DOUBTED = "doubted"


@dataclass(frozen=True, slots=True)
class _Seen:
    """An answer that was taken in; so many instances it was ``lacking`` that are hidden from us."""

    index: int
    content: int
    filtered: bool
    lacking: int = 0

    def says_all_of(self, now: "_Seen") -> bool:
        """True if an answer is no news after this one; with the next change, what it lacks has left."""
        if self.content != now.content:
            return False
        return now.index == self.index or (now.index > self.index and not self.lacking)


class Judge:
    """Takes into the book what is believed. ``hidden`` are services of which something is hidden, with the index of that."""

    def __init__(self, reader: Reader, book: Book, listing: Listing, life: Life, told: Telling) -> None:
        self.hidden: dict[str, int] = {}
        self._reader = reader
        self._book = book
        self._listing = listing
        self._life = life
        self._told = told
        self._remarks = Remarks(reader)
        self._seen: dict[str, _Seen] = {}
        self._lives = 0

    def has_seen(self, name: str) -> bool:
        """True if an answer about a service was taken in."""
        return name in self._seen

    async def judge(self, name: str, answer: Answer, *, afresh: bool = False) -> Verdict:
        """Takes an answer in, unless something else contradicts it; ``afresh`` also if it is no news.

        Raises ConsulError, Malformed.
        """
        if answer.body.strip() == _EMPTY:
            return await self._judge_nothing(name, answer)
        seen, lives = self._seen.get(name), self._lives
        now = _Seen(answer.index, hash(answer.body), answer.filtered)
        if seen and not afresh and seen.says_all_of(now):
            return self._settle(name, replace(now, lacking=seen.lacking))
        reading = await self._read(name, answer.body)
        if seen and now.index < seen.index:
            return await self._doubt(name)
        missing = self._book.missing(name, reading)
        hides = seen is not None and (1 < now.index == seen.index or (now.filtered and not seen.filtered))
        if missing and not hides and not await self._life.is_same():
            return await self._doubt(name)
        if lives != self._lives:
            return Verdict.DOUBTED
        self.report(name, self._book.take(name, reading, missing if hides else None))
        return self._settle(name, replace(now, lacking=len(missing) if hides else 0))

    def forget(self, name: str) -> None:
        """A service is not there any more."""
        self._show(name)
        self._seen.pop(name, None)
        self.report(name, self._book.drop(name))

    def lose(self) -> None:
        """Consul forgot what it knew."""
        self._lives += 1
        self._life.begin()
        self._seen.clear()
        for name in list(self.hidden):
            self._show(name)

    def report(self, name: str, news: News) -> None:
        """Tells what came of a service."""
        self._told.change(news.change)
        self._told.say(name, news.problems)

    async def _judge_nothing(self, name: str, answer: Answer) -> Verdict:
        """Consul lists no service without instances: that there are none is believed once the names agree, and the index
        tells that they left.
        """
        seen, hidden = self._seen.get(name), self.hidden.get(name)
        if name in self._listing.names and answer.index != hidden:
            await self._listing.confirmed()
        # Names of a server that lags list what has left, which is then taken for hidden for a while.
        if self._reader.options.consistency is Consistency.STALE:
            hidden = None
        known = seen.index if seen else 0
        left = (known <= 1 or answer.index > max(known, hidden or 0)) and not answer.filtered
        if name not in self._listing.names and left:
            return Verdict.LEFT
        self._hide(name, answer.index, self._book.holds(name))
        return Verdict.KNOWN

    async def _doubt(self, name: str) -> Verdict:
        """Perhaps all of Consul went back in time, or began anew, which the names will tell. If so, this is not taken."""
        await self._listing.confirmed()
        self._seen.pop(name, None)
        return Verdict.DOUBTED

    async def _read(self, name: str, body: bytes) -> Reading:
        if len(body) > _LARGE:
            return await asyncio.to_thread(self._book.read, name, body)
        return self._book.read(name, body)

    def _settle(self, name: str, seen: _Seen) -> Verdict:
        self._seen[name] = seen
        if seen.lacking:
            self._hide(name, seen.index, seen.lacking)
        else:
            self._show(name)
        return Verdict.KNOWN

    def _hide(self, name: str, index: int, count: int) -> None:
        self.hidden[name] = index
        self._told.say(f"{name} (hidden)", (self._remarks.hidden(name, count),))

    def _show(self, name: str) -> None:
        if self.hidden.pop(name, None) is not None:
            self._told.say(f"{name} (hidden)", ())
