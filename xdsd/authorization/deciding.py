"""What the policies of a workload decide together."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from xdsd.authorization.applying import Policy, dry_runs
from xdsd.authorization.facts import Facts
from xdsd.authorization.judging import Domains, Failure, failures
from xdsd.model.intent import Action
from xdsd.model.problem import ObjectRef


class Effect(StrEnum):
    """What becomes of a request."""

    ALLOW = "ALLOW"
    DENY = "DENY"


class Why(StrEnum):
    """What decided."""

    DENIED = "a DENY policy matches"
    ALLOWED = "an ALLOW policy matches"
    NO_POLICY = "no ALLOW policy is for the workload"
    NOT_ALLOWED = "no ALLOW policy matches"


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that matches."""

    policy: ObjectRef
    rule: int
    action: Action
    provider: str = ""

    def __str__(self) -> str:
        return f"{self.policy} rules[{self.rule}]"


@dataclass(frozen=True, slots=True)
class Miss:
    """A rule that does not match, and what keeps it from matching."""

    policy: ObjectRef
    rule: int
    action: Action
    failures: tuple[Failure, ...]

    def __str__(self) -> str:
        return f"{self.policy} rules[{self.rule}]"


@dataclass(frozen=True, slots=True)
class Decision:
    """``by`` is the rule that decided, if one did. ``asked`` are the rules by which providers have a say before; only they
    can turn ALLOW into a refusal. ``audited`` matched AUDIT rules, ``tried`` those of dry runs. ``nearest`` is the rule that
    would have decided otherwise and failed by the fewest conditions: an ALLOW rule where none matches, else a DENY rule.
    """

    effect: Effect
    why: Why
    by: Match | None = None
    asked: tuple[Match, ...] = ()
    audited: tuple[Match, ...] = ()
    tried: tuple[Match, ...] = ()
    nearest: Miss | None = None


def decide(policies: Iterable[Policy], facts: Facts, *, domains: Domains = ("cluster.local",)) -> Decision:
    """What policies that are all for one workload decide; ``domains`` is its trust domain and the aliases of that."""
    policies = tuple(policies)
    real = [each for each in policies if not dry_runs(each)]
    tried = tuple(match for each in policies if dry_runs(each) for match in _matches(each, facts, domains))
    asked = tuple(_all(real, Action.CUSTOM, facts, domains))
    audited = tuple(_all(real, Action.AUDIT, facts, domains))
    denied = _all(real, Action.DENY, facts, domains)
    if denied:
        return Decision(Effect.DENY, Why.DENIED, denied[0], asked, audited, tried)
    allowing = [each for each in real if each.spec.effect is Action.ALLOW]
    if not allowing:
        nearest = _nearest(real, Action.DENY, facts, domains)
        return Decision(Effect.ALLOW, Why.NO_POLICY, None, asked, audited, tried, nearest)
    allowed = _all(allowing, Action.ALLOW, facts, domains)
    if allowed:
        nearest = _nearest(real, Action.DENY, facts, domains)
        return Decision(Effect.ALLOW, Why.ALLOWED, allowed[0], asked, audited, tried, nearest)
    nearest = _nearest(allowing, Action.ALLOW, facts, domains)
    return Decision(Effect.DENY, Why.NOT_ALLOWED, None, asked, audited, tried, nearest)


def _all(policies: Iterable[Policy], action: Action, facts: Facts, domains: Domains) -> list[Match]:
    """The rules with this action that match: in the order in which Envoy names them, that of their names."""
    found = [
        match for each in policies if each.spec.effect is action for match in _matches(each, facts, domains)
    ]
    return sorted(found, key=lambda each: policy_id(each.policy, each.rule))


def _matches(policy: Policy, facts: Facts, domains: Domains) -> Iterable[Match]:
    spec, namespace = policy.spec, policy.metadata.namespace
    for index, rule in enumerate(spec.rules):
        if failures(rule, spec.effect, facts, namespace=namespace, domains=domains) == ():
            yield Match(policy.ref, index, spec.effect, spec.provider.name if spec.provider else "")


def _nearest(policies: Iterable[Policy], action: Action, facts: Facts, domains: Domains) -> Miss | None:
    best: Miss | None = None
    for policy in policies:
        if policy.spec.effect is not action:
            continue
        for index, rule in enumerate(policy.spec.rules):
            found = failures(rule, action, facts, namespace=policy.metadata.namespace, domains=domains)
            if found and (best is None or len(found) < len(best.failures)):
                best = Miss(policy.ref, index, action, found)
    return best


def policy_id(ref: ObjectRef, rule: int) -> str:
    """How Envoy names a rule in response code details and logs."""
    return f"ns[{ref.namespace}]-policy[{ref.name}]-rule[{rule}]"
