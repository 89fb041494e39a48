"""Rules of tcp and tls, as values: where connections of one client belong."""

from dataclasses import replace
from typing import Any

import pytest

from xdsd.compile.matches import MESH, Source
from xdsd.compile.route_checks import route_problems
from xdsd.compile.tcp_proxies import TcpOptions, WeightedCluster
from xdsd.compile.tcp_routes import rule_targets, tcp_rules, tls_rules
from xdsd.compile.tcp_targets import TcpTarget
from xdsd.model.intent import Destination, VirtualService
from xdsd.model.problem import ObjectRef, Reason

OWNER = ObjectRef("VirtualService", "shop", "db")
CLIENT = Source(frozenset({MESH}), "shop", {"app": "web"}, 5432)
HOME = TcpTarget("home")


class Known:
    """Destinations that all exist; those called hashed keep a client on one endpoint."""

    def cluster(self, destination: Destination, namespace: str, listener_port: int) -> str:
        port = destination.port.number if destination.port else listener_port
        return f"{destination.host}.{namespace}:{port}"

    def tcp_options(self, destination: Destination, namespace: str, listener_port: int) -> TcpOptions:
        return TcpOptions(hash_source_ip=destination.host == "hashed")


def to(host: str, *matches: dict[str, Any]) -> dict[str, Any]:
    """A rule that sends everything to one host."""
    return {"match": list(matches), "route": [{"destination": {"host": host}}]}


def targets(
    *rules: dict[str, Any], section: str = "tcp", client: Source = CLIENT, default: TcpTarget | None = HOME
) -> list[TcpTarget]:
    """Where a client's connections belong."""
    spec = VirtualService.model_validate({"hosts": ["*.com"], section: list(rules)})
    found = (tls_rules if section == "tls" else tcp_rules)(spec, OWNER, client)
    return rule_targets(found, default, client.port, Known())


def led(*rules: dict[str, Any], **more: Any) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Clusters, and the addresses and server names for which connections go there."""
    return [(each.cluster, each.addresses, each.sni) for each in targets(*rules, **more)]


@pytest.mark.parametrize(
    ("match", "client", "taken"),
    [
        ({}, CLIENT, True),
        ({"port": 5432}, CLIENT, True),
        ({"port": 1}, CLIENT, False),
        ({"sourceLabels": {"app": "web"}}, CLIENT, True),
        ({"sourceLabels": {"app": "other"}}, CLIENT, False),
        ({"sourceNamespace": "shop"}, CLIENT, True),
        ({"sourceNamespace": "tools"}, CLIENT, False),
        ({"gateways": ["mesh"]}, CLIENT, True),
        ({"gateways": ["edge"]}, CLIENT, False),
        ({"gateways": ["edge"]}, replace(CLIENT, gateways=frozenset({"shop/edge"})), True),
        ({"port": 5432, "sourceNamespace": "tools"}, CLIENT, False),
    ],
)
def test_who_connects_is_decided_ahead(match: dict[str, Any], client: Source, taken: bool) -> None:
    """A rule for other clients is not there; without one, connections go to the service itself."""
    assert led(to("other", match), client=client) == [("other.shop:5432" if taken else "home", (), ())]


def test_the_first_match_wins_where_ranges_overlap() -> None:
    """Whichever range is closer."""
    wide = to("wide", {"destinationSubnets": ["10.0.0.0/8"]})
    narrow = to("narrow", {"destinationSubnets": ["10.1.0.0/16"]})
    home = ("home", (), ())
    assert led(narrow, wide) == [
        ("narrow.shop:5432", ("10.1.0.0/16",), ()),
        ("wide.shop:5432", ("10.0.0.0/8",), ()),
        home,
    ]
    assert led(wide, narrow) == [("wide.shop:5432", ("10.0.0.0/8", "10.1.0.0/16"), ()), home]


def test_matches_of_a_rule_are_alternatives_and_sources_tell_apart() -> None:
    """Each match is a chain of its own, told by where connections come from."""
    found = targets(to("other", {"sourceSubnet": "10.0.0.0/8"}, {"sourceSubnet": "192.168.0.1"}))
    assert [(each.cluster, each.sources) for each in found] == [
        ("other.shop:5432", ("10.0.0.0/8",)),
        ("other.shop:5432", ("192.168.0.1/32",)),
        ("home", ()),
    ]
    assert [each.name for each in found] == [
        "shop/db:tcp[0].match[0]",
        "shop/db:tcp[0].match[1]",
        "home",
    ]


def test_a_rule_without_addresses_means_those_of_the_service() -> None:
    """A service that has a range keeps it; subnets that a rule names take its place."""
    home = TcpTarget("home", ("10.8.0.0/16",))
    assert led(to("other"), default=home) == [("other.shop:5432", ("10.8.0.0/16",), ())]
    assert led(to("other", {"destinationSubnets": ["10.8.1.0/24"]}), default=home) == [
        ("other.shop:5432", ("10.8.1.0/24",), ()),
        ("home", ("10.8.0.0/16",), ()),
    ]


def test_connections_are_shared_by_weight() -> None:
    """A share of 0 gets none, a client stays with one endpoint if a destination asks so, statistics are the object's."""
    shares = [
        {"destination": {"host": "a"}, "weight": 3},
        {"destination": {"host": "hashed", "port": {"number": 1}}, "weight": 1},
        {"destination": {"host": "none"}, "weight": 0},
    ]
    (found,) = targets({"route": shares})
    assert found.cluster == "db.shop"
    assert found.weighted == (WeightedCluster("a.shop:5432", 3), WeightedCluster("hashed.shop:1", 1))
    assert found.options.hash_source_ip
    (found,) = targets({"route": [shares[0], shares[2]]})
    assert (found.cluster, found.weighted) == ("a.shop:5432", ())


def test_server_names_tell_tls_apart() -> None:
    """The first match wins whether it is a wildcard or not; other names belong to the service."""
    wild, exact = to("wild", {"sniHosts": ["*.a.com"]}), to("exact", {"sniHosts": ["X.a.com", "b.com"]})
    home = ("home", (), ())
    assert led(exact, wild, section="tls") == [
        ("exact.shop:5432", (), ("b.com", "x.a.com")),
        ("wild.shop:5432", (), ("*.a.com",)),
        home,
    ]
    assert led(wild, exact, section="tls") == [
        ("wild.shop:5432", (), ("*.a.com", "x.a.com")),
        ("exact.shop:5432", (), ("b.com",)),
        home,
    ]


def test_rules_that_multiply_beyond_bounds_are_refused() -> None:
    """The section is named; as many rules that do not overlap are fine."""
    names = [{"sniHosts": [f"a{index}.com"]} for index in range(150)]
    ranges = [{"sniHosts": ["*.com"], "destinationSubnets": [f"10.{index}.0.0/16"]} for index in range(150)]
    crowded = VirtualService.model_validate({"hosts": ["*.com"], "tls": [to("a", *names), to("b", *ranges)]})
    assert [(each.path, each.reason) for each in route_problems(crowded, OWNER)] == [
        ("spec.tls", Reason.TOO_LARGE)
    ]
    fine = VirtualService.model_validate({"hosts": ["*.com"], "tls": [to("a", *names)]})
    assert route_problems(fine, OWNER) == []


def test_an_object_that_multiplies_beyond_bounds_is_served_as_envoy_finds_it() -> None:
    """Such an object is refused; one that is stored all the same still compiles at once."""
    names = [{"sniHosts": [f"a{index}.com"]} for index in range(150)]
    ranges = [{"sniHosts": ["*.com"], "destinationSubnets": [f"10.{index}.0.0/16"]} for index in range(150)]
    assert len(led(to("a", *names), to("b", *ranges), section="tls")) == 301
