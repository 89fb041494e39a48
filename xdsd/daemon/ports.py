"""The ports of proxies and of peers."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from xdsd.config import Settings, settings
from xdsd.identity import Identity, listen_tls
from xdsd.listening import Port, open_ports
from xdsd.peers import Peers
from xdsd.server import XdsServer

_ADDRESSES = frozenset({"xds_address", "xds_tls_address", "xds_mtls_address"})


def ports_of(options: Settings) -> dict[str, Port]:
    """The ports for proxies, by the settings that name them. Raises OSError."""
    wanted = [
        (address, setting.name)
        for setting in settings()
        if setting.field in _ADDRESSES and (address := getattr(options, setting.field)) is not None
    ]
    return {name: port for (_, name), port in zip(wanted, open_ports(wanted), strict=True)}


def close_all(ports: Mapping[str, Port]) -> None:
    """Lets go of them."""
    for port in ports.values():
        port.close()


@asynccontextmanager
async def listening(
    server: XdsServer, identity: Identity | None, ports: Mapping[str, Port], others: Peers, options: Settings
) -> AsyncIterator[None]:
    """Listens for proxies, which are served once all is there, and takes peers. Raises OSError."""
    _listen(server, identity, ports)
    if options.peer_address is None or identity is None:
        yield
        return
    shown = identity.certificates.credentials(demand=True, roots=others.all_roots)
    async with others.listening(shown, str(options.peer_address)):
        yield


def _listen(server: XdsServer, identity: Identity | None, ports: Mapping[str, Port]) -> None:
    for name, port in ports.items():
        try:
            if name == "xds-address":
                port.listen(server.listen)
            elif identity is not None:
                listen_tls(server, identity, {name: port})
        except RuntimeError as error:
            raise OSError(f"cannot listen on {port.address}: {error}; set another --{name}") from error
