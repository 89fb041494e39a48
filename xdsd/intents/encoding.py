"""Objects as bytes: canonical JSON, sorted and compact, in the preferred version of the API.

The store adds what it alone knows: the resource version is the revision that wrote the key last, and the
uid is made of the key and the revision that created it. Neither is part of the stored value.
"""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid5

from xdsd.manifest import AnyObject, object_to_dict, parse_object
from xdsd.model.problem import ObjectRef, Problem, Reason

LARGEST_TEXT = 4 << 20
"""Bytes of JSON that are looked at; what is kept may have less, but only parsing tells how much that is."""

_UIDS = UUID("2d7f3a4e-7f0b-5a53-9d0c-6c1c5f6f7c11")


class Undecodable(Exception):  # noqa: N818 - it is named after what is the matter
    """A stored value is no object; ``problems`` say why."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


def parse(text: bytes, default_namespace: str = "default") -> AnyObject | list[Problem]:
    """The object that somebody wrote as JSON, or what is wrong with it."""
    if len(text) > LARGEST_TEXT:
        message = f"an object has {len(text)} bytes, which is above {LARGEST_TEXT}; split it"
        return [Problem(Reason.TOO_LARGE, message)]
    try:
        value = json.loads(text, object_pairs_hook=_pairs)
    except (ValueError, RecursionError) as error:
        return [Problem(Reason.MALFORMED_FILE, f"an object is not JSON: {error}")]
    return parse_object(value, default_namespace=default_namespace)


def encode(obj: AnyObject) -> bytes:
    """The value that is stored for an object."""
    bare = replace(obj, metadata=replace(obj.metadata, resource_version="", uid=""))
    return json.dumps(
        object_to_dict(bare), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def decode(value: bytes, ref: ObjectRef) -> AnyObject:
    """The object that is stored as ``ref``. Raises Undecodable."""
    try:
        document = json.loads(value)
    except (ValueError, RecursionError) as error:
        message = f"the stored value is no JSON: {error}"
        raise Undecodable((Problem(Reason.MALFORMED_FILE, message, ref),)) from None
    found = parse_object(document, default_namespace="")
    if isinstance(found, list):
        raise Undecodable(tuple(replace(problem, object=ref) for problem in found))
    if found.ref != ref:
        message = f"the value stored here is that of {found.ref}"
        raise Undecodable((Problem(Reason.INVALID_VALUE, message, ref, "metadata"),))
    return found


def stamped(obj: AnyObject, key: bytes, create_revision: int, mod_revision: int) -> AnyObject:
    """The object with what the store knows of it."""
    uid = str(uuid5(_UIDS, f"{key.decode()}@{create_revision}"))
    return replace(obj, metadata=replace(obj.metadata, resource_version=str(mod_revision), uid=uid))


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, which may not say a thing twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands twice in one place")
    return found
