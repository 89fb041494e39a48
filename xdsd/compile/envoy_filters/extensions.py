"""Extension configs: filter configs that filters refer to by name, and that are served on their own."""

from collections.abc import Iterable, Iterator
from typing import Any

from xdsd.compile.envoy_filters.merging import merge_filter
from xdsd.compile.envoy_filters.patches import PatchRef, ReadyPatch
from xdsd.model.intent import PatchOperation


def extension_config(patches: Iterable[ReadyPatch], name: str) -> tuple[Any | None, frozenset[PatchRef]]:
    """The config of this name after all patches to it, and those that had an effect; None if there is none (any more).

    All of them come from patches: ADD makes one, or takes the place of an earlier one as REPLACE does.
    """
    made: Any | None = None
    applied: set[PatchRef] = set()
    for patch in patches:
        if patch.value is None or patch.value.name != name:
            continue
        if patch.operation is PatchOperation.ADD or (made is not None and _changes(made, patch)):
            applied.add(patch.ref)
        if patch.operation is PatchOperation.REMOVE:
            made = None
        elif patch.operation is PatchOperation.ADD or (
            patch.operation is PatchOperation.REPLACE and made is not None
        ):
            made = type(patch.value)()
            made.CopyFrom(patch.value)
    return made, frozenset(applied)


def _changes(made: Any, patch: ReadyPatch) -> bool:
    return merge_filter(made, patch) if patch.merges else True


def extension_names(patches: Iterable[ReadyPatch]) -> Iterator[str]:
    """The names that patches make extension configs of."""
    seen: dict[str, None] = {}
    for patch in patches:
        if patch.operation is PatchOperation.ADD and patch.value is not None:
            seen[patch.value.name] = None
    yield from seen
