"""Virtual hosts that are resources of their own, ``CONFIGURATION/HOST``, and the route configurations to which they belong.

A client asks for all of them at once and never says for which configurations, yet it drops what it is sent before it has
the configuration, and remembers that it was sent. So a proxy is offered the hosts of those configurations that it was sent,
or says to have, all of them whenever it is sent one, and is told that they are gone when it lets go of it.

A configuration that is gone goes on serving until the proxy lets go of it, and so do its hosts: they are *orphans*, kept
until then.
"""

from collections.abc import Iterable

from xdsd.protocol.exchange import Exchange
from xdsd.protocol.subscription import Turn, owner
from xdsd.protocol.watch import Watch
from xdsd.snapshot import ROUTE, VIRTUAL_HOST


def owned(turn: Turn, tables: frozenset[str]) -> Turn:
    """A turn whose wildcard is limited to the hosts of ``tables``."""
    interest = turn.interest
    if not interest.wildcard or interest.under is not None:
        return turn
    return turn._replace(interest=interest._replace(under=tables))


def limit(watch: Watch, tables: frozenset[str], exchange: Exchange) -> None:
    """The proxy has these route configurations from now on, and no others."""
    before = watch.interest.under
    if before is None or before == tables:
        return
    lost = before - tables
    if lost:
        watch.forgotten |= {*_under(watch, lost), *(name for name in watch.orphans if owner(name) in lost)}
    exchange.enrol(watch, watch.interest._replace(under=tables))


def again(watch: Watch, tables: frozenset[str]) -> None:
    """The proxy is being sent these route configurations, and may have none of their hosts."""
    if watch.whole or watch.interest.under is None:
        return
    found = frozenset(_under(watch, tables))
    if watch.known is not None:
        watch.known = {name: held for name, held in watch.known.items() if name not in found}
    if found:
        watch.again |= found


def parted(watch: Watch, gone: Iterable[str]) -> tuple[str, ...]:
    """Those of ``gone`` that the proxy can do without now; the others are orphans."""
    free: list[str] = []
    kept: list[str] = []
    for name in dict.fromkeys((*gone, *watch.orphans)):
        if not watch.interest.wants(name):
            free.append(name)
        elif watch.layers.find(VIRTUAL_HOST, name) is None:
            (free if watch.layers.find(ROUTE, owner(name)) is not None else kept).append(name)
    watch.orphans = frozenset(kept)
    return tuple(free)


def _under(watch: Watch, tables: frozenset[str]) -> list[str]:
    layers = watch.layers.layers
    return [name for layer in layers for name in layer.resources(VIRTUAL_HOST) if owner(name) in tables]
