"""What filters are told: the rules of RBAC filters for requests and for connections."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac

from xdsd.compile.authorization.conditions import Domains
from xdsd.compile.authorization.rules import AnyPolicy, kept, rules
from xdsd.model.intent import Action

TRIED: Mapping[Action, str] = MappingProxyType(
    {Action.ALLOW: "istio_dry_run_allow_", Action.DENY: "istio_dry_run_deny_"}
)
"""How the metrics of policies that only count begin."""

STATISTICS = "tcp."


def http_guard(policies: Iterable[AnyPolicy], action: Action, domains: Domains) -> http_rbac.RBAC:
    """What the filter of an action is told about requests. Without policies it lets everything pass."""
    return _told(http_rbac.RBAC(), policies, action, domains, http=True)


def network_guard(policies: Iterable[AnyPolicy], action: Action, domains: Domains) -> network_rbac.RBAC:
    """The same about connections that are not HTTP."""
    return _told(network_rbac.RBAC(stat_prefix=STATISTICS), policies, action, domains, http=False)


def _told(config: Any, policies: Iterable[AnyPolicy], action: Action, domains: Domains, *, http: bool) -> Any:
    found = kept(policies, action)
    if found.enforced:
        config.rules.CopyFrom(rules(found.enforced, action, domains, http=http))
    if found.tried and action is not Action.AUDIT:
        config.shadow_rules.CopyFrom(rules(found.tried, action, domains, http=http))
        config.shadow_rules_stat_prefix = TRIED[action]
    return config
