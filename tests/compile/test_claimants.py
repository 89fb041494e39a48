"""Who wants a virtual address, as services come and go."""

from dataclasses import replace
from ipaddress import ip_network

from tests.compile.worlds import service
from xdsd.compile.claimants import Claimants
from xdsd.model.catalog import Service
from xdsd.model.virtual_addresses import addresses_at

ONE = "host-1487.example.com"
OTHER = "host-11282.example.com"
"""They want the same place."""


def of_host(host: str, created: str, namespace: str = "default") -> Service:
    return replace(service("x", namespace=namespace, created=created), hostname=host)


def put(claimants: Claimants, *services: Service) -> None:
    for each in services:
        claimants.put(each.key, each)


def test_nothing_is_told_while_nobody_meets() -> None:
    """Services that come, change and go move no address."""
    claimants = Claimants()
    put(claimants, of_host(ONE, "1"), of_host("a.example.com", "2"), of_host("a.example.com", "3"))
    assert claimants.displaced() is None
    claimants.put(of_host(ONE, "1").key, None)
    claimants.put(of_host(ONE, "1").key, None)
    assert claimants.displaced() is None


def test_the_younger_of_two_that_meet_is_told_until_one_goes() -> None:
    """And what comes later moves neither."""
    claimants = Claimants()
    put(claimants, of_host(OTHER, "2"), of_host(ONE, "1"))
    assert claimants.displaced() == ((OTHER, 1),)
    assert claimants.displaced() is None
    put(claimants, of_host("later.example.com", "3"))
    assert claimants.displaced() == ((OTHER, 1),)
    claimants.put(of_host(ONE, "1").key, None)
    assert claimants.displaced() == ()
    assert claimants.displaced() is None


def test_a_host_is_as_old_as_its_oldest_service() -> None:
    """Namespaces that declare one host share its address."""
    claimants = Claimants()
    put(claimants, of_host(ONE, "2"), of_host(OTHER, "3"), of_host(OTHER, "1", "other"))
    assert claimants.displaced() == ((ONE, 1),)
    claimants.put(of_host(OTHER, "1", "other").key, None)
    assert claimants.displaced() == ((OTHER, 1),)


def declaring(host: str, *addresses: str) -> Service:
    return replace(of_host(host, "9"), addresses=addresses)


def test_an_address_that_is_declared_is_nobody_elses() -> None:
    """However old the host is that would come out there, until it is declared no more."""
    claimants = Claimants()
    put(claimants, of_host(ONE, "1"))
    assert claimants.displaced() is None
    put(claimants, declaring("b.example.com", addresses_at(ONE).ipv4, "10.0.0.1", "2001:2::1"))
    assert claimants.displaced() == ((ONE, 1),)
    put(claimants, declaring("b.example.com", "10.0.0.1"))
    assert claimants.displaced() == ()
    put(claimants, declaring(ONE, addresses_at(ONE).ipv4))
    assert not claimants.displaced()


def test_a_range_that_is_declared_is_nobody_elses() -> None:
    """Hosts that come later step aside too; one that takes more than half of all places is not heeded."""
    claimants = Claimants()
    around = str(ip_network(f"{addresses_at(ONE).ipv4}/24", strict=False))
    put(claimants, declaring("b.example.com", around))
    assert not claimants.displaced()
    put(claimants, of_host(ONE, "1"))
    assert claimants.displaced() == ((ONE, 1),)
    claimants.put(declaring("b.example.com").key, None)
    assert claimants.displaced() == ()
    put(claimants, declaring("b.example.com", "240.0.0.0/4"))
    assert not claimants.displaced()


def test_many_services_may_declare_one_address() -> None:
    """It is free once the last of them is gone."""
    claimants = Claimants()
    address = addresses_at(ONE).ipv4
    others = [
        declaring("b.example.com", address),
        replace(declaring("c.example.com", address), namespace="o"),
    ]
    put(claimants, of_host(ONE, "1"), *others)
    claimants.put(others[0].key, None)
    assert claimants.displaced() == ((ONE, 1),)
    claimants.put(others[1].key, None)
    assert claimants.displaced() == ()
