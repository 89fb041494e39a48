"""A server of wildcards serves no host for which another server of its port ends TLS."""

from typing import Any

from tests.compile.test_edge_portions import gateway, secure
from tests.compile.worlds import Sandbox, router, service, virtual_service
from xdsd.model.catalog import Endpoint
from xdsd.snapshot import ROUTE


def tables(*servers: dict[str, Any], hosts: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """By the name of a server's port the hosts that are served there, and the status that they are answered with; 0 is
    their service's.
    """
    made = Sandbox()
    made.put_service(service("a"), Endpoint("10.1.0.1"))
    made.put_object(gateway(*servers))
    for at, host in enumerate(hosts):
        made.put_object(virtual_service(f"v{at}", host, to="a", gateways=("edge",)))
    node = made.attach(router())
    made.settle()
    return {
        name.split(".")[2]: {
            domain: host.routes[0].direct_response.status
            for host in made.message(node, ROUTE, name).virtual_hosts
            for domain in host.domains
        }
        for name in made.names(node, ROUTE)
    }


def test_who_asks_the_wrong_server_is_told_to_come_again() -> None:
    """With 421, which browsers do on a connection of its own: the other server may ask for a certificate."""
    found = tables(
        secure("staff", "staff.example.com"),
        secure("wide", "*.example.com"),
        hosts=("staff.example.com", "shop.example.com", "*.example.com"),
    )
    assert found["staff"] == {"staff.example.com": 0}
    assert found["wide"] == {"staff.example.com": 421, "shop.example.com": 0, "*.example.com": 0}


def test_the_narrower_of_two_wildcards_has_its_hosts_alone() -> None:
    """Those of the wider one that are below the narrower are sent there."""
    found = tables(
        secure("narrow", "*.a.example.com"),
        secure("wide", "*.example.com"),
        hosts=("x.a.example.com", "x.b.example.com"),
    )
    assert found == {
        "narrow": {"x.a.example.com": 0},
        "wide": {"*.a.example.com": 421, "x.b.example.com": 0},
    }


def test_a_server_for_all_hosts_has_those_that_no_other_has() -> None:
    """Whatever their names."""
    found = tables(secure("shop", "shop.example.com"), secure("all", "*"), hosts=("*",))
    assert found == {"shop": {"shop.example.com": 0}, "all": {"shop.example.com": 421, "*": 0}}


def test_servers_of_names_alone_have_nothing_to_send_elsewhere() -> None:
    """What they do not have is not found."""
    found = tables(
        secure("a", "a.example.com"), secure("b", "b.example.com"), hosts=("a.example.com", "b.example.com")
    )
    assert found == {"a": {"a.example.com": 0}, "b": {"b.example.com": 0}}
