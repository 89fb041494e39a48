"""Ports of a workload that left its services not long ago."""

from dataclasses import replace
from typing import Any

import pytest

from tests.compile.worlds import Sandbox, proxy, service
from xdsd.model.catalog import Departed, Endpoint, Protocol
from xdsd.model.identity import SpiffeID
from xdsd.model.intent import AuthorizationPolicy, Metadata, Object, PeerAuthentication
from xdsd.model.mesh import Interception, Proxy
from xdsd.snapshot import CLUSTER, EXTENSION, LISTENER

ADDRESS = "10.1.0.1"
EXPLICIT = replace(proxy(ADDRESS, interception=Interception.NONE), bind="127.0.0.9", http_proxy_port=15001)
REVIEWS = service("reviews")


def leave(mesh: Sandbox, *departed: Departed) -> None:
    mesh.drop_service("reviews")
    mesh.compiler.world.put_departed(ADDRESS, departed)
    mesh.settle()


@pytest.mark.parametrize("attached", [EXPLICIT, proxy(ADDRESS)])
def test_a_port_that_departed_is_served_as_it_was(attached: Proxy) -> None:
    """In the same bytes, so that nothing of it begins anew; once that is forgotten it is gone."""
    mesh = Sandbox()
    mesh.put_service(REVIEWS, Endpoint(ADDRESS))
    node = mesh.attach(attached)
    mesh.settle()
    listener = "10.1.0.1_9080" if attached is EXPLICIT else "virtualInbound"
    before = mesh.versions(node)
    leave(mesh, Departed(REVIEWS, Endpoint(ADDRESS)))
    now = mesh.versions(node)
    for name in ((LISTENER, listener), (CLUSTER, "inbound|9080||")):
        assert now[name] == before[name]
    leave(mesh)
    assert "inbound|9080||" not in mesh.names(node, CLUSTER)
    assert mesh.versions(node).get((LISTENER, listener)) != before[LISTENER, listener]


def test_what_is_there_now_is_served_where_something_departed() -> None:
    """A port that another service has now is that service's; departed ports beside it stay."""
    mesh = Sandbox()
    mesh.put_service(service("ratings", protocol=Protocol.TCP), Endpoint(ADDRESS))
    node = mesh.attach(EXPLICIT)
    mesh.settle()
    before = mesh.versions(node)
    leave(mesh, Departed(REVIEWS, Endpoint(ADDRESS)), Departed(REVIEWS, Endpoint(ADDRESS, ports={"http": 7})))
    now = mesh.versions(node)
    assert now[LISTENER, "10.1.0.1_9080"] == before[LISTENER, "10.1.0.1_9080"]
    assert (LISTENER, "10.1.0.1_7") in now
    assert not list(mesh.compiler.problems())


def test_only_a_proxy_at_the_address_has_to_do_with_it() -> None:
    """Others are not even looked at again."""
    mesh = Sandbox()
    mesh.attach(EXPLICIT)
    other = mesh.attach(proxy("10.1.0.2", name="b", interception=Interception.NONE))
    mesh.settle()
    mesh.compiler.world.put_departed(ADDRESS, (Departed(REVIEWS, Endpoint(ADDRESS)),))
    told = {cell.arguments[0] for cell in mesh.compiler.graph.stale}
    assert told == {EXPLICIT.node_id}
    change = mesh.settle()
    assert other not in change.assigned


def test_policies_hold_on_a_port_that_departed() -> None:
    """Those that come while it lingers, too: peers of the mesh alone, and of these only who may."""
    mesh = Sandbox()
    proven = replace(EXPLICIT, identity=SpiffeID("cluster.local", "default", "reviews"))
    mesh.put_service(REVIEWS, Endpoint(ADDRESS))
    node = mesh.attach(proven)
    mesh.settle()
    leave(mesh, Departed(REVIEWS, Endpoint(ADDRESS)))
    mesh.put_object(policy("PeerAuthentication", PeerAuthentication, {"mtls": {"mode": "STRICT"}}))
    mesh.put_object(policy("AuthorizationPolicy", AuthorizationPolicy, {}))
    mesh.settle()
    listener = mesh.message(node, LISTENER, "10.1.0.1_9080")
    chains = [*listener.filter_chains, listener.default_filter_chain]
    assert [each.HasField("transport_socket") for each in chains if each.filters] == [True]
    (manager,) = chains[0].filters
    guards = {name for name in mesh.names(node, EXTENSION) if name.encode() in manager.SerializeToString()}
    assert guards


def policy(kind: str, spec: Any, written: dict[str, Any]) -> Object[Any]:
    """Any: a spec of any kind."""
    made = spec.model_validate(written)
    return Object("security.istio.io/v1", kind, Metadata("default", "p"), made)
