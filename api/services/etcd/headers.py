"""The header of every answer: which cluster, which member, as of which revision."""

from typing import Any

from aetcd import rpc

from api.ports import Members
from storage.base import Store

Message = Any  # aetcd's generated messages carry no type information


class Headers:
    """Headers of this daemon's answers."""

    def __init__(self, store: Store, members: Members) -> None:
        self._store = store
        self._members = members
        self._cluster = 0
        self._term = 0

    async def of(self, revision: int) -> Message:
        """Of an answer as of a revision."""
        if not self._cluster:
            status = await self._store.status()
            self._cluster, self._term = status.cluster, status.term
        return rpc.ResponseHeader(
            cluster_id=self._cluster,
            member_id=self._members.me.id,
            revision=revision,
            raft_term=self._term,
        )

    async def now(self) -> Message:
        """Of an answer that is of no revision of its own."""
        return await self.of(await self._store.revision())
