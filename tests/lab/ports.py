"""Ports that nobody listens on now."""

import socket


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Distinct free TCP ports of ``address``, all held until the last is known, so that none comes twice."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((address, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def free_port(address: str = "127.0.0.1") -> int:
    """One free TCP port of ``address``."""
    return free_ports(1, address)[0]
