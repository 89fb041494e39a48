"""The admin API's port: which services stand on it, where it listens, and who may reach it.

By default it is a socket in the state dir that only its owner may open. On TCP it speaks plaintext, so it
is served on loopback alone. Every service is added by one line in ``admin_services``; the etcd wire API and
the authentication of callers (a gRPC interceptor of ``serve_admin``) belong there.
"""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from grpc_reflection.v1alpha import reflection
from structlog.typing import FilteringBoundLogger

from api.faults import Faults
from api.ports import Health, Intents, Mesh, Proxies
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.proto.xdsd.admin.v1 import admin_pb2_grpc as services
from api.services.daemon import DaemonService, ProblemsService, RegistriesService
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


def admin_services(intents: Intents, mesh: Mesh, proxies: Proxies, health: Health) -> tuple[Service, ...]:
    """All services of the admin port, ready to be served."""
    objects, proxy = ObjectsService(intents), ProxiesService(mesh, proxies)
    registries, problems = RegistriesService(mesh), ProblemsService(mesh, intents)
    daemon = DaemonService(health, mesh, proxies)
    adders: dict[str, Callable[[grpc.aio.Server], None]] = {
        "Objects": lambda server: services.add_ObjectsServicer_to_server(objects, server),
        "Proxies": lambda server: services.add_ProxiesServicer_to_server(proxy, server),
        "Registries": lambda server: services.add_RegistriesServicer_to_server(registries, server),
        "Problems": lambda server: services.add_ProblemsServicer_to_server(problems, server),
        "Daemon": lambda server: services.add_DaemonServicer_to_server(daemon, server),
    }
    names = pb.DESCRIPTOR.services_by_name
    return tuple(Service(names[name].full_name, add) for name, add in adders.items())


@asynccontextmanager
async def serve_admin(
    address: Address,
    offered: Sequence[Service],
    logger: FilteringBoundLogger,
    *,
    max_message_size: int = 64 << 20,
) -> AsyncIterator[Address]:
    """Serves while it lasts at the address it gives (port 0 resolved).

    Raises:
        OSError: the address cannot be listened on, or somebody listens there already.
        ValueError: the address is beyond this machine.
    """
    if isinstance(address, TcpAddress) and not address.is_loopback:
        raise ValueError(f"the admin API speaks plaintext, so it is not served on {address}; use loopback")
    server = grpc.aio.server(
        interceptors=(Faults(_STORE_FAULTS, logger),),
        options=(
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", max_message_size),
            ("grpc.max_send_message_length", -1),
        ),
    )
    for service in offered:
        service.add(server)
    reflection.enable_server_reflection([*(each.name for each in offered), reflection.SERVICE_NAME], server)
    bound = _bind(server, address)
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(_STOP_SECONDS)
        if isinstance(bound, UnixAddress):
            bound.path.unlink(missing_ok=True)


def _bind(server: grpc.aio.Server, address: Address) -> Address:
    """Binds; a socket in the file system is never open to others, not even for a moment."""
    refuse_taken(address, "admin-address")
    try:
        if isinstance(address, TcpAddress):
            return TcpAddress(address.host, server.add_insecure_port(str(address)))
        before = os.umask(0o177)
        try:
            server.add_insecure_port(str(address))
        finally:
            os.umask(before)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: {error}; set another --admin-address") from error
    return address
