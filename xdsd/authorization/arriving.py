"""As whom a caller comes to a port of a workload: whether its proxy sends mutual TLS there, and whether that is taken.

A caller with an identity is taken to have a proxy that proved it. What such a proxy sends depends on the DestinationRule for
the service, else on whether a proxy is known to stand before the endpoint, which its label says, and whether that takes
mutual TLS. What is not looked at: routes that lead to a subset whose TLS differs from its host's.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from xdsd.authorization.applying import Subject
from xdsd.authorization.facts import SPIFFE, identity
from xdsd.authorization.parties import Party
from xdsd.authorization.peers import Taken, taken
from xdsd.authorization.ruling import Client, Rule, Rules, Ruling
from xdsd.authorization.sites import Site
from xdsd.model.catalog import Location, Port, Resolution, Service
from xdsd.model.intent import ClientTLSMode, MutualTLSMode

TLS_MODE_LABEL, TLS_MODE = "security.istio.io/tlsMode", "istio"

_UNLISTED = frozenset({Resolution.NONE, Resolution.DYNAMIC_DNS})


class Arrival(NamedTuple):
    """``peer`` is the identity that is proven, empty for none. ``closed`` says why the connection is not taken, ``lost`` why
    an identity that the caller has does not arrive; both are empty where that is not so.
    """

    peer: str = ""
    closed: str = ""
    lost: str = ""


class _Sent(StrEnum):
    PLAINTEXT = "plaintext"
    MUTUAL = "mutual TLS of the mesh"
    OWN = "TLS of its own"
    NOTHING = "nothing"


class _Speech(NamedTuple):
    """What a proxy sends, and why."""

    sent: _Sent
    why: str = ""


@dataclass(frozen=True, slots=True)
class Door:
    """A port of a workload of a service, with what decides who comes in: made once for all callers."""

    service: Service
    port: Port
    target: Party
    number: int
    takes: Taken
    rules: tuple[Rule, ...]

    @property
    def is_fronted(self) -> bool:
        """True if a proxy of the mesh is known to stand before the endpoint; where there is none nothing is known."""
        return self.target.endpoint is None or self.target.labels.get(TLS_MODE_LABEL) == TLS_MODE


def door(site: Site, rules: tuple[Rule, ...], service: Service, port: Port, target: Party) -> Door:
    """The way into a port of a workload; ``rules`` are those about the service."""
    number = target.port(port)
    takes = taken(site.peers, Subject(service.namespace, target.labels), site.root, number)
    return Door(service, port, target, number, takes, rules)


def arrival(site: Site, rules: Rules, door: Door, caller: Party) -> Arrival:
    """As whom a caller comes in."""
    if not caller.peer:
        return Arrival(closed=_plaintext_refused(site, door))
    speech = _speech(site, rules, door, caller)
    if speech.sent is _Sent.PLAINTEXT:
        refused = _plaintext_refused(site, door)
        return Arrival(
            closed=f"{refused}; it is sent because {speech.why}" if refused else "", lost=speech.why
        )
    if speech.sent is _Sent.NOTHING:
        return Arrival(closed=f"nothing is sent: {speech.why}", lost=speech.why)
    if speech.sent is _Sent.OWN:
        return Arrival(closed=_own_refused(door, speech), lost=speech.why)
    closed = _mutual_refused(site, door, caller, speech)
    return Arrival("", closed) if closed else Arrival(caller.peer)


def _speech(site: Site, rules: Rules, door: Door, caller: Party) -> _Speech:
    who = identity(caller.peer)
    own = who is not None and who.trust_domain in site.domains
    client = Client(who.namespace if who else "", tuple(sorted(caller.labels.items())))
    ruling = rules.ruling(door.rules, client, door.service.key, door.port.number) if own else Ruling()
    if own and caller.endpoint is not None and caller.address in site.unproven:
        if ruling.mode is ClientTLSMode.ISTIO_MUTUAL:
            return _Speech(
                _Sent.NOTHING, f"its own proxy proved no identity, while {ruling.by} wants mutual TLS"
            )
        if ruling.mode not in (ClientTLSMode.SIMPLE, ClientTLSMode.MUTUAL):
            return _Speech(_Sent.PLAINTEXT, "its own proxy proved no identity")
    match ruling.mode:
        case ClientTLSMode.ISTIO_MUTUAL:
            return _Speech(_Sent.MUTUAL, f"{ruling.by} says ISTIO_MUTUAL")
        case ClientTLSMode.DISABLE:
            return _Speech(_Sent.PLAINTEXT, f"{ruling.by} says DISABLE")
        case ClientTLSMode.SIMPLE | ClientTLSMode.MUTUAL as mode:
            return _Speech(_Sent.OWN, f"{ruling.by} says {mode}, which is not mutual TLS of the mesh")
    return _automatic(site, door, ruling) if own else _of_strangers(door)


def _of_strangers(door: Door) -> _Speech:
    """What proxies of other meshes send is their business; they are taken to prove who they are where they can."""
    if door.takes.mode is MutualTLSMode.DISABLE:
        return _Speech(_Sent.PLAINTEXT, _disabled(door))
    return _Speech(_Sent.MUTUAL)


def _automatic(site: Site, door: Door, ruling: Ruling) -> _Speech:
    """What is sent where no rule says how connections are secured."""
    service = door.service
    if not site.automatic:
        why = "the MeshConfig says enableAutoMtls: false, and no DestinationRule asks for mutual TLS"
    elif service.location is not Location.MESH_INTERNAL:
        why = f"{service.hostname} is not of the mesh (location {service.location})"
    elif service.resolution in _UNLISTED:
        why = f"endpoints of {service.hostname} are not known (resolution {service.resolution})"
    elif ruling.passes:
        why = f"{ruling.by} says PASSTHROUGH, so endpoints are not known"
    elif not door.is_fronted:
        why = f"the endpoint {_place(door)} has no label {TLS_MODE_LABEL}: {TLS_MODE}"
    elif door.takes.mode is MutualTLSMode.DISABLE:
        why = _disabled(door)
    else:
        return _Speech(_Sent.MUTUAL)
    return _Speech(_Sent.PLAINTEXT, why)


def _disabled(door: Door) -> str:
    return f"{_by(door)} is DISABLE"


def _by(door: Door) -> str:
    return str(door.takes.policy.ref) if door.takes.policy else "no PeerAuthentication"


def _place(door: Door) -> str:
    return door.target.endpoint.address if door.target.endpoint else door.service.hostname


def _plaintext_refused(site: Site, door: Door) -> str:
    if door.takes.mode is not MutualTLSMode.STRICT:
        return ""
    if door.target.address in site.unproven:
        return f"nobody is let in: {_by(door)} is STRICT, and the proxy at {door.target.address} proved no identity"
    return f"plaintext is refused: {_by(door)} is STRICT"


def _own_refused(door: Door, speech: _Speech) -> str:
    """Whether the proxy of a workload turns TLS away that is not the mesh's; it carries such bytes on where no HTTP is."""
    if not door.is_fronted:
        return ""
    if door.takes.mode is MutualTLSMode.STRICT or door.port.protocol.is_http:
        return f"it is refused: {speech.why}"
    return ""


def _mutual_refused(site: Site, door: Door, caller: Party, speech: _Speech) -> str:
    who, target = identity(caller.peer), door.target
    if door.takes.mode is MutualTLSMode.DISABLE:
        return f"mutual TLS is refused: {_by(door)} is DISABLE, but {speech.why}"
    if target.address in site.unproven:
        return (
            f"mutual TLS is sent, but the proxy at {target.address} proved no identity and has no certificate"
        )
    if caller.peer in site.revoked:
        return f"{caller.peer.removeprefix(SPIFFE)} is revoked"
    if target.endpoint is not None and target.peer in site.revoked:
        return f"its callers refuse it: {target.peer.removeprefix(SPIFFE)} is revoked"
    if who is None or who.trust_domain not in site.believed:
        return f"nobody here vouches for the trust domain {who.trust_domain if who else ''}"
    return ""
