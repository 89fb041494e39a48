"""Entries of machines: how they are called, what is in them, and how one that stands in the store is read. Pure."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeGuard

from xdsd.manifest import AnyObject
from xdsd.model.intent import KINDS, Metadata, Object, WorkloadEntry, WorkloadGroup
from xdsd.model.problem import ObjectRef
from xdsd.model.registered import (
    CONNECTED_AT,
    CONTROLLER,
    CREDENTIAL,
    DISCONNECTED_AT,
    GROUP,
    HEALTH,
    IDENTITY,
    NODE,
    TURN,
    ProbeResult,
)
from xdsd.registration.claims import Claim

LONGEST_NAME = 253
TLS_MODE_LABEL, TLS_MODE = "security.istio.io/tlsMode", "istio"
"""Says that a proxy takes mutual TLS there: whoever registers by its identity is one, unless the group says otherwise."""

_UNFIT = re.compile(r"[^a-z0-9.-]")
_EDGES = re.compile(r"(?:^|(?<=\.))[-.]+|[-.]+(?=\.|$)")

Group = Object[WorkloadGroup]
EntryObject = Object[WorkloadEntry]


@dataclass(frozen=True, slots=True)
class Registered:
    """What an entry says of its machine; ``turn`` is 0 where that cannot be read."""

    group: str
    node: str
    identity: str
    credential: str
    controller: str
    connected: bool
    turn: int
    health: str

    def said(self, result: ProbeResult | None, *, probed: bool) -> str:
        """What is to stand there as its health; ``probed``: its group has a probe of its own."""
        deaf = ProbeResult.DEAF.value
        if not probed:
            return deaf if result is ProbeResult.DEAF or (result is None and self.health == deaf) else ""
        if result is not None and result is not ProbeResult.DEAF:
            return result.value
        return ProbeResult.UNKNOWN.value if self.health in ("", deaf) else self.health


def registered(annotations: Mapping[str, str]) -> Registered | None:
    """The machine of an entry; None for an operator's."""
    if GROUP not in annotations:
        return None
    turn = annotations.get(TURN, "")
    return Registered(
        annotations[GROUP],
        annotations.get(NODE, ""),
        annotations.get(IDENTITY, ""),
        annotations.get(CREDENTIAL, ""),
        annotations.get(CONTROLLER, ""),
        DISCONNECTED_AT not in annotations,
        int(turn) if turn.isascii() and turn.isdecimal() and len(turn) < 19 else 0,
        annotations.get(HEALTH, ""),
    )


def is_entry(obj: AnyObject) -> TypeGuard[EntryObject]:
    """True if the object's spec is a WorkloadEntry."""
    return isinstance(obj.spec, WorkloadEntry)


def is_group(obj: AnyObject) -> TypeGuard[Group]:
    """True if the object's spec is a WorkloadGroup."""
    return isinstance(obj.spec, WorkloadGroup)


def network_of(group: WorkloadGroup, claim: Claim) -> str:
    """The group's word, or the machine's."""
    return group.template.network or claim.network


def entry_ref(claim: Claim, network: str) -> ObjectRef:
    """``<group>-<address>[-<network>]``; where that is no name, one that is as good."""
    address = claim.address.replace(":", "-")
    address += "0" if address.endswith("-") else ""
    name = "-".join(part for part in (claim.group.name, address, network) if part)
    fit = _EDGES.sub("", _UNFIT.sub("-", name.lower()))
    if fit != name or len(fit) > LONGEST_NAME:
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()
        fit = f"{fit[: LONGEST_NAME - 11].rstrip('-.')}-{digest}"
    return ObjectRef("WorkloadEntry", claim.group.namespace, fit)


def entry_of(
    group: Group,
    claim: Claim,
    ref: ObjectRef,
    controller: str,
    turn: int,
    before: EntryObject | None,
    health: str,
) -> EntryObject:
    """The entry of a machine. ``health`` is what its probe found, empty where there is none."""
    template, common = group.spec.template, group.spec.metadata
    spec = WorkloadEntry(
        address=claim.address,
        ports=template.ports,
        labels={TLS_MODE_LABEL: TLS_MODE, **group.spec.labels},
        network=network_of(group.spec, claim) or None,
        locality=template.locality or claim.locality or None,
        weight=template.weight,
        service_account=group.spec.service_account,
    )
    annotations = {
        **(common.annotations if common else {}),
        GROUP: group.metadata.name,
        CONTROLLER: controller,
        CONNECTED_AT: claim.since,
        NODE: claim.node,
        IDENTITY: claim.identity,
        CREDENTIAL: claim.credential,
        TURN: str(turn),
        **({HEALTH: health} if health else {}),
    }
    annotations.pop(DISCONNECTED_AT, None)
    generation = 1 if before is None else before.metadata.generation + (before.spec != spec)
    metadata = Metadata(
        ref.namespace,
        ref.name,
        annotations=annotations,
        generation=generation,
        creation_timestamp=before.metadata.creation_timestamp if before else claim.since,
    )
    return Object(KINDS[ref.kind].preferred, ref.kind, metadata, spec)


def with_health(obj: EntryObject, health: str) -> EntryObject:
    """The same, with what its probe found; empty for nothing."""
    annotations = {key: value for key, value in obj.metadata.annotations.items() if key != HEALTH}
    said = {HEALTH: health} if health else {}
    return replace(obj, metadata=replace(obj.metadata, annotations={**annotations, **said}))


def released(obj: EntryObject, now: str) -> EntryObject:
    """The same, of a machine that left."""
    return _annotated(obj, {DISCONNECTED_AT: now})


def _annotated(obj: EntryObject, more: Mapping[str, str]) -> EntryObject:
    return replace(obj, metadata=replace(obj.metadata, annotations={**obj.metadata.annotations, **more}))


def says_the_same(one: EntryObject, other: EntryObject) -> bool:
    """True where nothing that counts differs."""
    return (one.spec, one.metadata.annotations, one.metadata.labels) == (
        other.spec,
        other.metadata.annotations,
        other.metadata.labels,
    )
