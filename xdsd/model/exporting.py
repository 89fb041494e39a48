"""Who sees a service, for those who send requests to it."""

from collections.abc import Collection, Iterable

EVERYONE = "*"


def audience(export_to: Iterable[str], owner: str) -> frozenset[str]:
    """The namespaces that see an object of ``owner``; ``*`` among them is everybody, and none at all nobody."""
    names = tuple(export_to) or (EVERYONE,)
    return frozenset(owner if name == "." else name for name in names if name != "~")


def unseen(
    services: Iterable[tuple[str, Iterable[str]]], clients: Collection[str], edge: bool = False
) -> str:
    """Says of services of one host, each a namespace and whom it is exported to, that none of the clients sees any; empty
    if some may.

    Clients that come by a gateway (``edge``) see what its proxies see, whose namespace nobody declares: what is exported
    beyond its own namespace may be for them.
    """
    owners = []
    for owner, export_to in services:
        seen = audience(export_to, owner)
        if EVERYONE in seen or EVERYONE in clients or seen & frozenset(clients):
            return ""
        if edge and seen - {owner}:
            return ""
        owners.append(owner)
    if not owners or not clients:
        return ""
    return (
        f"is declared in {_listed('namespace', owners)} and not exported to {_listed('namespace', clients)}"
    )


def rivals(one: tuple[str, Iterable[str]], other: tuple[str, Iterable[str]]) -> bool:
    """True if namespaces other than the two that declare them see both services."""
    own = {one[0], other[0]}
    seen, also = (audience(export_to, owner) for owner, export_to in (one, other))
    if EVERYONE in seen and EVERYONE in also:
        return True
    common = also if EVERYONE in seen else seen if EVERYONE in also else seen & also
    return bool(common - own)


def _listed(word: str, names: Iterable[str]) -> str:
    found = sorted(set(names))
    return f"{word if len(found) == 1 else word + 's'} {', '.join(found)}"
