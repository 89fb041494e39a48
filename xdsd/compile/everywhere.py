"""Clusters of names that mean the same service in all meshes: this mesh first, then the others by where they are.

What a DestinationRule or the MeshConfig says of outliers and localities counts; these are the defaults. Envoy leaves a
priority only as far as its endpoints are ejected or ill, so endpoints that fail are ejected soon, all of them if need be.
They come back after some seconds, and after longer each time that they fail again: that keeps traffic from going to and
fro, and it is longer than it takes until registries, machines' own probes and HealthChecks have told who is gone, so that
no request has to find out whether somebody is back. Between data centres nobody tells that a cable is cut: so what takes
long to connect, and what is sent and not taken, counts as failed.

Requests are tried again where it is sure that no program saw them: they were not sent, or a sidecar says that it could not
hand them on (``unreached``). A program's own 503 is its answer, as in the published default.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from xdsd.compile.defaults import PolicyDefaults, completed_pool
from xdsd.compile.load_balancing import is_passthrough
from xdsd.compile.locality import BY_LOCALITY, Nearness, nearness_of
from xdsd.compile.policy import Policy
from xdsd.compile.retries import DEFAULT_RETRY_ON
from xdsd.model.catalog import BEHIND
from xdsd.model.global_names import is_global
from xdsd.model.intent import HTTPRetry, OutlierDetection

FAILURES = 3
INTERVAL = timedelta(seconds=1)
EJECTED = timedelta(seconds=10)
LONGEST_EJECTION = timedelta(seconds=30)
LAST_RESORT = 1
"""Where all have failed all are tried: the percentage of healthy endpoints below which ejections do not count."""

CONNECTING = PolicyDefaults(connect_timeout=timedelta(seconds=2))
UNANSWERED = timedelta(seconds=5)
RETRIES = HTTPRetry(
    attempts=3,
    retry_on=f"{DEFAULT_RETRY_ON},reset-before-request,retriable-headers",
    retry_remote_localities=True,
)
"""Of what never arrived; each further attempt goes to another mesh, if there is one."""


def with_failover(policy: Policy) -> Policy:
    """A cluster's policy, with the detection of outliers by which it leaves what fails, and with short patience."""
    pool = completed_pool(policy.connection_pool, CONNECTING)
    policy = replace(policy, connection_pool=pool, unanswered=UNANSWERED)
    if policy.outlier_detection is not None:
        return policy
    outliers = OutlierDetection(
        consecutive_gateway_errors=FAILURES,
        consecutive_5xx_errors=0,
        interval=INTERVAL,
        base_ejection_time=EJECTED,
        max_ejection_percent=100,
        min_health_percent=LAST_RESORT,
    )
    return replace(policy, outlier_detection=outliers, longest_ejection=LONGEST_EJECTION)


def retries_for(hosts: Iterable[str], said: HTTPRetry | None) -> HTTPRetry | None:
    """The retries of a route that names none itself; ``said`` is what the mesh says, None: nothing."""
    return RETRIES if said is None and any(map(is_global, hosts)) else said


def nearness_everywhere(policy: Policy) -> Nearness | None:
    """What such a cluster prefers: endpoints of this mesh before gateways of others, unless a rule divides the traffic
    between localities, balances zones, or switches preference off (``enabled: false``): then all are alike.
    """
    balancer = policy.load_balancer
    found = nearness_of(policy)
    if found is None:
        said = balancer is not None and balancer.locality_lb_setting is not None
        if said or is_passthrough(balancer):
            return None
        found = BY_LOCALITY
    if found.shares or (balancer is not None and balancer.zone_aware_lb_setting is not None):
        return found
    return replace(found, labels=((BEHIND, ""), *found.labels))
