"""Who wants a virtual address, as services come and go."""

from dataclasses import replace

from tests.compile.worlds import service
from xdsd.compile.claimants import Claimants
from xdsd.model.catalog import Service

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
