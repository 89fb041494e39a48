"""The limiter: counts requests of all proxies, and says which are too many.

A *rule* says how many requests with some *descriptor* (a list of keys and values) a *domain* lets through in a *window* of
time. Windows are fixed: they begin when the clock shows a multiple of their length, as in the reference service of Envoy's
project, so that daemons whose clocks agree count in the same one. A request that is refused counts too.

``rules`` finds what is about a descriptor and ``counting`` decides, both without I/O; ``counters`` keep the numbers, in
memory or (``redis_counters``) in a Redis that several daemons share; ``service`` speaks Envoy's protocol.

Turned down: sliding windows and leaky buckets, which need more than one number a counter, and a script in Redis; leases of
quota (RLQS), which Envoy's filter for it does not have ready.
"""

from xdsd.ratelimit.counters import Counters, CountersUnavailableError, Hit, MemoryCounters
from xdsd.ratelimit.redis_counters import RedisAddress, RedisCounters
from xdsd.ratelimit.service import LimitObserver, RateLimitService

__all__ = [
    "Counters",
    "CountersUnavailableError",
    "Hit",
    "LimitObserver",
    "MemoryCounters",
    "RateLimitService",
    "RedisAddress",
    "RedisCounters",
]
