"""Keys that no client of etcd's API writes, whatever it may: what stands there is true only as the daemons write it."""

from collections.abc import Mapping

from storage.base import prefix_end
from storage.spans import Span

_OWNERS: Mapping[bytes, str] = {
    b"/xdsd/access/": "users and what they may do are changed by `xdsctl user` and `xdsctl role`",
    b"/xdsd/ca/": "what is trusted, who joins and what is revoked is changed by `xdsctl token` and `xdsctl cert`",
    b"/xdsd/secrets/": "secrets of proxies are changed by `xdsctl secret`",
    b"/xdsd/history/": (
        "records are written with the objects that they are of, read by `xdsctl history`, and dropped after the "
        "daemon's history-retention"
    ),
    b"/xdsd/meta/": "what daemons note there of the store is read by `xdsctl history` and `xdsctl status`",
    b"/xdsd/status/": "daemons write there what is wrong with objects, which `xdsctl problems` tells",
    b"/xdsd/members/": "daemons write there that they run, which `xdsctl member list` tells",
    b"/xdsd/singletons/": "daemons write there what they do for all, which `xdsctl status` tells",
}
_REMOVABLE = frozenset({b"/xdsd/status/", b"/xdsd/members/", b"/xdsd/singletons/"})
"""Whatever is removed there, the daemons write again if it is still true."""


def reserved(span: Span, *, removal: bool) -> str:
    """Why no client writes, or removes, keys of a span; empty where clients with the right may."""
    for prefix, why in _OWNERS.items():
        begins_before_end = span.start < prefix_end(prefix)
        ends_behind_begin = span.stop is None or span.stop > prefix
        if begins_before_end and ends_behind_begin and not (removal and prefix in _REMOVABLE):
            return f"keys below {prefix.decode()} are not {'removed' if removal else 'written'} here: {why}"
    return ""
