"""The MeshConfig's values as queries, each read by what depends on it and by nothing else."""

from datetime import timedelta

from xdsd.compile.defaults import PolicyDefaults, completed_pool, with_defaults
from xdsd.compile.graph import Graph
from xdsd.compile.locality import Nearness, nearness_of
from xdsd.compile.policy import Policy, effective_policy
from xdsd.compile.resolve import merged_rule
from xdsd.compile.world import read_mesh_default
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


def cluster_policy(graph: Graph, rules: tuple[ObjectRef, ...], port: int, subset: str = "") -> Policy:
    """How a cluster treats its endpoints. Clusters without rules all do it alike."""
    if not rules:
        return graph.ask(ruleless_policy)
    return graph.ask(_ruled_policy, rules, port, subset)


def ruleless_policy(graph: Graph) -> Policy:
    """The policy of clusters that no DestinationRule is for."""
    return with_defaults(Policy(), graph.ask(policy_defaults))


def _ruled_policy(graph: Graph, rules: tuple[ObjectRef, ...], port: int, subset: str) -> Policy:
    own = effective_policy(graph.ask(merged_rule, rules), port, subset)
    return with_defaults(own, graph.ask(policy_defaults))


def cluster_nearness(graph: Graph, rules: tuple[ObjectRef, ...], port: int, subset: str) -> Nearness | None:
    """What a cluster prefers among its endpoints; None if all are alike."""
    return graph.ask(_nearness, rules, port, subset) if rules else graph.ask(ruleless_nearness)


def ruleless_nearness(graph: Graph) -> Nearness | None:
    """What clusters prefer that no DestinationRule is for."""
    return nearness_of(graph.ask(ruleless_policy))


def _nearness(graph: Graph, rules: tuple[ObjectRef, ...], port: int, subset: str) -> Nearness | None:
    return nearness_of(cluster_policy(graph, rules, port, subset))


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


def default_retries(graph: Graph) -> HTTPRetry | None:
    """The retries of routes that say nothing of them; None is the published default."""
    found: HTTPRetry | None = read_mesh_default(graph, "default_http_retry_policy")
    return found


def is_local(graph: Graph) -> bool:
    """True if programs are at 127.0.0.1, wherever callers meant them to be."""
    policy = read_mesh_default(graph, "inbound_traffic_policy")
    return policy is not None and policy.mode is InboundTrafficPolicyMode.LOCALHOST
