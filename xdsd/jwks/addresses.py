"""Which addresses may be asked for keys."""

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

Network = IPv4Network | IPv6Network

_RESERVED: tuple[Network, ...] = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("fec0::/10"),
)
"""Special networks that Python's own table has for public ones, or not in every release."""

_NAT64 = IPv6Network("64:ff9b::/96")


class RefusedAddressError(OSError):
    """An address that may not be asked; the message says which setting would let it be."""


class Reach:
    """Public addresses, and those of ``networks``. An IPv4 address within an IPv6 one is judged as itself."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)

    def covers(self, text: str) -> bool:
        address = ip_address(text.partition("%")[0])
        judged = _within(address) if isinstance(address, IPv6Address) else address
        if any(judged in network for network in self._networks if network.version == judged.version):
            return True
        if any(judged in network for network in _RESERVED if network.version == judged.version):
            return False
        return judged.is_global and not judged.is_multicast and not judged.is_reserved

    def check(self, host: str, text: str) -> None:
        """Raises RefusedAddressError."""
        if not self.covers(text):
            raise RefusedAddressError(
                f"{host} is at {text}, which is not public; name its network in --jwks-networks"
            )


def _within(address: IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


class GuardedResolver(AbstractResolver):
    """Finds addresses of names, and refuses a name if one of its addresses may not be asked. What is checked here is what is
    connected to, so that a name cannot change in between.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found: list[Any] = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        results = []
        for kind, _, protocol, _, address in found:
            self._reach.check(host, address[0])
            results.append(
                ResolveResult(
                    hostname=host,
                    host=address[0],
                    port=address[1],
                    family=kind,
                    proto=protocol,
                    flags=socket.AI_NUMERICHOST,
                )
            )
        return results

    async def close(self) -> None:
        """Nothing is held."""
