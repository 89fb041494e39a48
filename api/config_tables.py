"""A proxy's resources as rows of a table, in the columns that ``istioctl proxy-config`` taught people to read.

Each function takes decoded messages of one type (Envoy's generated classes, hence Any) and yields rows of
text; an empty cell is ``-``. Filters are plain comparisons over the rows, done by ``matching``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

Decode = Callable[[Any], Any]

NONE = "-"


class Table(NamedTuple):
    """A type's columns; those behind ``narrow`` are shown with ``-o wide`` alone.

    Rows are sorted by the first ``sorted_by`` columns; among equal ones the order is the resource's own,
    which for routes decides.
    """

    columns: tuple[str, ...]
    narrow: int
    sorted_by: int = 3


CLUSTERS = Table(("SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "CLUSTER"), 5)
LISTENERS = Table(("ADDRESS", "PORT", "MATCH", "DESTINATION", "LISTENER"), 4)
ROUTES = Table(
    ("NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE", "FIELD", "DESTINATION"),
    narrow=5,
    sorted_by=2,
)
ENDPOINTS = Table(("ENDPOINT", "STATUS", "CLUSTER", "WEIGHT", "LOCALITY", "PRIORITY"), 3)

NAMES = Table(("NAME", "ADDRESSES"), narrow=2, sorted_by=1)

_MANY_DOMAINS = 1
_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_DNS_FILTER = "envoy.extensions.filters.udp.dns_filter.v3.DnsFilterConfig"
_TCP_PROXY = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"


def matching(
    rows: Iterable[tuple[str, ...]], table: Table, wanted: Mapping[str, str]
) -> list[tuple[str, ...]]:
    """The rows whose named columns equal what is wanted (an empty wish is none), sorted."""
    at = {table.columns.index(column): value.lower() for column, value in wanted.items() if value}
    found = (row for row in rows if all(row[index].lower() == value for index, value in at.items()))
    return sorted(found, key=lambda row: row[: table.sorted_by])


def cluster_rows(clusters: Iterable[Any]) -> Iterator[tuple[str, ...]]:
    """Rows of CLUSTERS."""
    for cluster in clusters:
        direction, port, subset, host = _cluster_name(cluster.name)
        kind = cluster.DiscoveryType.Name(cluster.type)
        yield (host or NONE, port or NONE, subset or NONE, direction or NONE, kind, cluster.name)


def listener_rows(listeners: Iterable[Any], decode: Decode) -> Iterator[tuple[str, ...]]:
    """Rows of LISTENERS, one a filter chain."""
    for listener in listeners:
        where = listener.address.socket_address
        address = where.address or listener.address.pipe.path or NONE
        port = str(where.port_value) if where.port_value else NONE
        for chain in _chains(listener):
            yield (address, port, _chain_match(chain), _chain_destination(chain, decode), listener.name)
        if any(_answers_dns(part) for part in listener.listener_filters):
            yield (address, port, "UDP", "DNS", listener.name)


def name_rows(listeners: Iterable[Any], decode: Decode) -> Iterator[tuple[str, ...]]:
    """Rows of NAMES: what a proxy answers programs that look names up."""
    for listener in listeners:
        for part in filter(_answers_dns, listener.listener_filters):
            for domain in decode(part.typed_config).server_config.inline_dns_table.virtual_domains:
                yield (domain.name, ",".join(domain.endpoint.address_list.address))


def _answers_dns(listener_filter: Any) -> bool:
    return bool(listener_filter.typed_config.TypeName() == _DNS_FILTER)


def route_rows(routes: Iterable[Any]) -> Iterator[tuple[str, ...]]:
    """Rows of ROUTES, one a route."""
    for table in routes:
        for host in table.virtual_hosts:
            for route in host.routes or (None,):
                if route is None:
                    yield (table.name or NONE, host.name, _domains(host), NONE, NONE, NONE, NONE)
                    continue
                owner, field = _origin(route)
                match, target = _route_match(route.match), _route_target(route)
                yield (table.name or NONE, host.name, _domains(host), match, owner, field, target)


def discovered_routes(tables: Iterable[Any], hosts: Iterable[Any]) -> Iterator[Any]:
    """The route tables, each with the virtual hosts that proxies discover for it, ``TABLE/HOST``, by their short names."""
    found: dict[str, list[Any]] = {}
    for host in hosts:
        table, _, host.name = host.name.rpartition("/")
        found.setdefault(table, []).append(host)
    for table in tables:
        table.virtual_hosts.extend(found.get(table.name, ()))
        yield table


def inline_routes(listeners: Iterable[Any], decode: Decode) -> Iterator[Any]:
    """The route tables that stand inside listeners."""
    for listener in listeners:
        for chain in _chains(listener):
            for part in chain.filters:
                if part.typed_config.TypeName() == _HCM:
                    manager = decode(part.typed_config)
                    if manager.HasField("route_config"):
                        yield manager.route_config


def endpoint_rows(assignments: Iterable[Any]) -> Iterator[tuple[str, ...]]:
    """Rows of ENDPOINTS."""
    for assignment in assignments:
        for group in assignment.endpoints:
            parts = (group.locality.region, group.locality.zone, group.locality.sub_zone)
            locality = "/".join(part for part in parts if part) or NONE
            for host in group.lb_endpoints:
                weight = str(host.load_balancing_weight.value or 1)
                yield (
                    socket_text(host.endpoint.address),
                    _health(host),
                    assignment.cluster_name,
                    weight,
                    locality,
                    str(group.priority),
                )


def socket_text(address: Any) -> str:
    """``10.0.0.1:80``, ``[::1]:80`` or ``unix:///path``."""
    if address.HasField("pipe"):
        return f"unix://{address.pipe.path}"
    host, port = address.socket_address.address, address.socket_address.port_value
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _cluster_name(name: str) -> tuple[str, str, str, str]:
    """Direction, port, subset, host; a name that is built otherwise stands where the host would."""
    parts = name.split("|")
    return (parts[0], parts[1], parts[2], parts[3]) if len(parts) == 4 else ("", "", "", name)


def _health(host: Any) -> str:
    name: str = (
        type(host)
        .DESCRIPTOR.fields_by_name["health_status"]
        .enum_type.values_by_number[host.health_status]
        .name
    )
    return "HEALTHY" if name == "UNKNOWN" else name


def _chains(listener: Any) -> list[Any]:
    default = [listener.default_filter_chain] if listener.HasField("default_filter_chain") else []
    return [*listener.filter_chains, *default]


def _chain_match(chain: Any) -> str:
    match = chain.filter_chain_match
    found = []
    if match.server_names:
        found.append(f"SNI: {','.join(match.server_names)}")
    if match.transport_protocol:
        found.append(f"Trans: {match.transport_protocol}")
    if match.application_protocols:
        found.append(f"App: {','.join(match.application_protocols)}")
    port = f":{match.destination_port.value}" if match.HasField("destination_port") else ""
    ranges = [f"{part.address_prefix}/{part.prefix_len.value}" for part in match.prefix_ranges]
    if ranges or port:
        found.append(f"Addr: {','.join(ranges) or '*'}{port}")
    return "; ".join(found) or "ALL"


def _chain_destination(chain: Any, decode: Decode) -> str:
    for part in chain.filters:
        name = part.typed_config.TypeName()
        if name == _HCM:
            manager = decode(part.typed_config)
            if manager.HasField("rds"):
                return f"Route: {manager.rds.route_config_name}"
            return f"Inline Route: {manager.route_config.name or NONE}"
        if name == _TCP_PROXY:
            proxy = decode(part.typed_config)
            if proxy.cluster:
                return f"Cluster: {proxy.cluster}"
            weighted = (f"{item.name} ({item.weight})" for item in proxy.weighted_clusters.clusters)
            return f"Clusters: {', '.join(weighted)}"
    return NONE


def _domains(host: Any) -> str:
    more = len(host.domains) - _MANY_DOMAINS
    shown = ", ".join(host.domains[:_MANY_DOMAINS])
    return f"{shown} + {more} more" if more > 0 else shown or NONE


def _route_match(match: Any) -> str:
    kind = match.WhichOneof("path_specifier")
    if kind == "safe_regex":
        path = f"regex {match.safe_regex.regex}"
    elif kind in {"prefix", "path_separated_prefix"}:
        path = f"{getattr(match, kind)}*"
    else:
        path = str(getattr(match, kind)) if kind else "*"
    extra = [f"header {header.name}" for header in match.headers]
    extra += [f"query {query.name}" for query in match.query_parameters]
    return f"{path} ({', '.join(extra)})" if extra else path


def _route_target(route: Any) -> str:
    action = route.WhichOneof("action")
    if action == "redirect":
        return "redirect"
    if action == "direct_response":
        return f"status {route.direct_response.status}"
    if action != "route":
        return NONE
    kind = route.route.WhichOneof("cluster_specifier")
    if kind == "weighted_clusters":
        parts = route.route.weighted_clusters.clusters
        return ", ".join(f"{part.name} ({part.weight.value})" for part in parts)
    return str(getattr(route.route, kind)) if kind else NONE


def _origin(route: Any) -> tuple[str, str]:
    """Which object and field made a route: ``reviews.default``, ``spec.http[0]``; it stands in the metadata."""
    about = route.metadata.filter_metadata
    field = str(about["xdsd"]["field"]) if "xdsd" in about and "field" in about["xdsd"] else NONE
    if "istio" not in about or "config" not in about["istio"]:
        return NONE, field
    parts = str(about["istio"]["config"]).split("/")
    return (f"{parts[-1]}.{parts[-3]}" if len(parts) > 3 else NONE), field
