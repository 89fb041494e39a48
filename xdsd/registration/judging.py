"""Who may be registered, and what is told of those who may not. Pure."""

from collections.abc import Set
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.registration.claims import METADATA, Claim
from xdsd.registration.entries import Group, network_of
from xdsd.registration.known import Entries, Entry


@dataclass(frozen=True, slots=True)
class Rules:
    """``ranges`` are addresses that machines may claim whose connections come from elsewhere; ``most`` is how many
    entries one token or certificate may make.
    """

    ranges: tuple[IPv4Network | IPv6Network, ...] = ()
    most: int = 100


def misfit(claim: Claim, group: Group | None, rules: Rules) -> Problem | None:
    """Why a machine is none of its group's."""
    if claim.proof is None:
        return _problem(
            claim,
            Reason.INVALID_VALUE,
            "proved nothing, as it did not come over TLS; only machines with a token or a certificate are registered",
        )
    if group is None:
        message = f"there is no {claim.group}, which its metadata {METADATA} names"
        return _problem(claim, Reason.BROKEN_REFERENCE, message, known=False)
    wanted = group.spec.service_account
    if (claim.proof.identity.namespace, claim.proof.identity.service_account) != (
        claim.group.namespace,
        wanted,
    ):
        message = (
            f"the group is for the service account {wanted}, which its {claim.proof.proof} does not cover; "
            "give it one of that service account, or correct template.serviceAccount"
        )
        return _problem(claim, Reason.INVALID_VALUE, message)
    if not claim.may_claim(rules.ranges):
        message = (
            f"it claims the address {claim.address}, and its connection comes from {claim.seen or 'no address'}; correct "
            "the address in its bootstrap, or allow what is behind such connections with machine-networks, or with "
            "--network when its token is made"
        )
        return _problem(claim, Reason.INVALID_VALUE, message)
    return None


def rival(
    claim: Claim, group: Group, entry: Entry | None, entries: Entries, ref: ObjectRef
) -> Problem | None:
    """Who has what the machine claims."""
    if entry is not None and entry.machine is None:
        message = f"{ref} is not an entry of a machine that registered itself, and holds; rename or delete it"
        return _problem(claim, Reason.CONFLICT, message)
    if (
        entry is not None
        and entry.machine is not None
        and entry.machine.connected
        and not is_of(entry, claim)
    ):
        return _taken(claim, entry)
    if claim.is_at_home():
        return None
    for other in sorted(entries.at(claim.address, network_of(group.spec, claim)) - {ref}):
        found = entries.get(other)
        if (
            found is not None
            and found.machine is not None
            and found.machine.connected
            and not is_of(found, claim)
        ):
            return _taken(claim, found)
    return None


def too_many(claim: Claim, made: Set[ObjectRef], ref: ObjectRef, most: int) -> Problem | None:
    """A token that makes more entries than one may."""
    if len(made - {ref}) < most:
        return None
    message = (
        f"its {claim.credential} has made {most} entries already, which is the limit (machine-limit); use another, or "
        "revoke it if it was stolen"
    )
    return _problem(claim, Reason.OUT_OF_RANGE, message)


def is_of(entry: Entry, claim: Claim) -> bool:
    """True if the entry is of this machine."""
    return entry.machine is not None and (entry.machine.node, entry.machine.identity) == (
        claim.node,
        claim.identity,
    )


def _taken(claim: Claim, entry: Entry) -> Problem:
    machine = entry.machine
    who = f"{machine.node[:200]} ({machine.identity} by {machine.credential})" if machine else ""
    message = f"it claims the address {claim.address}, which {who} has, and is connected with: {entry.obj.ref} holds"
    return _problem(claim, Reason.CONFLICT, message)


def _problem(claim: Claim, reason: Reason, message: str, *, known: bool = True) -> Problem:
    where = f" from {claim.seen}" if claim.seen and not claim.is_at_home() else ""
    text = f"the machine {claim.who}{where} is not registered: {message}"
    return Problem(reason, text, claim.group if known else None)
