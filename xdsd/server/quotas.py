"""How much one identity may ask for, so that nobody pays for it but itself. Pure: the clock comes in.

An *account* is one stream's share of what its identity uses; where nothing was proven, the node that the stream claims to be
stands for an identity. Requests are counted by a bucket that fills with time, by so much for each stream that is open, so an
identity of many replicas may ask as often as they do. Answers to what a proxy was sent are free: how many there are is up
to us. What an identity has used up stays known while it is gone, so that it gains nothing by connecting again: so do the
*descriptions* that proxies gave of themselves, for each of which config is compiled.

Turned down: reading slower instead of ending the stream. Envoy would go on as if all were well, and nobody would be told.
"""

import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b

from xdsd.model.node import Node

BURST = 10.0
"""Seconds of requests that may come at once."""
REMEMBERED = 600.0
"""Seconds for which a description counts after it was given last."""
_SWEPT_AT = 1024


class Limit(StrEnum):
    """What is limited, by the name of the setting that says how much."""

    STREAMS = "max-streams"
    STREAMS_A_PROXY = "max-streams-per-proxy"
    STREAMS_AN_IDENTITY = "max-streams-per-identity"
    NAMES = "max-subscriptions"
    NAMES_AN_IDENTITY = "max-subscriptions-per-identity"
    REQUESTS = "max-request-rate"
    DESCRIPTIONS = "max-descriptions-per-identity"
    CERTIFICATES = "max-certificate-rate"
    COUNTED = "max-counted-rate"


class OverLimit(Exception):  # noqa: N818 - it is named after what is the matter
    """Somebody asks for more than they may. ``limit`` is for counting; the message says what to do."""

    def __init__(self, limit: Limit, message: str) -> None:
        super().__init__(f"{message}; see the daemon's setting {limit}")
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Allowance:
    """Of one identity: open streams, names subscribed on all of them, requests a second for each of them, and
    ``descriptions`` of proxies within ten minutes.
    """

    streams: int = 2_000
    names: int = 2_000_000
    requests: float = 100.0
    descriptions: int = 5_000


def description(node: Node) -> bytes:
    """What tells apart how proxies describe themselves: all that their config may depend on."""
    told = json.dumps(node.metadata, sort_keys=True, default=str)
    return blake2b(f"{node.id}\0{node.cluster}\0{node.locality}\0{told}".encode(), digest_size=12).digest()


class Bucket:
    """Holds what may be used at once; ``at`` is when it was looked at last, in seconds."""

    __slots__ = ("_at", "_left")

    def __init__(self, left: float, at: float) -> None:
        self._left = left
        self._at = at

    def take(self, rate: float, now: float) -> bool:
        """Takes one out, if there is one; fills by ``rate`` a second up to BURST seconds' worth."""
        self._fill(rate, now)
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def full(self, rate: float, now: float) -> bool:
        self._fill(rate, now)
        return self._left >= rate * BURST

    def _fill(self, rate: float, now: float) -> None:
        self._left = min(self._left + (now - self._at) * rate, max(rate * BURST, 1.0))
        self._at = now


class Rates:
    """Buckets by key, each filled at the same rate; those that are full are forgotten."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self.rate = rate
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self._swept_at = _SWEPT_AT

    def take(self, key: str) -> bool:
        """Whether there is one left for ``key``, which is taken."""
        now = self._clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            self._sweep(now)
            bucket = self._buckets[key] = Bucket(max(self.rate * BURST, 1.0), now)
        return bucket.take(self.rate, now)

    def _sweep(self, now: float) -> None:
        if len(self._buckets) < self._swept_at:
            return
        self._buckets = {key: each for key, each in self._buckets.items() if not each.full(self.rate, now)}
        self._swept_at = max(_SWEPT_AT, 2 * len(self._buckets))


@dataclass(slots=True)
class _Used:
    """By one identity."""

    bucket: Bucket
    streams: int = 0
    names: int = 0
    described: OrderedDict[bytes, float] = field(default_factory=OrderedDict)

    def forget(self, now: float) -> None:
        """Descriptions that were given too long ago to count; the oldest come first."""
        while self.described and next(iter(self.described.values())) + REMEMBERED <= now:
            self.described.popitem(last=False)


class Account:
    """One stream's share. ``close`` gives back what it holds."""

    __slots__ = ("_credit", "_names", "_quotas", "_used", "_who")

    def __init__(self, quotas: "Quotas", who: str, used: _Used) -> None:
        self._quotas = quotas
        self._who = who
        self._used = used
        self._names = 0
        self._credit = 0

    def sent(self) -> None:
        """The proxy was sent something, which it will answer."""
        self._credit += 1

    def asked(self, names: int, *, answers: bool) -> None:
        """The stream sent a request, and is subscribed to so many names since. Raises OverLimit."""
        self._names, before = names, self._names
        self._used.names += names - before
        if names > before:
            self._quotas.check_names(self._who, self._used)
        if answers and self._credit:
            self._credit -= 1
        else:
            self._quotas.check_rate(self._who, self._used)

    def shows(self, described: bytes) -> None:
        """The stream's proxy describes itself so. Raises OverLimit."""
        self._quotas.check_description(self._who, self._used, described)

    def close(self) -> None:
        """The stream is over."""
        self._used.names -= self._names
        self._used.streams -= 1
        self._names = 0


class Quotas:
    """What all identities use. ``clock`` counts seconds."""

    def __init__(self, allowance: Allowance, clock: Callable[[], float]) -> None:
        self._allowance = allowance
        self._clock = clock
        self._used: dict[str, _Used] = {}
        self._swept_at = _SWEPT_AT

    def open(self, who: str) -> Account:
        """Another stream of ``who``; it needs a ``close``. Raises OverLimit."""
        now = self._clock()
        used = self._used.get(who)
        if used is None:
            self._sweep(now)
            used = self._used[who] = _Used(Bucket(self._allowance.requests * BURST, now))
        if used.streams >= self._allowance.streams:
            raise OverLimit(
                Limit.STREAMS_AN_IDENTITY, f"{who} has {self._allowance.streams} streams open already"
            )
        self.check_rate(who, used)
        used.streams += 1
        return Account(self, who, used)

    def check_names(self, who: str, used: _Used) -> None:
        if used.names > self._allowance.names:
            raise OverLimit(
                Limit.NAMES_AN_IDENTITY,
                f"{who} asks for more than {self._allowance.names} names on all of its streams",
            )

    def check_rate(self, who: str, used: _Used) -> None:
        if not used.bucket.take(self._allowance.requests * max(used.streams, 1), self._clock()):
            raise OverLimit(
                Limit.REQUESTS,
                f"{who} sends more than {self._allowance.requests:g} requests a second for each of its streams, beside its"
                " answers to what it was sent",
            )

    def check_description(self, who: str, used: _Used, described: bytes) -> None:
        now = self._clock()
        used.forget(now)
        if described not in used.described and len(used.described) >= self._allowance.descriptions:
            raise OverLimit(
                Limit.DESCRIPTIONS,
                f"proxies of {who} described themselves in {self._allowance.descriptions} ways within ten minutes",
            )
        used.described[described] = now
        used.described.move_to_end(described)

    def _sweep(self, now: float) -> None:
        """Forgets who is gone and owes nothing."""
        if len(self._used) < self._swept_at:
            return
        rate = self._allowance.requests
        for used in self._used.values():
            used.forget(now)
        self._used = {
            who: used
            for who, used in self._used.items()
            if used.streams or used.described or not used.bucket.full(rate, now)
        }
        self._swept_at = max(_SWEPT_AT, 2 * len(self._used))
