"""The admin API's port: which services stand on it, where it listens, and who may reach it.

By default it is a socket in the state dir, of which the kernel tells who is at the other end. On TCP it speaks
plaintext on loopback alone, and TLS everywhere else. Every service is added by one line in ``admin_services``.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import grpc
from grpc_reflection.v1alpha import reflection
from structlog.typing import FilteringBoundLogger

from api.access.certificates import ServerTls, server_credentials
from api.access.door import Door, Peer
from api.access.guard import Guard
from api.access.proving import Prover
from api.faults import Faults
from api.ports import Health, Intents, Mesh, Proxies
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.proto.xdsd.admin.v1 import admin_pb2_grpc as services
from api.services.access import AccessService
from api.services.authorization import AuthorizationService
from api.services.catalog import CatalogService
from api.services.credentials import CredentialsService
from api.services.daemon import DaemonService, ProblemsService, RegistriesService
from api.services.ending import judge_by
from api.services.etcd import Etcd, etcd_adders
from api.services.history import HistoryService
from api.services.joined import Joined
from api.services.joining import JoiningService
from api.services.objects import ObjectsService
from api.services.proxies import ProxiesService
from storage.base import InvalidRequest, StorageError
from xdsd.settings import Address, TcpAddress, UnixAddress
from xdsd.sockets import refuse_taken

_STOP_SECONDS = 1.0
_STORE_FAULTS = (
    (InvalidRequest, grpc.StatusCode.INVALID_ARGUMENT),
    (StorageError, grpc.StatusCode.UNAVAILABLE),
)


@dataclass(frozen=True, slots=True)
class Service:
    """A service by its full name, and what adds it to a server."""

    name: str
    add: Callable[[grpc.aio.Server], None]


def admin_services(
    intents: Intents,
    mesh: Mesh,
    proxies: Proxies,
    health: Health,
    prover: Prover,
    etcd: Etcd,
    joined: Joined | None = None,
) -> tuple[Service, ...]:
    """All services of the admin port, ready to be served; it speaks etcd's API too."""
    objects, proxy = ObjectsService(intents, mesh), ProxiesService(mesh, proxies)
    registries, problems = RegistriesService(mesh), ProblemsService(mesh, intents)
    history, access = HistoryService(intents), AccessService(prover.directory)
    authorization, catalog = AuthorizationService(mesh, intents), CatalogService(mesh, intents)
    daemon = DaemonService(health, mesh, proxies)
    remembers = joined.remembers if joined is not None else timedelta.max
    joining = JoiningService(joined, judge=judge_by(mesh, intents, remembers))
    credentials = CredentialsService(
        joined.credentials if joined is not None else None, joined.joint if joined is not None else None
    )
    adders: dict[str, Callable[[grpc.aio.Server], None]] = {
        "Objects": lambda server: services.add_ObjectsServicer_to_server(objects, server),
        "History": lambda server: services.add_HistoryServicer_to_server(history, server),
        "Access": lambda server: services.add_AccessServicer_to_server(access, server),
        "Joining": lambda server: services.add_JoiningServicer_to_server(joining, server),
        "Credentials": lambda server: services.add_CredentialsServicer_to_server(credentials, server),
        "Proxies": lambda server: services.add_ProxiesServicer_to_server(proxy, server),
        "Registries": lambda server: services.add_RegistriesServicer_to_server(registries, server),
        "Catalog": lambda server: services.add_CatalogServicer_to_server(catalog, server),
        "Authorization": lambda server: services.add_AuthorizationServicer_to_server(authorization, server),
        "Problems": lambda server: services.add_ProblemsServicer_to_server(problems, server),
        "Daemon": lambda server: services.add_DaemonServicer_to_server(daemon, server),
    }
    names = pb.DESCRIPTOR.services_by_name
    ours = [Service(names[name].full_name, add) for name, add in adders.items()]
    others = etcd_adders(etcd, intents, health, prover)
    return (*ours, *(Service(name, add) for name, add in others.items()))


@asynccontextmanager
async def serve_admin(
    address: Address,
    offered: Sequence[Service],
    prover: Prover,
    logger: FilteringBoundLogger,
    *,
    tls: ServerTls | None = None,
    tls_address: TcpAddress | None = None,
    refused: Callable[[str], None] = lambda _: None,
    max_message_size: int = 64 << 20,
) -> AsyncIterator[Address]:
    """Serves while it lasts at the address it gives (port 0 resolved), and over TLS at ``tls_address`` if there is one.
    ``refused`` is told the reason of each refusal.

    Raises:
        OSError: the address cannot be listened on, or somebody listens there already, or a file cannot be read.
        ValueError: the address is beyond this machine and there is no TLS.
    """
    if isinstance(address, TcpAddress) and not address.is_loopback and tls is None:
        raise ValueError(
            f"{address} can be reached from other machines; set admin-tls-cert and admin-tls-key"
        )
    server = grpc.aio.server(
        interceptors=(Guard(prover, logger, refused), Faults(_STORE_FAULTS, logger)),
        options=(
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", max_message_size),
            ("grpc.max_send_message_length", -1),
        ),
    )
    for service in offered:
        service.add(server)
    reflection.enable_server_reflection([*(each.name for each in offered), reflection.SERVICE_NAME], server)
    refuse_taken(address, "admin-address")
    if tls_address is not None and tls is not None:
        refuse_taken(tls_address, "admin-tls-address")
        _bind(server, tls_address, str(tls_address), server_credentials(tls, logger), "admin-tls-address")
    async with AsyncExitStack() as stack:
        if isinstance(address, UnixAddress):
            door = Door(address.path, lambda peer: _admitted(prover, peer, logger, refused))
            prover.peer = door.peer
            _bind(server, address, f"unix:{door.inside}", None)
            await server.start()
            await stack.enter_async_context(door.open())
            bound: Address = address
        else:
            credentials = server_credentials(tls, logger) if tls else None
            bound = TcpAddress(address.host, _bind(server, address, str(address), credentials))
            await server.start()
        stack.push_async_callback(server.stop, _STOP_SECONDS)
        yield bound


async def _admitted(
    prover: Prover, peer: Peer, logger: FilteringBoundLogger, refused: Callable[[str], None]
) -> bool:
    if await prover.admits(peer):
        return True
    refused("unknown uid")
    logger.warning("a connection is refused", origin=f"unix {peer}", why="unknown uid")
    return False


def _bind(
    server: grpc.aio.Server,
    address: Address,
    target: str,
    credentials: grpc.ServerCredentials | None,
    setting: str = "admin-address",
) -> int:
    try:
        if credentials is not None:
            return server.add_secure_port(target, credentials)
        return server.add_insecure_port(target)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: {error}; set another --{setting}") from error
