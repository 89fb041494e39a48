"""Where everything in the demo will be, and what is said of options that cannot be."""

import socket

import pytest

from tests.lab.ports import free_ports, free_row
from xdsd.demo.layout import DemoOptions, LayoutError, check_ports, lay_out


def test_every_instance_has_an_address_of_its_own() -> None:
    """The instances share their ports and differ in their addresses, the gateway's included."""
    layout = lay_out(DemoOptions())
    addresses = [each.address for each in layout.instances]
    assert [each.name for each in layout.instances] == [
        "productpage-v1",
        "details-v1",
        "reviews-v1",
        "reviews-v2",
        "reviews-v3",
        "ratings-v1",
    ]
    assert len({*addresses, layout.gateway_address}) == 7
    assert layout.gateway_url == "http://127.0.0.1:8080"


def test_no_port_is_used_twice() -> None:
    """Every address and port stands once, with the flag that moves it."""
    ports = list(lay_out(DemoOptions()).ports())
    assert len({(port.address, port.number) for port in ports}) == len(ports) == 4 + 6 * 4


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (DemoOptions(address="0.0.0.0"), "--address 0.0.0.0 is not on loopback"),
        (DemoOptions(address="::1"), "--address ::1 is not on loopback"),
        (DemoOptions(network="10.0.0"), "--network 10.0.0 is not the start of a loopback network"),
        (DemoOptions(network="127.0.0.1"), "--network 127.0.0.1 is not the start"),
        (DemoOptions(port=15010), "127.0.0.1:15010 is used twice, by --port and --xds-port"),
        (
            DemoOptions(network="127.0.0", service_port=15014),
            "is used twice, by --http-port and --service-port",
        ),
        (DemoOptions(app_port=65533), "65536 is not a port: choose 1 to 65535 with --app-port"),
    ],
)
def test_impossible_options_are_refused_with_the_flag(options: DemoOptions, sentence: str) -> None:
    """The sentence names what is wrong and the flag that mends it."""
    with pytest.raises(LayoutError, match=sentence):
        lay_out(options)


def test_a_taken_port_is_named_with_its_flag() -> None:
    """What another program listens on is found before anything starts."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            LayoutError,
            match=f"port 127.0.0.1:{port} is taken by another program: choose another with --port",
        ):
            check_ports(lay_out(DemoOptions(port=port)))


def test_free_ports_pass() -> None:
    """Nothing is said where nothing is taken."""
    port, xds_port, http_port = free_ports(3)
    options = DemoOptions(
        port=port, xds_port=xds_port, http_port=http_port, network="127.250.1", app_port=free_row(6)[0]
    )
    check_ports(lay_out(options))
