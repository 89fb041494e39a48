"""The state-of-the-world dialect: the client lists all names, and gets full sets or, of some types, portions.

What is left out of a full set (clusters, listeners, secrets) is deleted by the client. Endpoints and routes come in
portions: only what changed or was asked for. There is no word for a resource that does not exist.
"""

from xdsd.protocol import wire
from xdsd.protocol.due import due
from xdsd.protocol.exchange import Exchange
from xdsd.protocol.parts import Part, version
from xdsd.protocol.subscription import Turn, sotw_first, sotw_next
from xdsd.protocol.watch import Offer, Watch
from xdsd.protocol.wire import SotwRequest
from xdsd.snapshot import CLUSTER, LISTENER, SECRET, Resource

FULL = frozenset({CLUSTER, LISTENER, SECRET})


def first(watch: Watch, request: SotwRequest) -> Turn:
    """Takes in the first request of a type, whatever nonce it carries."""
    turn = sotw_first(request.names)
    watch.whole = watch.answer = True
    watch.claimed = request.version
    watch.new = not request.version
    return turn


def following(watch: Watch, request: SotwRequest) -> Turn:
    """Takes in a later request's names."""
    turn = sotw_next(watch.interest, request.names)
    if turn.wildcard_began or (turn.answer and watch.type_url in FULL):
        watch.whole = watch.answer = True
    elif turn.answer:
        watch.again |= turn.answer
    return turn


def collect_full(watch: Watch, exchange: Exchange) -> Offer:
    """The full set of what is of interest."""
    parts = tuple(exchange.whole(layer, watch.type_url, watch.interest) for layer in watch.layers.layers)
    return versioned(parts)


def with_held(offer: Offer, held: tuple[Resource, ...]) -> Offer:
    """The full set and what must stay a little longer."""
    return versioned((*offer.parts, Part(held)))


def dropped(before: Offer, now: Offer) -> tuple[Resource, ...]:
    """What stood in one full set and is gone from another."""
    if before.version == now.version:
        return ()
    names = {resource.name for part in now.parts for resource in part.resources}
    return tuple(r for part in before.parts for r in part.resources if r.name not in names)


def collect_portion(watch: Watch, exchange: Exchange) -> Offer:
    """What changed or was asked for."""
    return versioned(due(watch, exchange).parts)


def versioned(parts: tuple[Part, ...]) -> Offer:
    """An offer of these parts, named by its content."""
    parts = tuple(part for part in parts if part.resources)
    return Offer(parts, (), version(parts))


def frame(offer: Offer, type_url: str, nonce: str, exchange: Exchange) -> tuple[bytes, ...]:
    """A DiscoveryResponse."""
    parts = [exchange.sotw_bytes(part) for part in offer.parts]
    return (wire.sotw_head(type_url, offer.version), *parts, wire.nonce_field(nonce))
