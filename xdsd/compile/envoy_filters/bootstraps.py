"""Patches of a proxy's bootstrap.

What a bootstrap says, a proxy reads once, when it starts: nothing that it is served later can change it. So these patches
are applied where a bootstrap is written (``xdsctl bootstrap``), and reach a running proxy with its next start.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from google.protobuf import json_format

from xdsd.compile.envoy_filters.choosing import bootstrap_patches, outline_of
from xdsd.compile.envoy_filters.merging import merge_patch
from xdsd.compile.envoy_filters.patches import PatchRef, ReadyPatch, read_patch
from xdsd.compile.envoy_filters.rules import violations
from xdsd.compile.envoy_filters.types import message_type
from xdsd.manifest.paths import write_path
from xdsd.model.intent import EnvoyFilter, Object
from xdsd.model.mesh import Proxy
from xdsd.model.problem import Problem, Reason

Json = Mapping[str, Any]


def patched_bootstrap(
    bootstrap: Json, objects: Iterable[Object[EnvoyFilter]], proxy: Proxy, root: str
) -> tuple[Json, tuple[Problem, ...]]:
    """The bootstrap of a proxy with the patches of EnvoyFilters merged into it, and what is wrong with these.

    ``root`` is the mesh's root namespace. A patch that leaves no valid bootstrap is left out. Without patches for this proxy
    the bootstrap is what it was.
    """
    by_ref = {obj.ref: obj for obj in objects}
    refs = bootstrap_patches(map(outline_of, by_ref.values()), proxy, root)
    if not refs:
        return bootstrap, ()
    _know_types(bootstrap)
    message = json_format.ParseDict(dict(bootstrap), Bootstrap())
    problems: list[Problem] = []
    for ref in refs:
        patch = read_patch(ref, by_ref[ref.filter].spec.config_patches[ref.place])
        if not isinstance(patch, ReadyPatch):
            found = (Problem(each.reason, each.message, ref.filter, write_path(each.path)) for each in patch)
            problems += found
            continue
        after = Bootstrap()
        after.CopyFrom(message)
        merge_patch(after, patch)
        broken = next(iter(violations(after)), None)
        if broken is None:
            message = after
        else:
            problems.append(_refused(ref, f"{write_path(broken.path)} {broken.message}"))
    merged: Json = json.loads(json_format.MessageToJson(message))
    return merged, tuple(problems)


def _refused(ref: PatchRef, why: str) -> Problem:
    message = f"the bootstrap is written without this patch, since with it Envoy would not start: {why}"
    return Problem(Reason.INVALID_VALUE, message, ref.filter, ref.path)


def _know_types(value: Any) -> None:
    """Makes the types of all messages in Anys known to the parser."""
    if isinstance(value, Mapping):
        if isinstance(value.get("@type"), str):
            message_type(value["@type"])
        for each in value.values():
            _know_types(each)
    elif isinstance(value, list):
        for each in value:
            _know_types(each)
