"""Envoy's admin page, on loopback: whoever reaches it reads all that the proxy has, and may end it. So nothing that comes
from elsewhere is led there.
"""

from collections.abc import Iterator
from typing import Any

from xdsd.model.intent import Gateway, MeshProxyConfig, Object, ServiceEntry, Sidecar, WorkloadEntry
from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.model.started import DEFAULT_ADMIN_PORT

_LOOPBACK = frozenset({"127.0.0.1", "::1", "[::1]"})


def admin_port(defaults: MeshProxyConfig | None) -> int:
    """Where proxies have the page, as far as the MeshConfig's ``defaultConfig`` says."""
    return (defaults.proxy_admin_port if defaults else None) or DEFAULT_ADMIN_PORT


def is_admin_page(address: str, port: int, admin: int) -> bool:
    """True if a proxy whose page is at the port ``admin`` would reach it there."""
    return port == admin and address in _LOOPBACK


def exposing(obj: Object[Any], admin: int) -> list[Problem]:  # Any: the kind decides the type of the spec
    """Why an object is refused that leads to the page."""
    match obj.spec:
        case Sidecar():
            places = _ingress(obj.spec)
        case Gateway():
            places = _servers(obj.spec)
        case ServiceEntry():
            places = _endpoints(obj.spec)
        case WorkloadEntry():
            places = _ports(obj.spec)
        case _:
            return []
    return [
        exposed(obj.ref, path, port) for path, address, port in places if is_admin_page(address, port, admin)
    ]


def exposed(ref: ObjectRef, path: str, port: int) -> Problem:
    """The problem that a field leads to the page."""
    message = f"leads to the proxy's own admin page, at port {port} of loopback; name the port of a program"
    return Problem(Reason.INVALID_VALUE, message, ref, path)


def _ingress(spec: Sidecar) -> Iterator[tuple[str, str, int]]:
    """Where ingress listeners lead over loopback, and the field that says so."""
    for index, listener in enumerate(spec.ingress):
        if listener.default_endpoint:
            yield (f"spec.ingress[{index}].defaultEndpoint", *_place(listener.default_endpoint))
        else:
            yield f"spec.ingress[{index}].port.number", "127.0.0.1", listener.port.number or 0


def _servers(spec: Gateway) -> Iterator[tuple[str, str, int]]:
    for index, server in enumerate(spec.servers):
        if server.default_endpoint:
            yield (f"spec.servers[{index}].defaultEndpoint", *_place(server.default_endpoint))


def _endpoints(spec: ServiceEntry) -> Iterator[tuple[str, str, int]]:
    for index, endpoint in enumerate(spec.endpoints):
        for port in spec.ports:
            number = endpoint.ports.get(port.name, port.target_port or port.number)
            yield f"spec.endpoints[{index}].address", endpoint.address or "", number


def _ports(spec: WorkloadEntry) -> Iterator[tuple[str, str, int]]:
    for name, number in spec.ports.items():
        yield f"spec.ports.{name}", spec.address or "", number


def _place(endpoint: str) -> tuple[str, int]:
    host, _, port = endpoint.rpartition(":")
    return host, int(port) if port.isascii() and port.isdecimal() else 0
