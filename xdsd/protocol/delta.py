"""The incremental dialect: the client says what it wants more or less of, and gets what changed.

Names that are asked for are always answered, with the resource or, if there is none, as removed; the subscription stays
and the resource comes when there is one. Removals are told, never inferred.
"""

from xdsd.protocol import wire
from xdsd.protocol.exchange import Exchange
from xdsd.protocol.subscription import Turn, delta_first, delta_next
from xdsd.protocol.watch import Offer, Watch
from xdsd.protocol.wire import DeltaRequest


def first(watch: Watch, request: DeltaRequest, owed: frozenset[str]) -> Turn:
    """Takes in the first request of a type, whatever nonce it carries. ``owed`` must be sent though it may be known."""
    if request.initial_versions:
        watch.new = False
        watch.known = {name: held for name, held in request.initial_versions.items() if name not in owed}
    else:
        watch.whole = True
    turn = delta_first(request.subscribe, request.unsubscribe)
    watch.answer = turn.wildcard_began
    return turn


def following(watch: Watch, request: DeltaRequest) -> Turn:
    """Takes in a later request's names."""
    turn = delta_next(watch.interest, request.subscribe, request.unsubscribe)
    if turn.wildcard_began:
        watch.whole = watch.answer = True
    if turn.answer:
        watch.again |= turn.answer
        if watch.known:
            watch.known = {name: held for name, held in watch.known.items() if name not in turn.answer}
    return turn


def frame(offer: Offer, type_url: str, nonce: str, exchange: Exchange) -> tuple[bytes, ...]:
    """A DeltaDiscoveryResponse: the very bytes that another stream was sent, if it counts its nonces alike."""
    key = (type_url, offer.parts, offer.removed, nonce)
    finished = exchange.response(key)
    if finished is None:
        parts = [exchange.delta_bytes(part) for part in offer.parts]
        if offer.removed:
            parts.append(wire.delta_removed(offer.removed))
        finished = b"".join((wire.delta_head(type_url), *parts, wire.nonce_field(nonce)))
        exchange.keep_response(key, finished)
    return (finished,)
