"""Objects as bytes: canonical JSON, sorted and compact, in the preferred version of the API.

The store adds what it alone knows: the resource version is the revision that wrote the key last, and the
uid is made of the key and the revision that created it. Neither is part of the stored value.
"""

import json
from dataclasses import replace
from uuid import UUID, uuid5

from xdsd.manifest import AnyObject, object_to_dict, parse_object
from xdsd.model.problem import ObjectRef, Problem, Reason

_UIDS = UUID("2d7f3a4e-7f0b-5a53-9d0c-6c1c5f6f7c11")


class Undecodable(Exception):  # noqa: N818 - it is named after what is the matter
    """A stored value is no object; ``problems`` say why."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems


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
