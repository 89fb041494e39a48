"""Policies with one action as the rules of one filter."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from envoy.config.rbac.v3.rbac_pb2 import RBAC, Policy

from xdsd.compile.authorization.conditions import (
    Domains,
    HttpOnlyError,
    Terms,
    operation_permission,
    source_principal,
)
from xdsd.model.intent import Action, AuthorizationPolicy, Object, Operation, Rule, Source
from xdsd.model.intent.authorization_policy import DRY_RUN, dry_run

AnyPolicy = Object[AuthorizationPolicy]

_ACTIONS: Mapping[Action, int] = MappingProxyType(
    {Action.ALLOW: RBAC.ALLOW, Action.DENY: RBAC.DENY, Action.AUDIT: RBAC.LOG, Action.CUSTOM: RBAC.DENY}
)


class Kept(NamedTuple):
    """The policies of one action: those that are enforced, and those that only count."""

    enforced: tuple[AnyPolicy, ...]
    tried: tuple[AnyPolicy, ...]


def asking(policies: Iterable[AnyPolicy], provider: str) -> tuple[AnyPolicy, ...]:
    """The policies by which a provider is asked."""
    custom = kept(policies, Action.CUSTOM).enforced
    return tuple(each for each in custom if each.spec.provider and each.spec.provider.name == provider)


def kept(policies: Iterable[AnyPolicy], action: Action) -> Kept:
    """The policies with this action."""
    found = [each for each in policies if each.spec.effect is action]
    tried = tuple(each for each in found if is_tried(each))
    return Kept(tuple(each for each in found if each not in tried), tried)


def is_tried(policy: AnyPolicy) -> bool:
    """True for a policy whose annotation says that it only counts."""
    return bool(dry_run(policy.metadata.annotations.get(DRY_RUN)))


def rule_name(policy: AnyPolicy, index: int) -> str:
    """What proxies call a rule in response code details, access logs and metrics."""
    return f"ns[{policy.metadata.namespace}]-policy[{policy.metadata.name}]-rule[{index}]"


def rules(
    policies: Iterable[AnyPolicy], action: Action, domains: Domains, *, http: bool, suffix: str = ""
) -> RBAC:
    """What policies with one action say. ALLOW without a rule that can match allows nothing.

    On connections that are not HTTP an ALLOW rule with fields of HTTP is left out, since it never matches; of other actions'
    rules what is left counts. ``suffix`` ends the rules' names.
    """
    found = RBAC(action=_ACTIONS[action])
    for policy in policies:
        lenient = action is not Action.ALLOW
        terms = Terms(policy.metadata.namespace, domains, http, lenient)
        for index, rule in enumerate(policy.spec.rules):
            try:
                made = _policy(rule, terms)
            except HttpOnlyError:
                continue
            found.policies[rule_name(policy, index) + suffix].CopyFrom(made)
    return found


def _policy(rule: Rule, terms: Terms) -> Policy:
    sources: list[Source | None] = [each.source for each in rule.from_] or [None]
    operations: list[Operation | None] = [each.operation for each in rule.to] or [None]
    return Policy(
        principals=[source_principal(source, rule.when, terms) for source in sources],
        permissions=[operation_permission(operation, rule.when, terms) for operation in operations],
    )
