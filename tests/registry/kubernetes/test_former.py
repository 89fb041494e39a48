"""What is known of a cluster that forgot it, beside what it says now."""

from typing import Any

import pytest

from tests.registry.kubernetes.cluster import backed_by, endpoint_slice, pod, service
from tests.registry.kubernetes.test_state import put, state_of
from xdsd.registry.base import CatalogChange
from xdsd.registry.catalog import Catalog
from xdsd.registry.kubernetes.facts import Name
from xdsd.registry.kubernetes.kinds import Kind
from xdsd.registry.kubernetes.state import ClusterState
from xdsd.registry.stepwise import finished


class Told:
    """A catalog that was told all that a state says."""

    def __init__(self, state: ClusterState) -> None:
        self._state = state
        self._catalog = Catalog()

    def services(self) -> dict[str, tuple[list[str], list[str]]]:
        """The addresses and the endpoints of each service by its name."""
        self._catalog.apply("source", self._state.take() or CatalogChange())
        found = {}
        for key in self._catalog.services():
            item = self._catalog.service(key)
            assert item is not None
            addresses = sorted(each.address for each in self._catalog.endpoints(key))
            found[key.hostname.partition(".")[0]] = (list(item.addresses), addresses)
        return found

    def endpoints(self) -> list[str]:
        """Those of the one service."""
        ((_, addresses),) = self.services().values()
        return addresses


def known(*objects: Any, set_back: bool = False) -> tuple[ClusterState, Told]:
    """A state whose cluster has forgotten these."""
    state = state_of(*objects)
    told = Told(state)
    told.services()
    finished(state.lose(set_back=set_back))
    return state, told


TWO = (service("a"), endpoint_slice("s", "a", ["10.0.0.1", "10.0.0.2"]))


@pytest.mark.parametrize("set_back", [True, False])
def test_what_is_forgotten_stays_until_it_is_let_go(set_back: bool) -> None:
    """Nothing is told of it meanwhile."""
    state, told = known(*TWO, set_back=set_back)
    assert state.take() is None
    assert state.names(Kind.ENDPOINT_SLICE) == frozenset()
    assert state.former_slices == 1
    finished(state.forget())
    assert told.endpoints() == []


def test_slices_of_another_name_stand_beside_those_of_before() -> None:
    """Controllers name them anew. Of an endpoint that is in both, ready or not, the one of now counts."""
    state, told = known(*TWO)
    idle = {"addresses": ["10.0.0.1"], "conditions": {"ready": False}}
    put(state, endpoint_slice("t", "a", [idle, "10.0.0.3"]))
    assert told.endpoints() == ["10.0.0.2", "10.0.0.3"]
    put(state, endpoint_slice("t", "a", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]))
    assert told.endpoints() == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert state.former_slices == 0
    put(state, endpoint_slice("t", "a", ["10.0.0.3"]))
    assert told.endpoints() == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    finished(state.forget())
    assert told.endpoints() == ["10.0.0.3"]


def test_a_pod_of_the_same_name_is_where_it_is_now() -> None:
    """As those of a StatefulSet."""
    behind = [backed_by("p", "10.0.0.1"), backed_by("q", "10.0.0.2")]
    state, told = known(
        service("a"), pod("p", "10.0.0.1"), pod("q", "10.0.0.2"), endpoint_slice("s", "a", behind)
    )
    put(state, pod("p", "10.0.0.9"), endpoint_slice("t", "a", [backed_by("p", "10.0.0.9")]))
    assert told.endpoints() == ["10.0.0.2", "10.0.0.9"]


def test_a_slice_that_is_made_anew_is_what_it_says() -> None:
    """Who makes it under the name that it had means all of it; and who deletes it too."""
    state, told = known(*TWO)
    put(state, endpoint_slice("s", "a", ["10.0.0.3"]))
    assert told.endpoints() == ["10.0.0.3"]
    state.drop(Kind.ENDPOINT_SLICE, Name("default", "s"))
    assert told.endpoints() == []


def test_a_slice_that_is_set_back_says_what_was() -> None:
    """Its endpoints are served beside those that were known since, until somebody changes it."""
    state, told = known(*TWO, set_back=True)
    for _ in range(2):
        put(state, endpoint_slice("s", "a", ["10.0.0.1", "10.0.0.3"]))
        assert told.endpoints() == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    put(state, endpoint_slice("s", "a", ["10.0.0.1"]))
    assert told.endpoints() == ["10.0.0.1"]
    assert state.former_slices == 0


def test_an_address_is_whose_it_is_now() -> None:
    """A pod that has the address of one of before takes it out; programs on the network of their node share theirs."""
    behind = [backed_by(name, address) for name, address in (("p", "10.0.0.1"), ("h", "10.9.0.1"))]
    state, told = known(
        service("a"),
        *(pod(name, address) for name, address in (("p", "10.0.0.1"), ("h", "10.9.0.1"), ("i", "10.9.0.1"))),
        endpoint_slice("s", "a", behind),
    )
    put(state, pod("other", "10.0.0.1"), pod("j", "10.9.0.1"))
    assert told.endpoints() == ["10.9.0.1"]
    assert state.take_displaced() == {Name("default", "p")}
    assert state.take_problems().get("EndpointSlice default/s (before) pods", ()) == ()


def test_a_pod_that_is_there_again_keeps_what_it_has() -> None:
    """Also where another pod has the address that it had."""
    state, told = known(
        service("a"), pod("p", "10.0.0.1"), endpoint_slice("s", "a", [backed_by("p", "10.0.0.1")])
    )
    put(state, pod("p", "10.0.0.2"), pod("other", "10.0.0.1"))
    assert state.take_displaced() == set()
    put(state, endpoint_slice("s", "a", [backed_by("p", "10.0.0.2")]))
    assert told.endpoints() == ["10.0.0.2"]


def test_the_address_of_a_service_is_whose_it_is_now() -> None:
    """The one of before is called by its name alone."""
    state, told = known(
        service("a", clusterIPs=["10.96.0.1", "fd00::1"]), endpoint_slice("s", "a", ["10.0.0.1"])
    )
    put(state, service("b", clusterIP="10.96.0.1"))
    assert told.services() == {"a": (["fd00::1"], ["10.0.0.1"]), "b": (["10.96.0.1"], [])}
    put(state, service("a", clusterIP="10.96.0.7"))
    assert told.services() == {"a": (["10.96.0.7"], ["10.0.0.1"]), "b": (["10.96.0.1"], [])}


def test_what_is_forgotten_twice_is_kept() -> None:
    """A cluster that is made anew, and then restored, has all again in the end."""
    state, told = known(*TWO)
    put(state, endpoint_slice("t", "a", ["10.0.0.3"]))
    finished(state.lose(set_back=False))
    assert told.endpoints() == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    put(state, endpoint_slice("s", "a", ["10.0.0.1", "10.0.0.2"]))
    assert told.endpoints() == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    finished(state.forget())
    assert told.endpoints() == ["10.0.0.1", "10.0.0.2"]
