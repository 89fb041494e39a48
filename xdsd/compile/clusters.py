"""One port of a service becomes one cluster, so does each subset of it, and each port of a workload.

Endpoints of a resolved service come by EDS, so that a change of endpoints is never a change of the cluster.
EDS waits without limit for them: an updated cluster serves its old endpoints until the new ones are in, and
giving up after Envoy's 15 seconds would put an empty cluster in the place of one that works. Hosts that Envoy
itself looks up stand inline.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.extensions.clusters.common.dns.v3.dns_pb2 import DnsLookupFamily
from envoy.extensions.clusters.dns.v3.dns_cluster_pb2 import DnsCluster

from xdsd.compile.dynamic_forward import is_dynamic, resolve_dynamically
from xdsd.compile.endpoints import UNIX_SCHEME, Takes, load_assignment, selected, set_address
from xdsd.compile.health_checks import apply_health_check, asked_host, why_unchecked
from xdsd.compile.load_balancing import apply_load_balancer, apply_outlier_detection, is_passthrough
from xdsd.compile.locality import NOWHERE, Place, apply_locality, nearness_of
from xdsd.compile.mesh_tls import Peers, mesh_alpn, mesh_client_tls, mesh_sni
from xdsd.compile.names import (
    BLACK_HOLE_CLUSTER,
    FORWARD_CLUSTER,
    INBOUND_PASSTHROUGH_CLUSTER,
    PASSTHROUGH_CLUSTER,
    inbound_cluster_name,
    parse_cluster_name,
    short_name,
    stat_name,
)
from xdsd.compile.object_metadata import note_turn
from xdsd.compile.policy import DEFAULT_POLICY, Policy
from xdsd.compile.upstream import (
    apply_connection_pool,
    apply_http_options,
    apply_passthrough_http_options,
    apply_patience,
    speaks_http2,
)
from xdsd.compile.upstream_tls import apply_transport, is_automatic, passes_name_on, uses_mesh, with_names
from xdsd.model.catalog import Endpoint, Location, Port, Protocol, Resolution, Service
from xdsd.model.intent import ConnectionPoolSettings, HealthCheck
from xdsd.model.mesh import SYSTEM_CA

INBOUND_SOURCE_IPV4 = "127.0.0.6"
INBOUND_SOURCE_IPV6 = "::6"
_DNS = frozenset({Resolution.DNS, Resolution.DNS_ROUND_ROBIN})

DNS_CLUSTER = "envoy.cluster.dns"
DNS_REFRESH = timedelta(seconds=60)
DNS_RETRY = timedelta(seconds=1)
DNS_RETRY_MAX = timedelta(seconds=10)


def outbound_cluster(
    name: str,
    service: Service,
    port: Port,
    policy: Policy = DEFAULT_POLICY,
    endpoints: Sequence[Endpoint] = (),
    *,
    subset_labels: Mapping[str, str] | None = None,
    intercepted: bool = True,
    system_ca: str = SYSTEM_CA,
    place: Place = NOWHERE,
    check: HealthCheck | None = None,
    refresh: timedelta | None = None,
    peers: Peers | None = None,
    closed: bool = False,
    mutual: Takes | None = None,
    negotiates: bool = False,
) -> Cluster:
    """The way to one port of a service, or to the endpoints of it that have ``subset_labels``.

    ``endpoints`` matter only where Envoy resolves names itself (DNS resolution); others come by EDS under
    ``name``. ``intercepted`` is False for a proxy that cannot see where its client wanted to go (a gateway, a
    sidecar without redirection): a service without resolution then has the endpoints that it lists.
    ``system_ca`` is where proxies find the authorities that their system trusts, ``place`` where they are: it matters
    where ``endpoints`` do. ``check`` is how endpoints are asked whether they are well; whatever ``why_unchecked`` has
    something against goes without. ``refresh`` is how often names are looked up anew; None is the default. ``peers``
    are whom endpoints may be that proxies of the mesh stand before; None for a proxy that has no certificate to show
    them: where mutual TLS is asked for it reaches nobody. Nor does a ``closed`` one, whose credential is not there;
    it does not wait for that. ``mutual`` says which of ``endpoints`` take mutual TLS of the mesh. What HTTP is spoken over
    TLS is agreed on with the server where ``negotiates``.
    """
    policy = replace(policy, tls=with_names(policy.tls, service.subject_alt_names))
    if closed:
        policy = replace(policy, tls=None)
    cluster = Cluster(name=name, alt_stat_name=stat_name(name))
    if discovers_endpoints(service, policy, intercepted=intercepted):
        _resolve_by_eds(cluster)
    elif service.resolution in _DNS and not is_passthrough(policy.load_balancer):
        hosts = _looked_up(service, endpoints, subset_labels)
        check_port = (check.endpoint_port or 0) if check else 0
        nearness = nearness_of(policy, regional=service.regional)
        assigned = load_assignment(name, port, hosts, None, nearness, place, check_port, mutual)
        _resolve_by_dns(cluster, service, assigned, refresh)
    elif service.resolution is Resolution.DYNAMIC_DNS and not is_passthrough(policy.load_balancer):
        resolve_dynamically(cluster)
    else:
        cluster.type = Cluster.ORIGINAL_DST
        if service.resolution is Resolution.NONE and port.target != port.number:
            cluster.original_dst_lb_config.upstream_port_override.value = port.target
    apply_connection_pool(cluster, policy.connection_pool, policy.retry_budget)
    apply_http_options(cluster, port.protocol, policy, negotiates=negotiates)
    if not is_dynamic(cluster):
        apply_load_balancer(cluster, policy.load_balancer)
    if cluster.type != Cluster.ORIGINAL_DST and not is_dynamic(cluster):
        apply_locality(cluster, policy)
    apply_outlier_detection(cluster, policy.outlier_detection)
    apply_patience(cluster, policy)
    http2 = speaks_http2(port.protocol, policy)
    asked = ""
    if check is not None and not why_unchecked(cluster, check, port.protocol, policy):
        apply_health_check(cluster, check, service.hostname, port.protocol, policy)
        asked = asked_host(check, service.hostname) if port.protocol.is_http else ""
    mesh = None
    if peers is not None and (
        uses_mesh(policy.tls) or (is_automatic(policy.tls) and _may_match(cluster, service))
    ):
        mesh = _mesh_socket(name, port, policy, peers, http2=http2)
        note_turn(cluster.metadata, peers.turn)
    apply_transport(
        cluster,
        policy.tls,
        policy.proxy_protocol,
        http2=http2,
        system_ca=system_ca,
        checked_host=asked,
        mesh=mesh,
    )
    if closed or (peers is None and uses_mesh(policy.tls)):
        _lead_nowhere(cluster)
    _describe(cluster, name, service)
    return cluster


def _may_match(cluster: Any, service: Service) -> bool:
    """True if it can be known of endpoints whether they take mutual TLS of the mesh."""
    known = cluster.type != Cluster.ORIGINAL_DST and not is_dynamic(cluster)
    return known and service.location is Location.MESH_INTERNAL


def _mesh_socket(name: str, port: Port, policy: Policy, peers: Peers, *, http2: bool) -> Any:
    """Mutual TLS of the mesh; a rule may say which name to ask for and who answers."""
    tls = policy.tls if uses_mesh(policy.tls) else None
    if tls is not None and tls.subject_alt_names:
        peers = Peers(tls.subject_alt_names)
    sni = (tls.sni if tls is not None else None) or mesh_sni(name)
    sni = "" if passes_name_on(tls) else sni
    return mesh_client_tls(sni, peers, mesh_alpn(port.protocol, http2=http2))


def _lead_nowhere(cluster: Any) -> None:
    """Takes away how endpoints are found."""
    for field in ("cluster_type", "eds_cluster_config", "original_dst_lb_config", "load_assignment"):
        cluster.ClearField(field)
    cluster.type = Cluster.STATIC
    if cluster.lb_policy == Cluster.CLUSTER_PROVIDED:
        cluster.lb_policy = Cluster.ROUND_ROBIN


def discovers_endpoints(
    service: Service, policy: Policy = DEFAULT_POLICY, *, intercepted: bool = True
) -> bool:
    """True if the service's clusters get their endpoints by EDS: these need a load assignment, if an empty one."""
    if is_passthrough(policy.load_balancer) or service.resolution in (*_DNS, Resolution.DYNAMIC_DNS):
        return False
    return service.resolution is Resolution.STATIC or not intercepted


def inbound_cluster(
    port: int,
    address: str,
    endpoint_port: int,
    connection_pool: ConnectionPoolSettings | None = None,
    protocol: Protocol = Protocol.TCP,
) -> Cluster:
    """The way from a sidecar to its own program, which listens at ``address`` (``unix:///path`` too).

    With an empty ``address`` it is where callers meant to go, before redirection. Connections to an address other than
    loopback come from 127.0.0.6, which redirection leaves alone; they would loop back into the sidecar otherwise.
    """
    name = inbound_cluster_name(port)
    cluster = Cluster(name=name, alt_stat_name=stat_name(name))
    if address:
        cluster.type = Cluster.STATIC
        cluster.load_assignment.cluster_name = name
        host = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
        set_address(host.address, address, endpoint_port)
    else:
        cluster.type = Cluster.ORIGINAL_DST
        cluster.lb_policy = Cluster.CLUSTER_PROVIDED
    apply_connection_pool(cluster, connection_pool)
    apply_http_options(cluster, protocol, Policy(connection_pool), upgradable=False)
    if not address or _needs_source(address):
        _leave_redirection(cluster)
    return cluster


def passthrough_cluster(pool: ConnectionPoolSettings | None = None) -> Cluster:
    """Where traffic to unknown destinations goes: on to where it wanted to go."""
    cluster = Cluster(
        name=PASSTHROUGH_CLUSTER,
        alt_stat_name=stat_name(PASSTHROUGH_CLUSTER),
        type=Cluster.ORIGINAL_DST,
        lb_policy=Cluster.CLUSTER_PROVIDED,
    )
    apply_connection_pool(cluster, pool)
    apply_passthrough_http_options(cluster)
    return cluster


def forward_cluster(pool: ConnectionPoolSettings | None = None) -> Cluster:
    """Where an HTTP proxy sends hosts that nobody declared: they are looked up, and asked in plaintext."""
    cluster = Cluster(name=FORWARD_CLUSTER, alt_stat_name=stat_name(FORWARD_CLUSTER))
    resolve_dynamically(cluster)
    apply_connection_pool(cluster, pool)
    apply_passthrough_http_options(cluster)
    return cluster


def inbound_passthrough_cluster(pool: ConnectionPoolSettings | None = None) -> Cluster:
    """The workload's ports that no service declares; redirection leaves its source address alone."""
    cluster = passthrough_cluster(pool)
    cluster.name = INBOUND_PASSTHROUGH_CLUSTER
    cluster.alt_stat_name = stat_name(INBOUND_PASSTHROUGH_CLUSTER)
    _leave_redirection(cluster)
    return cluster


def _leave_redirection(cluster: Any) -> None:
    """Gives connections a source address by which redirection knows them for the sidecar's own."""
    bind = cluster.upstream_bind_config
    bind.source_address.address = INBOUND_SOURCE_IPV4
    bind.source_address.port_value = 0
    extra = bind.extra_source_addresses.add().address
    extra.address = INBOUND_SOURCE_IPV6
    extra.port_value = 0


def black_hole_cluster() -> Cluster:
    """Where traffic ends that must not go anywhere: a cluster without endpoints."""
    cluster = Cluster(
        name=BLACK_HOLE_CLUSTER, alt_stat_name=stat_name(BLACK_HOLE_CLUSTER), type=Cluster.STATIC
    )
    apply_connection_pool(cluster, None)
    return cluster


def _resolve_by_eds(cluster: Any) -> None:
    cluster.type = Cluster.EDS
    cluster.eds_cluster_config.service_name = cluster.name
    source = cluster.eds_cluster_config.eds_config
    source.ads.SetInParent()
    source.resource_api_version = ApiVersion.V3
    source.initial_fetch_timeout.SetInParent()


def _looked_up(
    service: Service, endpoints: Sequence[Endpoint], subset_labels: Mapping[str, str] | None
) -> list[Endpoint]:
    """The names that Envoy resolves: those of the endpoints, or the service's own."""
    if not endpoints and service.selector is None:
        endpoints = (Endpoint(service.hostname),)
    return [item for item in endpoints if selected(item, subset_labels)]


def _resolve_by_dns(cluster: Any, service: Service, assigned: Any, refresh: timedelta | None) -> None:
    """A cluster of names. Only one name alone can be looked up anew for each connection.

    Answers say how long they hold; ``refresh`` is for those that do not, and for names that have none.
    """
    cluster.load_assignment.CopyFrom(assigned)
    hosts = [host for group in assigned.endpoints for host in group.lb_endpoints]
    dns = DnsCluster(
        respect_dns_ttl=True,
        dns_lookup_family=DnsLookupFamily.V4_PREFERRED,
        all_addresses_in_single_endpoint=service.resolution is Resolution.DNS_ROUND_ROBIN and len(hosts) == 1,
    )
    dns.dns_refresh_rate.FromTimedelta(refresh or DNS_REFRESH)
    retry = dns.dns_failure_refresh_rate
    retry.base_interval.FromTimedelta(min(DNS_RETRY, refresh or DNS_RETRY))
    retry.max_interval.FromTimedelta(refresh or DNS_RETRY_MAX)
    cluster.cluster_type.name = DNS_CLUSTER
    cluster.cluster_type.typed_config.Pack(dns, deterministic=True)


def _needs_source(address: str) -> bool:
    if address.startswith(UNIX_SCHEME):
        return False
    ip = ipaddress.ip_address(address)
    return ip.version == 4 and not ip.is_loopback


def _describe(cluster: Any, name: str, service: Service) -> None:
    """Says in the cluster's metadata whose it is, where tools and telemetry filters look for it."""
    about = cluster.metadata.filter_metadata["istio"]
    about.update(
        {
            "services": [
                {
                    "host": service.hostname,
                    "name": short_name(service.hostname),
                    "namespace": service.namespace,
                }
            ]
        }
    )
    parsed = parse_cluster_name(name)
    if parsed is not None and parsed.subset:
        about.update({"subset": parsed.subset})
