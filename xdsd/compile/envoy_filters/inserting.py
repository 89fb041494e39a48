"""Where something goes in a list: filters, routes."""

from collections.abc import Callable, Sequence
from typing import Any

from xdsd.compile.envoy_filters.patches import ReadyPatch
from xdsd.model.intent import PatchOperation

Named = Callable[[Any], bool]
"""True for the member of a list that a patch names."""

AT_END: Callable[[Sequence[Any]], int] = len


def change_list(
    members: Any, patch: ReadyPatch, named: Named | None, end: Callable[[Any], int] = AT_END
) -> bool:
    """Adds, inserts, replaces or removes; False if the member that the patch names is not there.

    ``named`` None: the patch names no member, so it means the list's beginning or end. ``end`` is where the end is: some
    lists have a last member that must stay last.
    """
    at = None if named is None else next((i for i, each in enumerate(members) if named(each)), None)
    if named is not None and at is None:
        return False
    match patch.operation:
        case PatchOperation.ADD:
            members.insert(end(members), patch.value)
        case PatchOperation.INSERT_FIRST:
            members.insert(0, patch.value)
        case PatchOperation.INSERT_BEFORE:
            members.insert(at or 0, patch.value)
        case PatchOperation.INSERT_AFTER:
            members.insert(end(members) if at is None else at + 1, patch.value)
        case PatchOperation.REPLACE if at is not None:
            members[at].CopyFrom(patch.value)
        case PatchOperation.REMOVE if named is not None:
            for index in reversed([i for i, each in enumerate(members) if named(each)]):
                del members[index]
        case _:
            return False
    return True
