"""Which credentials objects name."""

from collections.abc import Iterator

from xdsd.model.credential import credential_name
from xdsd.model.intent import ClientTLSMode, ClientTLSSettings, DestinationRule, TrafficPolicy


def uses_credential(settings: ClientTLSSettings | None) -> bool:
    """True if a credential takes the place of files."""
    return (
        settings is not None
        and bool(settings.credential_name)
        and settings.mode in {ClientTLSMode.SIMPLE, ClientTLSMode.MUTUAL}
    )


def selects_workloads(rule: DestinationRule) -> bool:
    """True if a rule says for which workloads it is."""
    return rule.workload_selector is not None and bool(rule.workload_selector.match_labels)


def rule_credentials(rule: DestinationRule) -> Iterator[str]:
    """The credentials that a rule names."""
    yield from _policy_credentials(rule.traffic_policy)
    for subset in rule.subsets:
        yield from _policy_credentials(subset.traffic_policy)


def _policy_credentials(policy: TrafficPolicy | None) -> Iterator[str]:
    if policy is None:
        return
    for settings in (policy.tls, *(port.tls for port in policy.port_level_settings)):
        if settings is not None and uses_credential(settings):
            yield credential_name(settings.credential_name or "")
