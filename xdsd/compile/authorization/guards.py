"""What filters are told: the rules of RBAC filters for requests and for connections."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from envoy.config.rbac.v3.rbac_pb2 import RBAC
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac

from xdsd.compile.authorization.conditions import Domains
from xdsd.compile.authorization.rules import AnyPolicy, asking, kept, rules
from xdsd.model.intent import Action

TRIED: Mapping[Action, str] = MappingProxyType(
    {Action.ALLOW: "istio_dry_run_allow_", Action.DENY: "istio_dry_run_deny_"}
)
"""How the metrics of policies that only count begin."""

AUDITED = "istio_audit_"
"""The same of what is audited."""

REVOKED = "revoked"
"""How the rule is called that refuses identities that are revoked."""

STATISTICS = "tcp."
UNKNOWN_PROVIDER = "-deny-due-to-bad-CUSTOM-action"
"""How the names of rules end whose provider nobody declared."""


def http_guard(policies: Iterable[AnyPolicy], action: Action, domains: Domains) -> http_rbac.RBAC:
    """What the filter of an action is told about requests. Without policies it lets everything pass."""
    return _told(http_rbac.RBAC(), policies, action, domains, http=True)


def network_guard(policies: Iterable[AnyPolicy], action: Action, domains: Domains) -> network_rbac.RBAC:
    """The same about connections that are not HTTP."""
    return _told(network_rbac.RBAC(stat_prefix=STATISTICS), policies, action, domains, http=False)


def refused_custom(config: Any, policies: Iterable[AnyPolicy], domains: Domains, *, http: bool) -> Any:
    """Adds to what the filter of DENY is told the rules whose providers nobody declared: what they match is refused."""
    made = rules(policies, Action.CUSTOM, domains, http=http, suffix=UNKNOWN_PROVIDER)
    if made.policies:
        config.rules.action = made.action
        for name, policy in made.policies.items():
            config.rules.policies[name].CopyFrom(policy)
    return config


def refused_identities(config: Any, identities: Iterable[str]) -> Any:
    """Adds to what the filter of DENY is told that nobody of these identities gets in, whatever other policies say."""
    names = tuple(identities)
    if names:
        config.rules.action = RBAC.DENY
        policy = config.rules.policies[REVOKED]
        policy.permissions.add(any=True)
        for name in names:
            policy.principals.add().authenticated.principal_name.exact = name
    return config


def http_choice(policies: Iterable[AnyPolicy], provider: str, domains: Domains) -> http_rbac.RBAC:
    """What finds out whether a provider is asked about a request."""
    return _choice(http_rbac.RBAC(), policies, provider, domains, http=True)


def network_choice(policies: Iterable[AnyPolicy], provider: str, domains: Domains) -> network_rbac.RBAC:
    """The same about a connection that is not HTTP."""
    made = network_rbac.RBAC(stat_prefix=STATISTICS)
    return _choice(made, policies, provider, domains, http=False)


def _choice(
    config: Any, policies: Iterable[AnyPolicy], provider: str, domains: Domains, *, http: bool
) -> Any:
    config.shadow_rules.CopyFrom(rules(asking(policies, provider), Action.CUSTOM, domains, http=http))
    config.shadow_rules_stat_prefix = chosen_by(provider)
    return config


def chosen_by(provider: str) -> str:
    """How the metadata and metrics of a choice begin."""
    return f"istio_ext_authz_{provider}_"


def _name_audited(config: Any) -> None:
    """Has the filter count what is audited, and leave the rule's name: by itself it only marks that something was."""
    if config.HasField("rules"):
        config.shadow_rules.CopyFrom(config.rules)
        config.shadow_rules.action = RBAC.ALLOW
        config.shadow_rules_stat_prefix = AUDITED


def _told(config: Any, policies: Iterable[AnyPolicy], action: Action, domains: Domains, *, http: bool) -> Any:
    found = kept(policies, action)
    if found.enforced:
        config.rules.CopyFrom(rules(found.enforced, action, domains, http=http))
    if action is Action.AUDIT:
        _name_audited(config)
    elif found.tried:
        config.shadow_rules.CopyFrom(rules(found.tried, action, domains, http=http))
        config.shadow_rules_stat_prefix = TRIED[action]
    return config
