"""The addresses that hosts get from the mesh."""

from ipaddress import IPv4Network, ip_address

from hypothesis import given
from hypothesis import strategies as st

from xdsd.model.virtual_addresses import (
    IPV4_RANGE,
    IPV6_RANGE,
    Claimant,
    addresses_at,
    displaced,
    place,
)

MEETING = ("host-1487.example.com", "host-11282.example.com")
"""Two hosts whose names give one place."""


def test_addresses_are_what_they_always_were() -> None:
    """A host's addresses follow from its name; a change here would move every service of every mesh."""
    assert addresses_at("mysql.example.com") == ("240.55.247.194", "2001:2:0:15c9:be88:f79:9755:8bec")
    assert addresses_at("mysql.example.com", 1).ipv4 != "240.55.247.194"
    assert addresses_at("mysql.example.com", 1).ipv6 == "2001:2:0:15c9:be88:f79:9755:8bec"


@given(st.text(), st.integers(0, 3))
def test_addresses_are_of_the_ranges(host: str, attempt: int) -> None:
    """Whatever the name, and never the first or the last of the range."""
    made = addresses_at(host, attempt)
    assert ip_address(made.ipv4) in IPV4_RANGE
    assert ip_address(made.ipv4) not in (IPV4_RANGE.network_address, IPV4_RANGE.broadcast_address)
    assert ip_address(made.ipv6) in IPV6_RANGE


def test_a_mesh_may_have_a_range_of_its_own() -> None:
    """Addresses are of that, and a full one is filled to the last place."""
    network = IPv4Network("10.0.0.0/24")
    assert ip_address(addresses_at("mysql.example.com", network=network).ipv4) in network
    claimants = [Claimant("", f"{number}.example.com") for number in range(254)]
    attempts = displaced(claimants, network)
    given = {addresses_at(each.host, attempts.get(each.host, 0), network).ipv4 for each in claimants}
    assert len(given) == 254


def test_five_thousand_hosts_hardly_meet() -> None:
    """Of the hosts of a large mesh, all or all but one or two have their first place."""
    claimants = [Claimant("", f"service-{number}.default.svc.cluster.local") for number in range(5000)]
    assert len(displaced(claimants)) <= 2


def test_of_hosts_that_meet_the_older_keeps_its_place() -> None:
    """And whoever is younger, or later in order of hosts, has the next one of its own."""
    one, other = MEETING
    assert place(one) == place(other)
    assert displaced([Claimant("2026-01-02", one), Claimant("2026-01-01", other)]) == {one: 1}
    assert displaced([Claimant("2026-01-01", one), Claimant("2026-01-02", other)]) == {other: 1}
    assert displaced([Claimant("", one), Claimant("", other)]) == {max(one, other): 1}
    assert displaced([Claimant("", one)]) == {}
