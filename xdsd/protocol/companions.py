"""What has to be sent again because of something else that is sent.

A cluster that changes waits for its endpoints anew, and a resource whose reference to a secret changes waits for that
secret, but the proxy does not ask again for a name that it already watches.
"""

from collections.abc import Mapping

from xdsd.protocol.parts import Part
from xdsd.protocol.watch import NOTHING, Offer, Watch
from xdsd.snapshot import ENDPOINT


def endpoints_again(
    watches: Mapping[str, Watch], offer: Offer, before: Offer | None, *, resumed: bool
) -> frozenset[str]:
    """Marks the endpoints of the clusters in ``offer`` that did not stand like that in ``before``.

    Returns the names that a ``resumed`` proxy waits for though it has not asked for endpoints on this stream yet.
    """
    watch = watches.get(ENDPOINT)
    if (watch is None and not resumed) or (watch is not None and watch.whole):
        return NOTHING
    names = NOTHING.union(*(part.endpoints for part in _news(offer, before)))
    if watch is None:
        return names
    _again(watch, names)
    return NOTHING


def secrets_again(watch: Watch, offer: Offer, before: Offer | None) -> None:
    """Marks the secrets that the resources in ``offer`` refer to."""
    if not watch.whole:
        _again(watch, NOTHING.union(*(part.secrets(watch.interest.names) for part in _news(offer, before))))


def _again(watch: Watch, names: frozenset[str]) -> None:
    wanted = [name for name in names if watch.interest.wants(name)]
    found = [name for name in wanted if watch.layers.find(watch.type_url, name) is not None]
    if watch.known is not None:
        for name in wanted:
            watch.known.pop(name, None)
    if found:
        watch.again = watch.again.union(found)


def _news(offer: Offer, before: Offer | None) -> tuple[Part, ...]:
    if before is None:
        return offer.parts
    had = {resource.name: resource.version for resource in before.resources()}
    fresh = tuple(r for r in offer.resources() if had.get(r.name) != r.version)
    return (Part(fresh),)
