"""Names and addresses of services, as a sidecar answers programs that look them up, and the listener that does.

Envoy's DNS filter reads a table of names from its listener; what it does not know it asks of resolvers. Traits of it decide
the shape of the table:

- A name that has addresses of one family only is answered, for the other, as if it did not exist; and there are clients
  (musl) and caches (systemd-resolved) that take it so. So IPv4 addresses are given in IPv6's form too (``::ffff:10.0.0.1``):
  connections to these are IPv4 ones.
- A name that stands there twice has the addresses of both, so each is given to one service.
- It finds names by their last two words, and wildcards by those behind the star; ``*.com`` has one, and is never found.
- Names are compared letter by letter, so all are in lower case, which is how programs ask.
"""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from envoy.config.core.v3.address_pb2 import Address, SocketAddress
from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.listener.v3.listener_components_pb2 import ListenerFilter
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.data.dns.v3.dns_table_pb2 import DnsTable
from envoy.extensions.filters.udp.dns_filter.v3.dns_filter_pb2 import DnsFilterConfig
from envoy.extensions.network.dns_resolver.cares.v3.cares_dns_resolver_pb2 import CaresDnsResolverConfig
from google.protobuf.any_pb2 import Any

from xdsd.compile.virtual_hosts import alternative_names
from xdsd.model.catalog import Endpoint, Health, Location, Resolution, Service
from xdsd.model.virtual_addresses import VirtualAddresses
from xdsd.snapshot import field_bytes

DNS_LISTENER = "dns"
DNS_PORT = 15053
DNS_FILTER = "envoy.filters.udp.dns_filter"
TTL_SECONDS = 30
"""How long answers may be kept; Envoy takes no less, and gives wildcards 300 whatever is said."""

_RESOLVER = "envoy.network.dns_resolver.cares"
_RESOLVER_SECONDS = 5
_PENDING = 1024
_RETRIES = 3
_REAL = frozenset({Resolution.NONE, Resolution.DYNAMIC_DNS})
_UNSPECIFIED = frozenset({"0.0.0.0", "::"})


def wants_address(service: Service, *, ipv6: bool) -> bool:
    """True for services that need an address of the mesh's: they have none of the proxy's family, and connections to them
    are told by one.

    Without resolution connections go where they were meant to go, so their addresses must be real ones; and with
    DYNAMIC_DNS hosts have real ones, which the proxy looks up too, and are told by name.
    """
    return not _own(service, ipv6=ipv6) and service.resolution not in _REAL and is_answered(service)


def given_addresses(service: Service, virtual: VirtualAddresses) -> tuple[str, ...]:
    """Those of the mesh's addresses that proxies use for a service, IPv4 first."""
    of_family = ((virtual.ipv4, False), (virtual.ipv6, True))
    return tuple(address for address, ipv6 in of_family if wants_address(service, ipv6=ipv6))


def is_answered(service: Service) -> bool:
    """True if Envoy can answer for the host at all."""
    host = service.hostname
    if host.startswith("*"):
        return host.startswith("*.") and "." in host[2:]
    return not _is_address(host)


def is_known_outside(service: Service) -> bool:
    """True if resolvers may know addresses of a service that has none here: one outside of the mesh, or any of many."""
    if _is_address(service.hostname):
        return False
    return service.location is Location.MESH_EXTERNAL or service.hostname.startswith("*")


def answers(
    service: Service,
    virtual: VirtualAddresses,
    endpoints: Iterable[Endpoint] = (),
    *,
    ipv6: bool = False,
    at: str = "",
) -> tuple[str, ...]:
    """The addresses by which programs reach a service; none leaves its name to the resolvers.

    They are of the proxy's own family (``ipv6``) if that can be had, since only such connections are redirected to it.
    ``at`` is where a sidecar without redirection listens, for every service that it can find by itself.
    """
    if not is_answered(service):
        return ()
    if at and service.resolution is not Resolution.NONE:
        return _in_both_forms((at,))
    if wants_address(service, ipv6=ipv6):
        return (virtual.ipv6, virtual.ipv4) if ipv6 else _in_both_forms((virtual.ipv4,))
    if service.addresses:
        declared = _own(service, ipv6=ipv6) or _own(service, ipv6=not ipv6)
        return _in_both_forms([each for each in declared if "/" not in each])
    listed = [each for each in endpoints if _is_address(each.address)]
    healthy = [each for each in listed if each.health is Health.HEALTHY]
    return _in_both_forms(sorted({each.address for each in healthy or listed}))


def spoken_names(hostname: str, client_namespace: str, domain: str) -> tuple[str, ...]:
    """The names by which clients of a namespace look a host up, its own first, in lower case."""
    others = alternative_names(hostname, client_namespace, domain)
    names = (hostname, *(name for name in others if not name.endswith(".")))
    return tuple(dict.fromkeys(name.lower() for name in names))


def virtual_domain(name: str, addresses: Sequence[str]) -> bytes:
    """A name of the table, encoded as a field of it."""
    entry = DnsTable.DnsVirtualDomain(name=name)
    entry.endpoint.address_list.address.extend(addresses)
    entry.answer_ttl.seconds = TTL_SECONDS
    body: bytes = entry.SerializeToString(deterministic=True)
    return field_bytes(_number(DnsTable, "virtual_domains"), body)


def dns_listener(
    address: str, port: int, domains: Iterable[bytes], resolvers: Sequence[str] = (), *, forwards: bool = True
) -> bytes:
    """The encoded listener, joined from encoded names: what is not among them is asked of ``resolvers``, or is not there
    unless it ``forwards``.

    These are IP addresses with ports (``10.0.0.2:53``); without any, they are those of the proxy's own machine.
    """
    table = DnsTable(external_retry_count=_RETRIES).SerializeToString() + b"".join(domains)
    server = field_bytes(_number(DnsFilterConfig.ServerContextConfig, "inline_dns_table"), table)
    config = DnsFilterConfig(stat_prefix=DNS_LISTENER)
    if forwards:
        config.client_config.CopyFrom(_client(resolvers))
    packed = _joined(config, "server_config", server)
    kind = Any(type_url=f"type.googleapis.com/{DnsFilterConfig.DESCRIPTOR.full_name}")
    dns_filter = _joined(ListenerFilter(name=DNS_FILTER), "typed_config", _joined(kind, "value", packed))
    socket = SocketAddress(protocol=SocketAddress.UDP, address=address, port_value=port)
    listener = Listener(
        name=DNS_LISTENER,
        address=Address(socket_address=socket),
        traffic_direction=TrafficDirection.OUTBOUND,
    )
    return _joined(listener, "listener_filters", dns_filter)


def _client(resolvers: Sequence[str]) -> DnsFilterConfig.ClientContextConfig:
    """How names are asked for that the mesh does not have: as they are, since programs add search domains themselves."""
    cares = CaresDnsResolverConfig()
    for each in resolvers:
        host, _, port = each.rpartition(":")
        cares.resolvers.append(
            Address(socket_address=SocketAddress(address=host.strip("[]"), port_value=int(port)))
        )
    cares.dns_resolver_options.no_default_search_domain = True
    typed = TypedExtensionConfig(name=_RESOLVER)
    typed.typed_config.Pack(cares, deterministic=True)
    client = DnsFilterConfig.ClientContextConfig(
        typed_dns_resolver_config=typed, max_pending_lookups=_PENDING
    )
    client.resolver_timeout.seconds = _RESOLVER_SECONDS
    return client


def _joined(message: DnsFilterConfig | Any | ListenerFilter | Listener, name: str, body: bytes) -> bytes:
    """A message with one more field that is encoded already."""
    head: bytes = message.SerializeToString(deterministic=True)
    return head + field_bytes(_number(type(message), name), body)


def _number(message: type, field: str) -> int:
    number: int = message.DESCRIPTOR.fields_by_name[field].number  # type: ignore[attr-defined]
    return number


def _own(service: Service, *, ipv6: bool) -> list[str]:
    """The declared addresses of a family, ranges included."""
    return [each for each in service.addresses if (":" in each) == ipv6 and each not in _UNSPECIFIED]


def _in_both_forms(addresses: Sequence[str]) -> tuple[str, ...]:
    """IPv4 addresses also as IPv6 ones, unless there are such."""
    if any(":" in each for each in addresses):
        return tuple(addresses)
    return (*addresses, *(f"::ffff:{each}" for each in addresses))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
