"""Which policies are for a workload."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from xdsd.model.intent import AuthorizationPolicy, Object, PolicyTargetReference, RequestAuthentication
from xdsd.model.intent.authorization_policy import DRY_RUN, dry_run
from xdsd.model.intent.policy_target import GATEWAY_NAME

Policy = Object[AuthorizationPolicy]


@dataclass(frozen=True, slots=True)
class Subject:
    """A workload or gateway. ``gateways`` are the Gateways (namespace and name) at which a request arrives."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    gateways: frozenset[tuple[str, str]] = frozenset()


def applying(policies: Iterable[Policy], subject: Subject, root: str) -> tuple[Policy, ...]:
    """The policies for a subject, those of the ``root`` namespace and older ones first."""
    found = [each for each in policies if _is_for(each, subject, root)]
    return tuple(sorted(found, key=lambda each: (each.metadata.namespace != root, each.age)))


def tokens_for(
    authentications: Iterable[Object[RequestAuthentication]], subject: Subject, root: str
) -> tuple[Object[RequestAuthentication], ...]:
    """The RequestAuthentications for a subject; all of them count together."""
    return tuple(each for each in authentications if _is_for(each, subject, root))


def dry_runs(policy: Policy) -> bool:
    """True if a policy only counts."""
    return bool(dry_run(policy.metadata.annotations.get(DRY_RUN)))


def _is_for(obj: Policy | Object[RequestAuthentication], subject: Subject, root: str) -> bool:
    namespace, spec = obj.metadata.namespace, obj.spec
    if spec.targets:
        return any(_targets(each, namespace, subject) for each in spec.targets)
    wanted = spec.selector.match_labels if spec.selector else {}
    return namespace in (root, subject.namespace) and wanted.items() <= dict(subject.labels).items()


def _targets(target: PolicyTargetReference, namespace: str, subject: Subject) -> bool:
    if target.group == "networking.istio.io":
        return (namespace, target.name) in subject.gateways
    return namespace == subject.namespace and subject.labels.get(GATEWAY_NAME) == target.name
