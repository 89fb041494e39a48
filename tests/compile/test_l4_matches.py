"""Rules in order, as regions that are found by closeness: both ways lead every connection to the same rule."""

import time
from ipaddress import ip_address, ip_network
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdsd.compile.l4_matches import Conditions, Region, canonical_names, canonical_networks, regions

ADDRESSES = ("10.0.0.1", "10.0.1.1", "10.1.0.1", "192.168.0.1", "fd00::1")
RANGES = ("10.0.0.1/32", "10.0.0.0/24", "10.0.0.0/16", "10.0.0.0/8", "192.168.0.0/16", "fd00::/64")
SERVERS = ("", "a.com", "b.com", "x.a.com", "y.x.a.com", "com")
NAMES = ("a.com", "b.com", "x.a.com", "*.com", "*.a.com", "*.x.a.com")


def conditions() -> st.SearchStrategy[Conditions]:
    ranges = st.lists(st.sampled_from(RANGES), max_size=2).map(canonical_networks)
    names = st.lists(st.sampled_from(NAMES), max_size=2).map(canonical_names)
    return st.builds(Conditions, ranges, names, ranges)


def in_range(address: str, ranges: tuple[str, ...]) -> bool:
    return not ranges or any(ip_address(address) in ip_network(one) for one in ranges)


def is_named(server: str, names: tuple[str, ...]) -> bool:
    return not names or any(
        server.endswith(name[1:]) if name.startswith("*") else server == name for name in names
    )


def in_order(rules: list[Conditions], address: str, server: str, source: str) -> int | None:
    """What the published API says: rules are tried one by one."""
    for index, rule in enumerate(rules):
        if (
            in_range(address, rule.addresses)
            and is_named(server, rule.sni)
            and in_range(source, rule.sources)
        ):
            return index
    return None


def by_closeness(found: tuple[Region, ...], address: str, server: str, source: str) -> int | None:
    """What Envoy does: the closest address first, then the closest name, then the closest source, and no way back."""
    cells: dict[tuple[str, ...], int] = {}
    for region in found:
        for key in product(*(side or ("",) for side in region.conditions)):
            assert key not in cells, "two chains match the same"
            cells[key] = region.rule
    for axis, value in enumerate((address, server, source)):
        fits = is_named if axis == 1 else in_range
        near = [key for key in cells if fits(value, (key[axis],) if key[axis] else ())]
        closest = max((_closeness(axis, key[axis]) for key in near), default=0)
        cells = {key: cells[key] for key in near if _closeness(axis, key[axis]) == closest}
    assert len(cells) <= 1
    return next(iter(cells.values()), None)


def _closeness(axis: int, one: str) -> int:
    if not one:
        return -1
    if axis == 1:
        return len(one) if one.startswith("*") else 1000
    return int(one.partition("/")[2])


@given(
    st.lists(conditions(), max_size=6),
    st.sampled_from(ADDRESSES),
    st.sampled_from(SERVERS),
    st.sampled_from(ADDRESSES),
)
def test_closeness_finds_the_first_rule(
    rules: list[Conditions], address: str, server: str, source: str
) -> None:
    """Whatever the rules, Envoy's way of choosing a chain leads to the rule that is first in order."""
    found = regions(rules)
    assert found is not None
    assert by_closeness(found, address, server, source) == in_order(rules, address, server, source)


def test_a_wider_rule_that_comes_first_keeps_what_a_narrower_one_asks_for() -> None:
    """The closest range alone would let the second rule win."""
    first, second = Conditions(("10.0.0.0/8",)), Conditions(("10.1.0.0/16",))
    assert regions([first, second]) == (Region(Conditions(("10.0.0.0/8", "10.1.0.0/16")), 0),)
    assert regions([second, first]) == (Region(second, 0), Region(first, 1))


def test_nothing_comes_after_a_rule_that_takes_everything() -> None:
    """Chains that no connection finds are not made."""
    everything = Conditions()
    assert regions([everything, Conditions(("10.0.0.0/8",))]) == (Region(everything, 0),)


def test_ranges_and_names_have_one_spelling() -> None:
    """Host bits, capitals and order make no difference, and what takes everything says nothing."""
    assert canonical_networks(["10.1.2.3/8", "10.0.0.1", "0.0.0.0"]) == ("10.0.0.0/8", "10.0.0.1/32")
    assert canonical_networks(["10.0.0.0/8", "0.0.0.0/0"]) == ()
    assert canonical_names(["B.com", "a.com", "b.COM"]) == ("a.com", "b.com")
    assert canonical_names(["a.com", "*"]) == ()


@pytest.mark.alone
def test_many_rules_are_quick_and_too_many_regions_are_told() -> None:
    """2,000 rules cost a moment; ranges against names that would multiply beyond bounds are not even tried."""
    started = time.thread_time()
    many = [Conditions((f"10.{index // 250}.{index % 250}.0/24",)) for index in range(2000)]
    found = regions(many)
    assert found is not None
    assert len(found) == 2000
    named = [Conditions((), (f"a{index}.com",)) for index in range(200)]
    assert regions([*many[:200], *named]) is None
    assert time.thread_time() - started < 5
