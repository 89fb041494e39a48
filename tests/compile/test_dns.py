"""Names and addresses of services, and the listener that answers with them."""

from dataclasses import replace

import pytest
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.udp.dns_filter.v3.dns_filter_pb2 import DnsFilterConfig

from tests.compile.worlds import service
from xdsd.compile.dns import (
    answers,
    dns_listener,
    is_answered,
    spoken_names,
    virtual_domain,
    wants_address,
)
from xdsd.model.catalog import Endpoint, Health, Resolution, Service
from xdsd.model.virtual_addresses import VirtualAddresses

VIRTUAL = VirtualAddresses("240.0.0.1", "2001:2::1")


def made(host: str = "a.example.com", **changes: object) -> Service:
    return replace(service("a"), hostname=host, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "namespace", "names"),
    [
        (
            "reviews.shop.svc.cluster.local",
            "shop",
            (
                "reviews.shop.svc.cluster.local",
                "reviews.shop.svc",
                "reviews.shop",
                "reviews",
            ),
        ),
        (
            "reviews.shop.svc.cluster.local",
            "other",
            ("reviews.shop.svc.cluster.local", "reviews.shop.svc", "reviews.shop"),
        ),
        ("API.Example.com", "shop", ("api.example.com",)),
        ("*.example.com", "shop", ("*.example.com",)),
    ],
)
def test_names_are_those_that_programs_ask(host: str, namespace: str, names: tuple[str, ...]) -> None:
    """Short ones in the host's own namespace alone, all in lower case."""
    assert spoken_names(host, namespace, "cluster.local") == names


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("example.com", True),
        ("mysql", True),
        ("*.example.com", True),
        ("*.com", False),
        ("*", False),
        ("*-prod.example.com", False),
        ("10.0.0.1", False),
        ("fd00::1", False),
    ],
)
def test_envoy_can_answer_for_names_and_whole_wildcards(host: str, answered: bool) -> None:
    """Not for wildcards of one word, nor partial ones, and addresses are no names."""
    assert is_answered(made(host)) is answered
    assert wants_address(made(host), ipv6=False) is answered
    assert bool(answers(made(host), VIRTUAL)) is answered


def test_declared_addresses_count_in_the_proxys_family() -> None:
    """Ranges are no answers; who has addresses of the other family alone is given one, unless they must be real."""
    both = made(addresses=("10.0.0.1", "10.0.0.0/8", "fd00::1"))
    assert answers(both, VIRTUAL) == ("10.0.0.1", "::ffff:10.0.0.1")
    assert answers(both, VIRTUAL, ipv6=True) == ("fd00::1",)
    six = made(addresses=("fd00::1",))
    assert wants_address(six, ipv6=False)
    assert answers(six, VIRTUAL) == ("240.0.0.1", "::ffff:240.0.0.1")
    assert answers(replace(six, resolution=Resolution.NONE), VIRTUAL) == ("fd00::1",)
    assert answers(made(addresses=("10.0.0.0/8",)), VIRTUAL) == ()
    assert not wants_address(made(addresses=("10.0.0.0/8",)), ipv6=False)


def test_services_without_addresses_are_given_some() -> None:
    """Of both families, for IPv4 by its own form in IPv6, since proxies of IPv4 take no other connections."""
    assert answers(made(), VIRTUAL) == ("240.0.0.1", "::ffff:240.0.0.1")
    assert answers(made(), VIRTUAL, ipv6=True) == ("2001:2::1", "240.0.0.1")


def test_without_resolution_names_lead_to_the_endpoints_themselves() -> None:
    """To the healthy ones if there are any; without endpoints the name is left to resolvers."""
    headless = made(resolution=Resolution.NONE)
    one, two = Endpoint("10.2.0.2"), Endpoint("10.2.0.1", health=Health.UNHEALTHY)
    assert answers(headless, VIRTUAL) == ()
    assert answers(headless, VIRTUAL, [one, two]) == ("10.2.0.2", "::ffff:10.2.0.2")
    assert answers(headless, VIRTUAL, [two]) == ("10.2.0.1", "::ffff:10.2.0.1")
    assert answers(headless, VIRTUAL, [Endpoint("unix:///run/x")]) == ()


def test_without_redirection_names_lead_to_the_proxy() -> None:
    """It listens there on the ports of every service, but for those that it cannot find itself."""
    assert answers(made(), VIRTUAL, at="127.0.0.2") == ("127.0.0.2", "::ffff:127.0.0.2")
    assert answers(made(addresses=("10.0.0.1",)), VIRTUAL, at="::1") == ("::1",)
    assert answers(made(resolution=Resolution.NONE), VIRTUAL, at="127.0.0.2") == ()


def test_the_listener_joins_what_is_encoded() -> None:
    """Decoded, it is what Envoy's API would have made of it."""
    names = [virtual_domain("a", ["10.0.0.1"]), virtual_domain("b", ["10.0.0.2", "::1"])]
    listener = Listener.FromString(dns_listener("::1", 15053, names, ["10.0.0.2:53", "[fd00::2]:5353"]))
    assert listener.name == "dns"
    assert listener.address.socket_address.address == "::1"
    config = DnsFilterConfig()
    assert listener.listener_filters[0].typed_config.Unpack(config)
    found = {
        each.name: list(each.endpoint.address_list.address)
        for each in config.server_config.inline_dns_table.virtual_domains
    }
    assert found == {"a": ["10.0.0.1"], "b": ["10.0.0.2", "::1"]}
    assert b"fd00::2" in config.client_config.SerializeToString()
