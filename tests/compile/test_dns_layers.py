"""The names that sidecars answer for, as services come and go: who shares the table, and what an edit costs."""

from dataclasses import replace
from typing import Any

import pytest
from envoy.extensions.filters.udp.dns_filter.v3.dns_filter_pb2 import DnsFilterConfig

from tests.compile.worlds import Sandbox, proxy, service, sidecar
from xdsd.model.catalog import Endpoint, Protocol, Resolution, Service
from xdsd.model.mesh import Interception, Proxy
from xdsd.snapshot import LISTENER

AT = "127.0.0.1:15053"


def answering(address: str = "10.1.0.1", **changes: Any) -> Proxy:
    """A proxy that answers DNS. Any: fields of a proxy have several types."""
    return replace(proxy(address, name=changes.pop("name", "a")), dns=AT, **changes)


def names(sandbox: Sandbox, node_id: str) -> dict[str, tuple[str, ...]]:
    """The table of a proxy; a name that stands there twice fails."""
    listener = sandbox.message(node_id, LISTENER, "dns")
    config = DnsFilterConfig()
    assert listener.listener_filters[0].typed_config.Unpack(config)
    domains = config.server_config.inline_dns_table.virtual_domains
    found = {each.name: tuple(each.endpoint.address_list.address) for each in domains}
    assert len(found) == len(domains)
    return found


def external(host: str, **changes: Any) -> Service:
    return replace(service("x"), hostname=host, **changes)


def test_only_proxies_that_ask_answer() -> None:
    """The others have no such listener, and services without addresses share a port as ever."""
    sandbox = Sandbox()
    for host in ("one.example.com", "two.example.com"):
        sandbox.put_service(replace(service("x", protocol=Protocol.TCP), hostname=host), Endpoint("10.0.0.1"))
    silent, speaking = sandbox.attach(proxy("10.1.0.2", name="b")), sandbox.attach(answering())
    sandbox.settle()
    assert "dns" not in sandbox.names(silent, LISTENER)
    assert "0.0.0.0_9080" in sandbox.names(silent, LISTENER)
    listeners = sandbox.names(speaking, LISTENER)
    assert "0.0.0.0_9080" not in listeners
    addresses = [names(sandbox, speaking)[host][0] for host in ("one.example.com", "two.example.com")]
    assert {f"{address}_9080" for address in addresses} < listeners


def test_a_table_does_not_depend_on_the_order_of_its_making() -> None:
    """Daemons that learned of services one by one, or in another order, or after others that went, agree byte by byte."""
    services = [
        external(f"{each}.example.com", created=str(number))
        for number, each in enumerate(("host-1487", "host-11282", "c", "d"))
    ]
    made = []
    for order in (services, services[::-1]):
        sandbox = Sandbox()
        node = sandbox.attach(answering())
        for each in order:
            sandbox.put_service(each)
            sandbox.settle()
        sandbox.put_service(service("gone"))
        sandbox.settle()
        sandbox.drop_service("gone")
        sandbox.settle()
        made.append(sandbox.message(node, LISTENER, "dns").SerializeToString())
        assert len({addresses[0] for addresses in names(sandbox, node).values()}) == 4
    assert made[0] == made[1]


def test_a_name_belongs_to_the_host_that_it_is() -> None:
    """Not to another's short form, whichever came first; among short forms the first host's."""
    sandbox = Sandbox()
    node = sandbox.attach(answering())
    sandbox.put_service(service("reviews", created="1"))
    sandbox.put_service(external("reviews.default", addresses=("10.9.0.9",), created="2"))
    sandbox.settle()
    found = names(sandbox, node)
    assert found["reviews.default"][0] == "10.9.0.9"
    assert found["reviews"] == found["reviews.default.svc"] != found["reviews.default"]


def test_a_change_costs_its_own_part() -> None:
    """What else there is is copied; and an endpoint that flips changes no name, unless it is the address itself."""
    sandbox = Sandbox()
    node = sandbox.attach(answering())
    headless = external("nodes.example.com", resolution=Resolution.NONE)
    sandbox.put_service(headless, Endpoint("10.0.0.1"))
    for number in range(200):
        sandbox.put_service(service(f"s{number}"), Endpoint("10.0.0.1"))
    sandbox.settle()
    sandbox.put_service(service("s7"), Endpoint("10.0.0.2"))
    changed = [each.name for layer in sandbox.settle().layers for each in layer.upserts]
    assert changed == ["outbound|9080||s7.default.svc.cluster.local"]
    sandbox.put_service(headless, Endpoint("10.0.0.3"))
    assert "dns" in [each.name for layer in sandbox.settle().layers for each in layer.upserts]
    assert names(sandbox, node)["nodes.example.com"] == ("10.0.0.3", "::ffff:10.0.0.3")
    before = sandbox.compiler.graph.computed
    sandbox.put_service(replace(service("s7"), addresses=("10.9.0.7",)), Endpoint("10.0.0.2"))
    sandbox.settle()
    assert names(sandbox, node)["s7"] == ("10.9.0.7", "::ffff:10.9.0.7")
    assert sandbox.compiler.graph.computed - before < 100


def test_a_table_is_made_once_for_all_who_see_the_same() -> None:
    """Proxies of one namespace share it whatever else sets them apart; a Sidecar cuts it down to what it lets in."""
    sandbox = Sandbox()
    sandbox.put_service(service("one"))
    sandbox.put_service(service("two"))
    sandbox.put_service(service("far", namespace="other", export_to=(".",)))
    nodes = [sandbox.attach(answering(f"10.1.0.{number}", name=f"p{number}")) for number in (1, 2)]
    sandbox.settle()
    layers = [sandbox.snapshot.assigned[node][0] for node in nodes]
    assert layers[0] == layers[1]
    short = {name for name in names(sandbox, nodes[0]) if "." not in name}
    assert short == {"one", "two"}
    sandbox.put_object(sidecar("default", egress=("./one.default.svc.cluster.local",)))
    sandbox.settle()
    assert {name for name in names(sandbox, nodes[0]) if "." not in name} == {"one"}


def test_without_redirection_names_lead_to_the_proxy() -> None:
    """Programs that use it find its listeners by every name, and nothing is told apart by address."""
    sandbox = Sandbox()
    sandbox.put_service(service("one"))
    sandbox.put_service(replace(service("two", port=3306, protocol=Protocol.TCP), hostname="two.example.com"))
    node = sandbox.attach(answering(interception=Interception.NONE, bind="127.0.0.2"))
    sandbox.settle()
    assert set(names(sandbox, node).values()) == {("127.0.0.2", "::ffff:127.0.0.2")}
    assert {"127.0.0.2_9080", "127.0.0.2_3306"} < sandbox.names(node, LISTENER)


@pytest.mark.parametrize("host", ["*.com", "*-x.example.com"])
def test_wildcards_that_envoy_cannot_answer_for_are_remarked_on(host: str) -> None:
    """Once for the service, and they are not in the table."""
    sandbox = Sandbox()
    node = sandbox.attach(answering())
    sandbox.put_service(external(host))
    sandbox.settle()
    assert names(sandbox, node) == {}
    assert any(f"sidecars do not answer for {host}" in each.message for each in sandbox.compiler.problems())


@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.TLS, Protocol.AUTO])
def test_addresses_of_the_other_family_are_no_hindrance(protocol: Protocol) -> None:
    """A service that has only such is called at one that the mesh gives it."""
    sandbox = Sandbox()
    declared = service("x", port=3306, protocol=protocol)
    sandbox.put_service(replace(declared, hostname="six.example.com", addresses=("fd00::1",)))
    node = sandbox.attach(answering())
    sandbox.settle()
    address = names(sandbox, node)["six.example.com"][0]
    assert ":" not in address
    assert f"{address}_3306" in sandbox.names(node, LISTENER)
