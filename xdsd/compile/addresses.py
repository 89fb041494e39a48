"""Where Envoy listens and what a filter chain matches: socket addresses, Unix sockets and address ranges."""

from ipaddress import ip_network

from envoy.config.core.v3.address_pb2 import Address, CidrRange, Pipe, SocketAddress

UNIX = "unix://"


def is_unix(bind: str) -> bool:
    """True for ``unix:///path`` and ``unix://@abstract``."""
    return bind.startswith(UNIX)


def listen_address(bind: str, port: int) -> Address:
    """An IP (v4 or v6) with a port, or a Unix socket (``unix://…``), which needs no port."""
    if is_unix(bind):
        return Address(pipe=Pipe(path=bind.removeprefix(UNIX)))
    return Address(socket_address=SocketAddress(address=bind, port_value=port))


def datagram_address(bind: str, port: int) -> Address:
    """An IP with a port of UDP."""
    address = listen_address(bind, port)
    address.socket_address.protocol = SocketAddress.UDP
    return address


def cidr_range(address: str) -> CidrRange:
    """An address (``10.0.0.1``, all bits) or a range (``10.0.0.0/8``, its host bits dropped), else
    ValueError.
    """
    network = ip_network(address, strict=False)
    return CidrRange(address_prefix=str(network.network_address), prefix_len={"value": network.prefixlen})
