"""When an offer of one type has to wait for another type's acceptance. Pure.

Order of types on an aggregated stream: clusters, endpoints, secrets, extension configs, listeners, routes, virtual
hosts. Additions need what they use to be there first, removals need what used them to be gone first.
"""

from collections.abc import Mapping

from xdsd.protocol.watch import Watch
from xdsd.snapshot import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, SECRET, VIRTUAL_HOST

ORDER: Mapping[str, int] = {
    CLUSTER: 0,
    ENDPOINT: 1,
    SECRET: 2,
    EXTENSION: 3,
    LISTENER: 4,
    ROUTE: 5,
    VIRTUAL_HOST: 6,
}
USERS = (LISTENER, ROUTE, VIRTUAL_HOST)


def clusters_are_warm(watches: Mapping[str, Watch]) -> bool:
    """Whether the proxy has accepted every cluster that it should have (gone ones do not matter)."""
    clusters = watches.get(CLUSTER)
    if clusters is None:
        return True
    flight = clusters.flight
    return not clusters.due and (flight is None or not any(part.resources for part in flight.offer.parts))


def users_accepted(watches: Mapping[str, Watch], generation: int, resumed: bool) -> int:
    """The newest generation whose listeners and routes the proxy lives by; ``generation`` is the snapshot's.

    A ``resumed`` proxy has listeners and routes also before it asks for them on this stream.
    """
    accepted = generation
    for type_url in USERS:
        watch = watches.get(type_url)
        if watch is not None:
            accepted = min(accepted, watch.accepted_until(generation))
        elif resumed and (type_url != VIRTUAL_HOST or _has_hosts(watches)):
            accepted = -1
    return accepted


def _has_hosts(watches: Mapping[str, Watch]) -> bool:
    """Whether there are virtual hosts for the proxy apart from their route configurations, for which it will ask."""
    routes = watches.get(ROUTE)
    return routes is None or any(layer.resources(VIRTUAL_HOST) for layer in routes.layers.layers)


def users_rejected(watches: Mapping[str, Watch]) -> bool:
    """Whether the proxy lives by a listener or route that we do not know, as it refused its successor.

    A refused one that is gone meanwhile, or not asked for any more, is no successor: the proxy should live without it.
    """
    return any(_refuses(watch) for url in USERS if (watch := watches.get(url)) is not None)


def _refuses(watch: Watch) -> bool:
    if not watch.rejected:
        return bool(watch.error)
    return any(
        watch.interest.wants(name) and watch.layers.find(watch.type_url, name) is not None
        for name in watch.rejected
    )


def routes_overdue(watches: Mapping[str, Watch], before: float) -> bool:
    """Whether listeners or routes have been held back since ``before`` or longer."""
    return any(
        watch.blocked_since is not None and watch.blocked_since <= before
        for url in USERS
        if (watch := watches.get(url)) is not None
    )
