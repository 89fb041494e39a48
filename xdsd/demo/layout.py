"""Where everything in the demo will be, decided before anything runs."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address

GATEWAY = "ingressgateway"
NAMESPACE = "default"
_INSTANCES = (
    ("productpage", "v1"),
    ("details", "v1"),
    ("reviews", "v1"),
    ("reviews", "v2"),
    ("reviews", "v3"),
    ("ratings", "v1"),
)


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the user may choose. ``network`` is the first three numbers of the instances' loopback addresses.

    ``state_dir`` is empty for a temporary folder, which is removed at the end unless ``keep`` is set; a
    folder that the user names always stays.
    """

    address: str = "127.0.0.1"
    port: int = 8080
    xds_port: int = 15010
    http_port: int = 15014
    network: str = "127.0.1"
    service_port: int = 9080
    proxy_port: int = 15001
    envoy_port: int = 15000
    app_port: int = 19080
    state_dir: str = ""
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Instance:
    """One service instance: its own address, and the port of loopback on which it serves its Envoy."""

    service: str
    version: str
    address: str
    app_port: int

    @property
    def name(self) -> str:
        """``reviews-v2``: its workload's name, and the stem of its files."""
        return f"{self.service}-{self.version}"


@dataclass(frozen=True, slots=True)
class Port:
    """A port that the demo will listen on, and the flag that moves it elsewhere."""

    address: str
    number: int
    flag: str

    def __str__(self) -> str:
        return f"{self.address}:{self.number}"


@dataclass(frozen=True, slots=True)
class Layout:
    """The options and what follows from them."""

    options: DemoOptions
    instances: tuple[Instance, ...]
    gateway_address: str

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(instance.service for instance in self.instances))

    @property
    def gateway_url(self) -> str:
        return f"http://{self.options.address}:{self.options.port}"

    @property
    def http_url(self) -> str:
        """The daemon's metrics and health."""
        return f"http://127.0.0.1:{self.options.http_port}"

    def admin_url(self, address: str) -> str:
        """The admin pages of the Envoy at an instance's address."""
        return f"http://{address}:{self.options.envoy_port}"

    def ports(self) -> Iterator[Port]:
        """Every port that the demo will listen on."""
        chosen = self.options
        yield Port(chosen.address, chosen.port, "--port")
        yield Port("127.0.0.1", chosen.xds_port, "--xds-port")
        yield Port("127.0.0.1", chosen.http_port, "--http-port")
        yield Port(self.gateway_address, chosen.envoy_port, "--envoy-port")
        for instance in self.instances:
            yield Port("127.0.0.1", instance.app_port, "--app-port")
            yield Port(instance.address, chosen.service_port, "--service-port")
            yield Port(instance.address, chosen.proxy_port, "--proxy-port")
            yield Port(instance.address, chosen.envoy_port, "--envoy-port")


class LayoutError(Exception):
    """The demo cannot run with these options on this machine; the text is a sentence for the user."""


def lay_out(options: DemoOptions) -> Layout:
    """Gives every instance an address of the network and a port of 127.0.0.1, in order.

    Raises:
        LayoutError: an address is not one of loopback, or two things would listen on one port.
    """
    if not _is_loopback(options.address):
        raise LayoutError(
            f"--address {options.address} is not on loopback; the demo has no TLS, so it stays there"
        )
    if not _is_loopback(f"{options.network}.1"):
        raise LayoutError(
            f"--network {options.network} is not the start of a loopback network such as 127.0.1"
        )
    instances = tuple(
        Instance(service, version, f"{options.network}.{number}", options.app_port + number - 1)
        for number, (service, version) in enumerate(_INSTANCES, start=1)
    )
    layout = Layout(options, instances, f"{options.network}.{len(instances) + 1}")
    seen: dict[tuple[str, int], Port] = {}
    for port in layout.ports():
        other = seen.setdefault((port.address, port.number), port)
        if other is not port:
            raise LayoutError(
                f"{port} is used twice, by {other.flag} and {port.flag}: choose another for one of them"
            )
        if not 0 < port.number < 65536:
            raise LayoutError(f"{port.number} is not a port: choose 1 to 65535 with {port.flag}")
    return layout


def check_ports(layout: Layout) -> None:
    """Raises LayoutError with the first port that the demo cannot have and the flag that moves it."""
    for port in layout.ports():
        with socket.socket() as probe:
            # What Envoy and http.server set too: a port in TIME_WAIT is free, one with a listener is not.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((port.address, port.number))
                probe.listen(1)
            except PermissionError:
                raise LayoutError(
                    f"port {port} is only for root: choose one above 1023 with {port.flag}"
                ) from None
            except OSError:
                raise LayoutError(
                    f"port {port} is taken by another program: choose another with {port.flag}"
                ) from None


def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return isinstance(parsed, IPv4Address) and parsed.is_loopback
