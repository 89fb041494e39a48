"""Counters in a Redis, which several daemons share."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import RedisError

from xdsd.ratelimit.counters import CountersUnavailableError, Hit

PREFIX = "xdsd:limit:"
SECONDS = 1.0
"""How long Redis has to answer, or to be reached."""

SLACK = 5
"""Seconds that a counter outlives its window: the clocks of daemons differ."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where a Redis is: ``path`` of a socket, else host and port. ``tls`` trusts what the system trusts."""

    host: str = ""
    port: int = 6379
    path: str = ""
    database: int = 0
    tls: bool = False


class RedisCounters:
    """``INCRBY`` and ``EXPIRE`` of all counters of a request, in one round trip."""

    def __init__(self, address: RedisAddress, password: str | None = None) -> None:
        self._redis: Redis = Redis(connection_pool=_pool(address, password))

    async def add(self, hits: Sequence[Hit]) -> list[int]:
        if not hits:
            return []
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for hit in hits:
                    pipeline.incrby(PREFIX + hit.key, hit.amount)
                    pipeline.expire(PREFIX + hit.key, ceil(hit.left) + SLACK)
                answers = await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            raise CountersUnavailableError(f"Redis cannot count: {error}") from error
        return [int(answer) for answer in answers[::2]]

    async def close(self) -> None:
        await self._redis.aclose(close_connection_pool=True)


def _pool(address: RedisAddress, password: str | None) -> ConnectionPool:
    common: dict[str, Any] = {
        "db": address.database,
        "password": password,
        "socket_timeout": SECONDS,
        "socket_connect_timeout": SECONDS,
        "max_connections": 256,
    }
    if address.path:
        return ConnectionPool(connection_class=UnixDomainSocketConnection, path=address.path, **common)
    where: dict[str, Any] = {"host": address.host, "port": address.port}
    if address.tls:
        checks: dict[str, Any] = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
        return ConnectionPool(connection_class=SSLConnection, **where, **checks, **common)
    return ConnectionPool(connection_class=Connection, **where, **common)
