"""The MeshConfig's values as queries, each read by what depends on it and by nothing else."""

from datetime import timedelta

from xdsd.compile.defaults import PolicyDefaults, completed_pool, with_defaults
from xdsd.compile.everywhere import nearness_everywhere, retries_for, with_failover
from xdsd.compile.graph import Graph
from xdsd.compile.locality import BY_SPREAD, Nearness, nearness_of, speaks_of_places
from xdsd.compile.policy import Policy, effective_policy
from xdsd.compile.resolve import merged_rule
from xdsd.compile.world import read_mesh_default, read_service
from xdsd.model.catalog import Resolution, ServiceKey, Spread
from xdsd.model.global_names import is_global
from xdsd.model.intent import ConnectionPoolSettings, HTTPRetry, InboundTrafficPolicyMode, MeshH2UpgradePolicy
from xdsd.model.problem import ObjectRef


def policy_defaults(graph: Graph) -> PolicyDefaults:
    """What clusters are given."""
    blocks = read_mesh_default(graph, "default_traffic_policy")
    return PolicyDefaults(
        connect_timeout=read_mesh_default(graph, "connect_timeout"),
        tcp_keepalive=read_mesh_default(graph, "tcp_keepalive"),
        upgrade=read_mesh_default(graph, "h2_upgrade_policy") is MeshH2UpgradePolicy.UPGRADE,
        connection_pool=blocks.connection_pool if blocks else None,
        outlier_detection=blocks.outlier_detection if blocks else None,
        locality=read_mesh_default(graph, "locality_lb_setting"),
        zone_aware=read_mesh_default(graph, "zone_aware_lb_setting"),
    )


def cluster_policy(
    graph: Graph, rules: tuple[ObjectRef, ...], port: int, subset: str = "", host: str = ""
) -> Policy:
    """How a cluster treats its endpoints. Clusters without rules all do it alike, but for those of a ``host`` that has its
    name in all meshes.
    """
    if is_global(host):
        return graph.ask(_policy_everywhere, rules, port, subset)
    if not rules:
        return graph.ask(ruleless_policy)
    return graph.ask(_ruled_policy, rules, port, subset)


def _policy_everywhere(graph: Graph, rules: tuple[ObjectRef, ...], port: int, subset: str) -> Policy:
    return with_failover(cluster_policy(graph, rules, port, subset))


def ruleless_policy(graph: Graph) -> Policy:
    """The policy of clusters that no DestinationRule is for."""
    return with_defaults(Policy(), graph.ask(policy_defaults))


def _ruled_policy(graph: Graph, rules: tuple[ObjectRef, ...], port: int, subset: str) -> Policy:
    own = effective_policy(graph.ask(merged_rule, rules), port, subset)
    return with_defaults(own, graph.ask(policy_defaults))


def cluster_nearness(
    graph: Graph, rules: tuple[ObjectRef, ...], port: int, subset: str, key: ServiceKey | None = None
) -> Nearness | None:
    """What a cluster prefers among its endpoints, or any one without ``key``; None if all are alike."""
    if key is not None and is_global(key.hostname):
        return graph.ask(_nearness_everywhere, rules, port, subset)
    regional, spread = graph.ask(platform_word, key) if key is not None else (False, Spread.ALL)
    if spread in BY_SPREAD and (not rules or not graph.ask(_speaks_of_places, rules, port, subset)):
        return BY_SPREAD[spread]
    if rules:
        return graph.ask(_nearness, rules, port, subset, regional)
    return graph.ask(ruleless_nearness, regional)


def platform_word(graph: Graph, key: ServiceKey) -> tuple[bool, Spread]:
    """Whether a service prefers the own region of each caller, where neither a rule nor a default of the mesh's speaks of
    places; and among which of its endpoints it has callers spread, which must be discovered one by one.
    """
    service = read_service(graph, key)
    if service is None:
        return False, Spread.ALL
    static = service.resolution is Resolution.STATIC and not is_global(key.hostname)
    return service.regional, service.spread if static else Spread.ALL


def _speaks_of_places(graph: Graph, rules: tuple[ObjectRef, ...], port: int, subset: str) -> bool:
    """Whether DestinationRules themselves do, whatever the mesh's defaults are."""
    return speaks_of_places(effective_policy(graph.ask(merged_rule, rules), port, subset))


def ruleless_nearness(graph: Graph, regional: bool) -> Nearness | None:
    """What clusters prefer that no DestinationRule is for."""
    return nearness_of(graph.ask(ruleless_policy), regional=regional)


def _nearness_everywhere(
    graph: Graph, rules: tuple[ObjectRef, ...], port: int, subset: str
) -> Nearness | None:
    return nearness_everywhere(cluster_policy(graph, rules, port, subset))


def _nearness(
    graph: Graph, rules: tuple[ObjectRef, ...], port: int, subset: str, regional: bool
) -> Nearness | None:
    return nearness_of(cluster_policy(graph, rules, port, subset), regional=regional)


def passthrough_pool(graph: Graph) -> ConnectionPoolSettings | None:
    """The pool of connections to where strangers are."""
    defaults = graph.ask(policy_defaults)
    return completed_pool(defaults.connection_pool, defaults)


def inbound_pool(graph: Graph, own: ConnectionPoolSettings | None) -> ConnectionPoolSettings | None:
    """The pool of connections to a program, which has the mesh's timeout; ``own`` is its Sidecar's."""
    return completed_pool(own, PolicyDefaults(connect_timeout=read_mesh_default(graph, "connect_timeout")))


def dns_refresh(graph: Graph) -> timedelta | None:
    """How often names are looked up anew."""
    found: timedelta | None = read_mesh_default(graph, "dns_refresh_rate")
    return found


def default_retries(graph: Graph, host: str = "") -> HTTPRetry | None:
    """The retries of routes that say nothing of them; None is the published default. Those to a ``host`` that has its name
    in all meshes go to another mesh in the end.
    """
    found: HTTPRetry | None = read_mesh_default(graph, "default_http_retry_policy")
    return retries_for((host,), found)


def is_local(graph: Graph) -> bool:
    """True if programs are at 127.0.0.1, wherever callers meant them to be."""
    policy = read_mesh_default(graph, "inbound_traffic_policy")
    return policy is not None and policy.mode is InboundTrafficPolicyMode.LOCALHOST
