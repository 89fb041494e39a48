"""Virtual hosts and the route configurations that are joined from them.

A virtual host is encoded once; a route configuration is joined from finished bytes, so that one changed
VirtualService encodes one virtual host. Envoy refuses a whole configuration in which two virtual hosts claim
one domain: pass the claims of all services through ``distinct_domains`` first.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from ipaddress import ip_address
from types import MappingProxyType

from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from xdsd.compile.config_sources import ads
from xdsd.compile.deadlines import apply_timeout
from xdsd.compile.dynamic_forward import break_circles
from xdsd.compile.matches import route_match
from xdsd.compile.names import PASSTHROUGH_CLUSTER
from xdsd.snapshot import field_bytes

ALLOW_ANY = "allow_any"
BLOCK_ALL = "block_all"

_BODY_MAX = 1024 * 1024
_UNSPECIFIED = frozenset({"", "0.0.0.0", "::"})


class PortForm(StrEnum):
    """Whether domains carry the port.

    BARE is for configurations that ignore ports in hosts (a listener of one port), BOTH for the default HTTP
    port and EXPLICIT for all others of a listener that serves every port, such as an HTTP proxy.
    """

    BARE = "bare"
    BOTH = "both"
    EXPLICIT = "explicit"


def virtual_host(
    name: str, domains: Sequence[str], routes: Sequence[Route], *, attempt_count: bool = True
) -> VirtualHost:
    """A virtual host; ``attempt_count`` tells destinations by a header which attempt a request is."""
    return VirtualHost(name=name, domains=domains, routes=routes, include_request_attempt_count=attempt_count)


def encoded(host: VirtualHost) -> bytes:
    """The wire form, equal for equal content."""
    data: bytes = host.SerializeToString(deterministic=True)
    return data


def route_configuration(
    name: str,
    virtual_hosts: Sequence[bytes],
    *,
    ignore_port: bool = True,
    discovered: bool = False,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """An encoded RouteConfiguration of encoded virtual hosts; see ``PortForm`` for ``ignore_port``.

    Where hosts are ``discovered`` the proxy waits for them. All answers get ``headers``.
    """
    settings = RouteConfiguration(name=name, ignore_port_in_host_matching=ignore_port)
    settings.validate_clusters.value = False
    settings.max_direct_response_body_size_bytes.value = _BODY_MAX
    for header, value in headers.items():
        added = settings.response_headers_to_add.add(
            append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
        )
        added.header.key, added.header.value = header, value
    if discovered:
        settings.vhds.config_source.CopyFrom(ads())
    head: bytes = settings.SerializeToString(deterministic=True)
    return head + b"".join(field_bytes(2, host) for host in virtual_hosts)


def service_domains(
    hostname: str,
    port: int,
    client_namespace: str,
    domain: str,
    addresses: Iterable[str] = (),
    *,
    ports: PortForm = PortForm.BARE,
) -> list[str]:
    """The Host headers that mean a service, most specific first and each once.

    ``name.ns.svc.DOMAIN`` is also ``name.ns.svc``, ``name.ns`` and, for clients in its namespace, ``name``;
    ``domain`` is the mesh's (``cluster.local``). Any name may end in a dot. ``addresses`` are the service's
    virtual IPs.
    """
    names = [hostname, *alternative_names(hostname, client_namespace, domain)]
    names += [_bracketed(address) for address in addresses if address not in _UNSPECIFIED]
    forms: list[str] = []
    for name in names:
        if ports is not PortForm.EXPLICIT:
            forms.append(name)
        if ports is not PortForm.BARE:
            forms.append(f"{name}:{port}")
    return list(dict.fromkeys(forms))


def alternative_names(hostname: str, client_namespace: str, domain: str) -> list[str]:
    """Other spellings of a service's host: absolute, and short within the mesh."""
    if "*" in hostname or _is_address(hostname):
        return []
    names = [f"{hostname}."]
    local = hostname.removesuffix(f".svc.{domain}")
    name, dot, namespace = local.partition(".")
    if local != hostname and name and dot and "." not in namespace:
        names += [f"{local}.svc", local]
        if namespace == client_namespace:
            names.append(name)
    return names


def distinct_domains(claims: Iterable[tuple[str, Sequence[str]]]) -> list[list[str]]:
    """The domains that each claimant gets, so that none is claimed twice; with none it is unreachable.

    A claim is a host and the domains it answers to. A host's own name is never lost to another's alternative
    spelling; among equals the first claimant wins. Case does not tell domains apart.
    """
    claims = list(claims)
    taken: dict[str, int] = {}
    for index, (hostname, domains) in enumerate(claims):
        for domain in domains:
            if _is_named(domain, hostname):
                taken.setdefault(domain.lower(), index)
    for index, (_, domains) in enumerate(claims):
        for domain in domains:
            taken.setdefault(domain.lower(), index)
    shares: list[list[str]] = []
    for index, (_, domains) in enumerate(claims):
        share: dict[str, str] = {}
        for domain in domains:
            if taken[domain.lower()] == index:
                share.setdefault(domain.lower(), domain)
        shares.append(list(share.values()))
    return shares


def allow_any_virtual_host(cluster: str = PASSTHROUGH_CLUSTER, *, looked_up: bool = False) -> VirtualHost:
    """Sends hosts that nobody declared where the client meant them to go, or through a proxy that knows them.

    ``looked_up`` is for a cluster that goes where hosts say, which may be here again.
    """
    route = Route(name=ALLOW_ANY, match=route_match(None))
    route.route.cluster = cluster
    apply_timeout(route.route, None)
    routes = [break_circles(route), route] if looked_up else [route]
    return virtual_host(ALLOW_ANY, ["*"], routes)


def block_all_virtual_host() -> VirtualHost:
    """Answers 502 for hosts that nobody declared."""
    route = Route(name=BLOCK_ALL, match=route_match(None))
    route.direct_response.status = 502
    return virtual_host(BLOCK_ALL, ["*"], [route])


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _is_named(domain: str, hostname: str) -> bool:
    """True if a domain is the host's own name, with or without a port."""
    rest = domain.lower().removeprefix(hostname.lower())
    return rest == "" or (rest != domain.lower() and rest.startswith(":"))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
