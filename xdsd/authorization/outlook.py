"""What policies decide about a caller whatever it asks for: always allowed, never, or it depends on the request."""

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum

from xdsd.authorization.applying import Policy, dry_runs
from xdsd.authorization.facts import Facts
from xdsd.authorization.judging import Domains, failures
from xdsd.model.intent import Action, Rule
from xdsd.model.intent.authorization_policy import From, To
from xdsd.model.intent.authorization_values import CLAIMS, HEADERS, map_key


class Outlook(StrEnum):
    """What a caller may expect."""

    ALLOW = "ALLOW"
    SOME = "SOME"
    DENY = "DENY"


class _Chance(StrEnum):
    """Whether a rule matches requests of a caller."""

    NONE = "none"
    SOME = "some"
    ALL = "all"


def outlook(policies: Iterable[Policy], facts: Facts, *, domains: Domains) -> Outlook:
    """What policies that are all for one workload mean for a caller; of ``facts`` only what is known of its connection
    counts. On a port that is not HTTP it is one or the other.
    """
    real = [each for each in policies if not dry_runs(each)]
    found = {action: _best(real, action, facts, domains) for action in Action}
    allowing = any(each.spec.effect is Action.ALLOW for each in real)
    allowed = found[Action.ALLOW] if allowing else _Chance.ALL
    if found[Action.DENY] is _Chance.ALL or allowed is _Chance.NONE:
        return Outlook.DENY
    unsure = _Chance.SOME in (found[Action.DENY], allowed) or found[Action.CUSTOM] is not _Chance.NONE
    return Outlook.SOME if unsure else Outlook.ALLOW


def _best(policies: Iterable[Policy], action: Action, facts: Facts, domains: Domains) -> _Chance:
    chances = [
        _chance(rule, action, facts, policy.metadata.namespace, domains)
        for policy in policies
        if policy.spec.effect is action
        for rule in policy.spec.rules
    ]
    if _Chance.ALL in chances:
        return _Chance.ALL
    return _Chance.SOME if _Chance.SOME in chances else _Chance.NONE


def _chance(rule: Rule, action: Action, facts: Facts, namespace: str, domains: Domains) -> _Chance:
    if facts.request is None:
        plain = failures(rule, action, facts, namespace=namespace, domains=domains)
        return _Chance.ALL if plain == () else _Chance.NONE
    # Of a rule that denies connections, what is left is what requests cannot change.
    bare = replace(facts, request=None)
    best = _Chance.NONE
    for source in rule.from_ or (None,):
        for operation in rule.to or (None,):
            one = _part(rule, source, operation)
            if failures(one, Action.DENY, bare, namespace=namespace, domains=domains) != ():
                continue
            if not _asks_of_requests(one):
                return _Chance.ALL
            best = _Chance.SOME
    return best


def _part(rule: Rule, source: From | None, operation: To | None) -> Rule:
    """A rule with one of its sources and one of its operations."""
    if len(rule.from_) <= 1 and len(rule.to) <= 1:
        return rule
    return rule.model_copy(
        update={"from_": (source,) if source else (), "to": (operation,) if operation else ()}
    )


def _asks_of_requests(rule: Rule) -> bool:
    operations = any(
        getattr(each.operation, f"{prefix}{name}")
        for each in rule.to
        for name in ("hosts", "methods", "paths")
        for prefix in ("", "not_")
    )
    sources = any(each.source.request_principals or each.source.not_request_principals for each in rule.from_)
    conditions = any(
        map_key(each.key)[0] in (HEADERS, CLAIMS) or each.key.startswith("request.auth.")
        for each in rule.when
    )
    return operations or sources or conditions
