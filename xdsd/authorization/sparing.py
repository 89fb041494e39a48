"""At which workloads nobody of an identity can be, as policies let it in nowhere: none of its connections need end there.

Who asks is all that counts here: a rule that also looks at requests, ports or addresses may let somebody in, and denies
nobody for sure. Policies for gateways spare nothing.
"""

from collections.abc import Callable, Iterable, Sequence

from xdsd.authorization.applying import Policy, dry_runs
from xdsd.authorization.comparing import account_fits, domain_fits, namespace_fits, principal_fits
from xdsd.authorization.judging import Domains
from xdsd.model.intent import Action, Condition, Rule, Source
from xdsd.model.shut_out import NONE_SPARED, Scope, Spared

MOST_SCOPES = 500
"""More than that are not kept: then nobody is spared."""
_CANDIDATES = 5_000
_WHO = ("principals", "namespaces", "service_accounts", "trust_domains")


def sparing(
    policies: Iterable[Policy],
    identities: Sequence[str],
    *,
    domains: Domains,
    root: str,
    recent: Iterable[Policy] = (),
) -> Spared:
    """Who is spared when these (SPIFFE ids of one account, in the mesh's trust domain and its aliases) are shut out.

    ``domains`` are the mesh's trust domain and its aliases, ``root`` is its root namespace. ``recent`` are policies that are
    not known to have been as they are for long, and what they were before.
    """
    denied: list[Scope] = []
    closed: list[Scope] = []
    admitting: list[Scope] = []
    for policy in policies:
        if dry_runs(policy) or policy.spec.targets:
            continue
        namespace, scope, rules = policy.metadata.namespace, _scope(policy, root), policy.spec.rules
        if policy.spec.effect is Action.ALLOW:
            admits = any(_may(rule, each, namespace, domains) for rule in rules for each in identities)
            (admitting if admits else closed).append(scope)
        elif policy.spec.effect is Action.DENY and all(
            any(_must(rule, each, namespace, domains) for rule in rules) for each in identities
        ):
            denied.append(scope)
    return _short(
        Spared(tuple(denied), tuple(closed), tuple(admitting), tuple(_scope(each, root) for each in recent))
    )


def _scope(policy: Policy, root: str) -> Scope:
    namespace, selector = policy.metadata.namespace, policy.spec.selector
    labels = selector.match_labels if selector else {}
    return Scope("" if namespace == root else namespace, tuple(sorted(labels.items())))


def _short(spared: Spared) -> Spared:
    """The same, without what other scopes say already."""
    if _size(spared) > _CANDIDATES:
        return NONE_SPARED
    denied, closed = _widest(spared.denied), _widest(spared.closed)
    if not denied and not closed:
        return NONE_SPARED
    admitting = (each for each in spared.admitting if any(_may_meet(each, other) for other in closed))
    recent = (each for each in spared.recent if any(_may_meet(each, other) for other in (*denied, *closed)))
    found = Spared(denied, closed, _widest(admitting), _widest(recent))
    return found if _size(found) <= MOST_SCOPES else NONE_SPARED


def _size(spared: Spared) -> int:
    return len(spared.denied) + len(spared.closed) + len(spared.admitting) + len(spared.recent)


def _may_meet(one: Scope, other: Scope) -> bool:
    return not one.namespace or not other.namespace or one.namespace == other.namespace


def _widest(scopes: Iterable[Scope]) -> tuple[Scope, ...]:
    found: list[Scope] = []
    for scope in sorted(set(scopes), key=lambda each: (len(each.labels), each)):
        if not any(each.holds(scope) for each in found):
            found.append(scope)
    return tuple(found)


def _may(rule: Rule, peer: str, namespace: str, domains: Domains) -> bool:
    """Whether a rule can match requests of somebody."""
    sources = [each.source for each in rule.from_]
    if sources and not any(_fits(each, peer, namespace, domains) for each in sources):
        return False
    return all(_holds(each, peer, domains) is not False for each in rule.when)


def _must(rule: Rule, peer: str, namespace: str, domains: Domains) -> bool:
    """Whether a rule matches whatever somebody asks for."""
    if rule.to or not all(_holds(each, peer, domains) for each in rule.when):
        return False
    sources = [each.source for each in rule.from_]
    return not sources or any(
        _asks_who_alone(each) and _fits(each, peer, namespace, domains) for each in sources
    )


def _asks_who_alone(source: Source) -> bool:
    known = {f"{no}{name}" for name in _WHO for no in ("", "not_")}
    return not any(getattr(source, name) for name in type(source).model_fields if name not in known)


def _fits(source: Source, peer: str, namespace: str, domains: Domains) -> bool:
    """Whether what a source says of identities holds of one."""
    compare: dict[str, Callable[[str], bool]] = {
        "principals": lambda value: principal_fits(value, peer, domains),
        "namespaces": lambda value: namespace_fits(value, peer),
        "service_accounts": lambda value: account_fits(value, peer, namespace),
        "trust_domains": lambda value: domain_fits(value, peer, domains),
    }
    for name in _WHO:
        wanted, others = getattr(source, name), getattr(source, f"not_{name}")
        if (wanted and not any(map(compare[name], wanted))) or any(map(compare[name], others)):
            return False
    return True


def _holds(condition: Condition, peer: str, domains: Domains) -> bool | None:
    """Whether a condition holds of an identity; None where that depends on something else."""
    compare: Callable[[str], bool]
    if condition.key == "source.principal":
        compare = lambda value: principal_fits(value, peer, domains)  # noqa: E731 - one of two
    elif condition.key == "source.namespace":
        compare = lambda value: namespace_fits(value, peer)  # noqa: E731 - one of two
    else:
        return None
    wanted, others = condition.values, condition.not_values
    return (not wanted or any(map(compare, wanted))) and not any(map(compare, others))
