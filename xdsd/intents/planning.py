"""What applying an object would do, told from the object and what is stored: values only, nothing is
written.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from xdsd.intents.encoding import encode, stamped
from xdsd.manifest import AnyObject, spec_to_dict
from xdsd.model.intent import Kind
from xdsd.model.problem import ObjectRef, Problem, Reason

LARGEST = 1_048_576
"""Bytes of an object; below what etcd takes by default."""


class Verdict(StrEnum):
    """What became of an object, in kubectl's words."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store holds for an object; without ``object`` the value cannot be read, and ``problems`` say
    why. ``fingerprint`` tells values of one revision apart: a store that was restored writes revisions again.
    """

    ref: ObjectRef
    mod_revision: int
    create_revision: int
    object: AnyObject | None
    problems: tuple[Problem, ...] = ()
    fingerprint: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one object. ``object`` is as kept now, or of a deleted one as it was; None: it was
    unreadable.
    """

    ref: ObjectRef
    verdict: Verdict
    object: AnyObject | None
    before: AnyObject | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """An outcome to be, and the value to write for it; None where nothing is to be written."""

    outcome: Outcome
    value: bytes | None


def plan(desired: AnyObject, stored: Stored | None, kind: Kind, now: str) -> Plan | Problem:
    """The outcome for an object at the time ``now`` (RFC 3339); the problem if it is out of date or too
    large.
    """
    given = desired.metadata.resource_version
    if given and (stored is None or given != str(stored.mod_revision)):
        return _conflict(desired.ref, given, stored)
    before = stored.object if stored else None
    respecified = before is None or spec_to_dict(desired.spec) != spec_to_dict(before.spec)
    if before is not None and not respecified and _same_metadata(desired, before):
        return Plan(Outcome(desired.ref, Verdict.UNCHANGED, before, before), None)
    kept = _kept(desired, before, kind, now, respecified=respecified)
    value = encode(kept)
    if len(value) > LARGEST:
        message = f"has {len(value)} bytes as JSON; the limit is {LARGEST}"
        return Problem(Reason.TOO_LARGE, message, desired.ref)
    verdict = Verdict.CONFIGURED if stored else Verdict.CREATED
    return Plan(Outcome(desired.ref, verdict, shown_as(kept, stored), before), value)


def shown_as(obj: AnyObject, stored: Stored | None) -> AnyObject:
    """The object as it reads before it is written: with the version and uid that the stored one has, if
    any.
    """
    known = stored.object.metadata if stored and stored.object else None
    version = str(stored.mod_revision) if stored else ""
    metadata = replace(obj.metadata, resource_version=version, uid=known.uid if known else "")
    return replace(obj, metadata=metadata)


def written(plan_: Plan, key: bytes, stored: Stored | None, revision: int) -> Outcome:
    """The outcome of a plan that was written as ``revision``."""
    outcome = plan_.outcome
    if plan_.value is None or outcome.object is None:
        return outcome
    created = stored.create_revision if stored else revision
    return replace(outcome, object=stamped(outcome.object, key, created, revision))


def _same_metadata(desired: AnyObject, before: AnyObject) -> bool:
    return (
        desired.metadata.labels == before.metadata.labels
        and desired.metadata.annotations == before.metadata.annotations
    )


def _kept(
    desired: AnyObject, before: AnyObject | None, kind: Kind, now: str, *, respecified: bool
) -> AnyObject:
    generation, created = 1, now
    if before is not None:
        generation = before.metadata.generation + respecified
        created = before.metadata.creation_timestamp
    metadata = replace(
        desired.metadata, generation=generation, creation_timestamp=created, resource_version="", uid=""
    )
    return replace(desired, api_version=kind.preferred, metadata=metadata)


def _conflict(ref: ObjectRef, given: str, stored: Stored | None) -> Problem:
    now = f"the object is at {stored.mod_revision}" if stored else "there is no such object"
    message = f"{given!r} is out of date: {now}; get it again and make the change there, or leave this out"
    return Problem(Reason.CONFLICT, message, ref, "metadata.resourceVersion")


def repeated(refs: Sequence[ObjectRef]) -> tuple[Problem, ...]:
    """A problem for each object that is named again."""
    first: dict[ObjectRef, int] = {}
    problems = []
    for place, ref in enumerate(refs, 1):
        if ref in first:
            message = f"is the {place}. object and the {first[ref]}. object of this request; keep one of them"
            problems.append(Problem(Reason.DUPLICATE_OBJECT, message, ref))
        first.setdefault(ref, place)
    return tuple(problems)
