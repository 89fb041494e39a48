"""What is wrong with an EnvoyFilter by itself, as far as Envoy's API tells: values that are no such message."""

from collections.abc import Iterator

from xdsd.compile.envoy_filters.patches import PatchRef, ReadyPatch, read_patch
from xdsd.manifest.paths import write_path
from xdsd.model.intent import ApplyTo, EnvoyFilter, PatchOperation
from xdsd.model.problem import ObjectRef, Problem, Reason

_NAMED = frozenset({ApplyTo.LISTENER, ApplyTo.CLUSTER, ApplyTo.VIRTUAL_HOST})


def patch_problems(spec: EnvoyFilter, ref: ObjectRef) -> list[Problem]:
    """All problems of the values of an object's patches, at their paths."""
    problems: list[Problem] = []
    for place, patch in enumerate(spec.config_patches):
        found = read_patch(PatchRef(ref, place), patch)
        if isinstance(found, ReadyPatch):
            problems += _unnamed(found)
        else:
            problems += [Problem(each.reason, each.message, ref, write_path(each.path)) for each in found]
    return problems


def _unnamed(patch: ReadyPatch) -> Iterator[Problem]:
    """Resources are known to proxies by their names, so one that is added needs one."""
    added = patch.value if patch.operation is PatchOperation.ADD and patch.apply_to in _NAMED else None
    if added is not None and not added.name:
        path = f"{patch.ref.path}.patch.value.name"
        yield Problem(Reason.MISSING_FIELD, "is missing; what is added needs a name", patch.ref.filter, path)
