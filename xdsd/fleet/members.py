"""The daemons that share a store, each known by a leased key below ``/xdsd/members/``."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from storage.base import LeaseNotFound, Put, StorageError, Store, prefix_end

PREFIX = b"/xdsd/members/"
TTL = 15
"""Seconds after which a daemon that fell silent is no member any more."""


@dataclass(frozen=True, slots=True)
class Member:
    """A daemon. ``id`` is its own for as long as it runs; ``admin`` and ``xds`` are where it listens."""

    id: int
    name: str
    version: str
    started: str
    admin: str
    xds: str

    @property
    def key(self) -> bytes:
        """Where it is registered."""
        return PREFIX + f"{self.id:016x}".encode()


class Membership:
    """This daemon's place among the members."""

    def __init__(self, store: Store, me: Member, logger: FilteringBoundLogger, *, ttl: int = TTL) -> None:
        self.me = me
        self._store = store
        self._logger = logger
        self._ttl = ttl
        self._lease = 0
        self._leftovers_until = 0.0

    async def run(self) -> None:
        """Stays registered until cancelled, over outages of the store; leaves at the end."""
        try:
            while True:
                try:
                    await self._stay()
                except LeaseNotFound:
                    self._lease = 0
                    continue
                except StorageError as error:
                    self._logger.debug("not registered among the members", why=str(error))
                await asyncio.sleep(self._ttl / 3)
        finally:
            await self._leave()

    async def list(self) -> Sequence[Member]:
        """All members in the order of their ids, this one always among them."""
        found = await self._store.range(PREFIX, prefix_end(PREFIX))
        others = {member.id: member for kv in found.kvs if (member := _read(kv.value)) is not None}
        return [member for _, member in sorted({**others, self.me.id: self.me}.items())]

    async def _stay(self) -> None:
        clock = asyncio.get_running_loop().time
        if self._lease:
            await self._store.keep_alive(self._lease)
            if self._leftovers_until and clock() > self._leftovers_until:
                self._leftovers_until = 0.0
                self._tell_of(await self._namesakes())
            return
        lease = await self._store.grant(self._ttl)
        await self._store.txn((), (Put(self.me.key, _written(self.me), lease),))
        self._lease = lease
        namesakes = await self._namesakes()
        # What listens where we do is what we left when we were killed, unless it outlives its lease: another host's.
        leftovers = [other for other in namesakes if (other.xds, other.admin) == (self.me.xds, self.me.admin)]
        self._leftovers_until = clock() + 1.5 * self._ttl if leftovers else 0.0
        self._tell_of([other for other in namesakes if other not in leftovers])

    async def _namesakes(self) -> Sequence[Member]:
        return [each for each in await self.list() if each.name == self.me.name and each.id != self.me.id]

    def _tell_of(self, namesakes: Sequence[Member]) -> None:
        for other in namesakes:
            self._logger.warning("another daemon has this name; set name", name=other.name, xds=other.xds)

    async def _leave(self) -> None:
        if self._lease:
            try:
                async with asyncio.timeout(1):
                    await self._store.revoke(self._lease)
            except (StorageError, TimeoutError):
                return  # the lease runs out by itself


def _written(member: Member) -> bytes:
    fields = {
        "id": f"{member.id:016x}",
        "name": member.name,
        "version": member.version,
        "started": member.started,
        "admin": member.admin,
        "xds": member.xds,
    }
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def _read(value: bytes) -> Member | None:
    """None for what an older or a newer daemon wrote in a form of its own."""
    try:
        fields = json.loads(value)
        return Member(
            int(fields["id"], 16),
            *(str(fields[name]) for name in ("name", "version", "started", "admin", "xds")),
        )
    except (ValueError, KeyError, TypeError):
        return None
