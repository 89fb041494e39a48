"""Range requests: what is asked of the store, and how what it gives is sorted, narrowed and shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aetcd import rpc

from api.services.etcd.errors import NO_KEY, BadRequest
from storage.base import Get, KeyValue, RangeResult
from storage.etcd_wire import key_value_message

Message = Any  # aetcd's generated messages carry no type information

_TARGETS: Mapping[int, Callable[[KeyValue], int | bytes]] = {
    rpc.RangeRequest.KEY: lambda kv: kv.key,
    rpc.RangeRequest.VERSION: lambda kv: kv.version,
    rpc.RangeRequest.CREATE: lambda kv: kv.create_revision,
    rpc.RangeRequest.MOD: lambda kv: kv.mod_revision,
    rpc.RangeRequest.VALUE: lambda kv: kv.value,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """A range request."""

    request: Message

    @property
    def get(self) -> Get:
        """What is asked of the store. Raises BadRequest."""
        asked = self.request
        if not asked.key:
            raise BadRequest(NO_KEY)
        if asked.sort_target not in _TARGETS or asked.sort_order not in rpc.RangeRequest.SortOrder.values():
            raise BadRequest("etcdserver: invalid sort option")
        return Get(
            asked.key,
            asked.range_end or None,
            0 if self._all else asked.limit,
            asked.revision,
            asked.keys_only and not self._by_value,
            asked.count_only,
        )

    def response(self, found: RangeResult, header: Message) -> Message:
        """What is answered."""
        kvs, more = found.kvs, found.more
        if self._all:
            kvs = tuple(kv for kv in kvs if self._is_within(kv))
            if self._sorted:
                target = _TARGETS[self.request.sort_target]
                descending = self.request.sort_order == rpc.RangeRequest.DESCEND
                kvs = tuple(sorted(kvs, key=target, reverse=descending))
            limit = self.request.limit
            if limit and len(kvs) > limit:
                kvs, more = kvs[:limit], True
        messages = [key_value_message(kv) for kv in kvs]
        if self.request.keys_only:
            for message in messages:
                message.ClearField("value")
        return rpc.RangeResponse(header=header, kvs=messages, count=found.count, more=more)

    @property
    def _by_value(self) -> bool:
        return bool(self.request.sort_target == rpc.RangeRequest.VALUE)

    @property
    def _sorted(self) -> bool:
        """The store gives keys in ascending order by itself."""
        asked = self.request
        return bool(asked.sort_target != rpc.RangeRequest.KEY or asked.sort_order == rpc.RangeRequest.DESCEND)

    @property
    def _all(self) -> bool:
        """Whether the limit counts only after what is found was sorted or narrowed."""
        asked = self.request
        bounds = (
            asked.min_mod_revision,
            asked.max_mod_revision,
            asked.min_create_revision,
            asked.max_create_revision,
        )
        return (self._sorted or any(bounds)) and not asked.count_only

    def _is_within(self, kv: KeyValue) -> bool:
        asked = self.request
        return bool(
            kv.mod_revision >= asked.min_mod_revision
            and (not asked.max_mod_revision or kv.mod_revision <= asked.max_mod_revision)
            and kv.create_revision >= asked.min_create_revision
            and (not asked.max_create_revision or kv.create_revision <= asked.max_create_revision)
        )
