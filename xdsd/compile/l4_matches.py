"""Which of several rules takes a connection: the first that matches, put so that Envoy finds it.

Envoy does not try filter chains in order. It takes those of the closest range of destination addresses, of these the ones
of the closest server name, of these the ones of the closest range of sources, and never goes back. But ranges lie within
each other or apart, and so do names below wildcards. So what rules mention divides all connections into *regions*: in a
region each rule takes everything or nothing, and the first that takes it owns it. Regions are chains that Envoy finds as
if it had tried the rules one by one.

Who connects, and through which gateway and port, is decided once a client and not here (``xdsd.compile.matches.applies``).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple

MOST_REGIONS = 10_000
"""Of one object; each becomes part of a listener, and few listeners hold so many chains."""

ANY = ""
"""On each axis, what has every range or name within it."""


class Conditions(NamedTuple):
    """Connections to one of ``addresses`` that ask for one of the server names ``sni`` and come from one of ``sources``.

    An empty side takes everything. Ranges are as ``canonical_networks`` writes them, names as ``canonical_names`` does.
    """

    addresses: tuple[str, ...] = ()
    sni: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class Region(NamedTuple):
    """Connections that belong to the rule at index ``rule``."""

    conditions: Conditions
    rule: int


class _Cell(NamedTuple):
    address: str
    sni: str
    source: str


def canonical_networks(addresses: Iterable[str]) -> tuple[str, ...]:
    """Addresses and ranges, each once, without host bits; empty if one of them is every address."""
    # The unspecified address stands for "any", not for itself.
    found = {ip_network(one, strict=False) for one in addresses if one not in {"0.0.0.0", "::"}}
    if any(network.prefixlen == 0 for network in found):
        return ()
    return tuple(sorted(map(str, found)))


def canonical_names(names: Iterable[str]) -> tuple[str, ...]:
    """Server names, each once, in lower case; empty if one of them is every name."""
    found = {name.lower() for name in names}
    return () if "*" in found else tuple(sorted(found))


def regions(rules: Sequence[Conditions], most: int = MOST_REGIONS) -> tuple[Region, ...] | None:
    """The regions in which the first rule that matches is found by closeness; None if there would be more than ``most``."""
    owned: dict[int, list[_Cell]] = defaultdict(list)
    for count, (cell, rule) in enumerate(_cells(rules[: _end(rules)])):
        if count == most:
            return None
        owned[rule].append(cell)
    return tuple(Region(conditions, rule) for rule in sorted(owned) for conditions in _joined(owned[rule]))


def _end(rules: Sequence[Conditions]) -> int:
    """How many rules are reached at all: none after one that takes everything."""
    return next((index + 1 for index, rule in enumerate(rules) if not any(rule)), len(rules))


def _cells(rules: Sequence[Conditions]) -> Iterator[tuple[_Cell, int]]:
    sources = [rule.sources for rule in rules]
    names = [rule.sni for rule in rules]
    for address, near in _axis([rule.addresses for rule in rules], range(len(rules)), _ranges):
        for sni, closer in _axis(names, near, _names):
            yield from _sources(sources, closer, address, sni)


def _sources(
    sources: Sequence[tuple[str, ...]], takers: Sequence[int], address: str, sni: str
) -> Iterator[tuple[_Cell, int]]:
    """The cells of one address and name, but those within another that belongs to the same rule."""
    if not any(sources[rule] for rule in takers):
        yield _Cell(address, sni, ANY), takers[0]
        return
    owners = {source: near[0] for source, near in _axis(sources, takers, _ranges)}
    wider = _ranges(owners)
    for source, owner in owners.items():
        outer = next((each for each in wider(source) if each != source and each in owners), None)
        if outer is None or owners[outer] != owner:
            yield _Cell(address, sni, source), owner


_Around = Callable[[Iterable[str]], Callable[[str], Iterator[str]]]


def _axis(
    sides: Sequence[tuple[str, ...]], rules: Sequence[int], around: _Around
) -> Iterator[tuple[str, list[int]]]:
    """Everything that some of the rules mention on one axis, and those that take it, in order."""
    mentioned: dict[str, list[int]] = defaultdict(list)
    for rule in rules:
        for one in sides[rule] or (ANY,):
            mentioned[one].append(rule)
    wider = around(mentioned)
    for one in mentioned:
        takers = {rule for each in wider(one) for rule in mentioned.get(each, ())}
        yield one, sorted(takers)


def _names(_: Iterable[str]) -> Callable[[str], Iterator[str]]:
    """Of a name, itself and the wildcards that it is below; ``*.a.b`` is below ``*.b``."""

    def around(name: str) -> Iterator[str]:
        yield name
        rest = name.removeprefix("*.")
        while "." in rest:
            rest = rest.partition(".")[2]
            yield f"*.{rest}"
        if name != ANY:
            yield ANY

    return around


def _ranges(mentioned: Iterable[str]) -> Callable[[str], Iterator[str]]:
    """Of a range, itself and those that it may be within as long as mentioned ones, the closest first."""
    lengths = sorted({(":" in one, _length(one)) for one in mentioned if one != ANY}, reverse=True)

    def around(address: str) -> Iterator[str]:
        if address != ANY:
            network = ip_network(address)
            for ipv6, length in lengths:
                if ipv6 == (network.version == 6) and length <= network.prefixlen:
                    yield str(_wider(network, length))
        yield ANY

    return around


def _length(address: str) -> int:
    return int(address.partition("/")[2])


def _wider(network: IPv4Network | IPv6Network, length: int) -> IPv4Network | IPv6Network:
    return network if length == network.prefixlen else network.supernet(new_prefix=length)


def _joined(cells: Iterable[_Cell]) -> list[Conditions]:
    """Few conditions that take just these cells. ``ANY`` stands alone: beside a range it would be lost."""
    by_address: dict[tuple[str, str], list[str]] = defaultdict(list)
    for cell in cells:
        by_address[cell.sni, cell.source].append(cell.address)
    by_name: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for (sni, source), addresses in by_address.items():
        for group in _groups(addresses):
            by_name[group, source].append(sni)
    by_source: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for (address, source), names in by_name.items():
        for group in _groups(names):
            by_source[address, group].append(source)
    return [
        Conditions(address, sni, group)
        for (address, sni), sources in by_source.items()
        for group in _groups(sources)
    ]


def _groups(values: Sequence[str]) -> list[tuple[str, ...]]:
    named = tuple(sorted(value for value in values if value != ANY))
    return ([named] if named else []) + ([()] if ANY in values else [])
