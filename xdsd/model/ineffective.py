"""What DestinationRules, Gateways and Sidecars say in vain, or in part: settings that need others beside them.

Such an object is valid and applied. Its author should know what it does not do.
"""

from collections.abc import Iterator

from xdsd.model.intent import (
    DestinationRule,
    Gateway,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    PortTrafficPolicy,
    ServerTLSSettings,
    Sidecar,
    SimpleLB,
    TrafficPolicy,
    ZoneAwareLoadBalancerSetting,
)
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

_WEIGHTLESS = {SimpleLB.RANDOM: "RANDOM", SimpleLB.PASSTHROUGH: "PASSTHROUGH"}


def ineffective_settings(
    rule: DestinationRule, ref: ObjectRef, *, checked: bool = False
) -> Iterator[Problem]:
    """Warnings about settings of a rule that need others, in the order of their paths.

    ``checked`` tells whether proxies ask the host's endpoints whether they are well.
    """
    base = rule.traffic_policy
    yield from _policy(base, "spec.trafficPolicy", checked, checked, ref)
    watched = checked or (base is not None and base.outlier_detection is not None)
    for index, subset in enumerate(rule.subsets):
        yield from _policy(
            subset.traffic_policy, f"spec.subsets[{index}].trafficPolicy", watched, checked, ref
        )


def ineffective_ports(sidecar: Sidecar, ref: ObjectRef) -> Iterator[Problem]:
    """Warnings about ports behind the listeners of a Sidecar, which the published API has but gives no meaning."""
    for index, listener in enumerate(sidecar.ingress):
        if listener.port.target_port is not None:
            why = "has no effect; name the program's port with defaultEndpoint"
            yield _warning(Reason.CONFLICT, why, f"spec.ingress[{index}].port.targetPort", ref)
        yield from _certificates(listener.tls, f"spec.ingress[{index}]", ref)
    for index, egress in enumerate(sidecar.egress):
        if egress.port is not None and egress.port.target_port is not None:
            why = "has no effect; connections go to the ports that their services declare"
            yield _warning(Reason.CONFLICT, why, f"spec.egress[{index}].port.targetPort", ref)


def ineffective_servers(gateway: Gateway, ref: ObjectRef) -> Iterator[Problem]:
    """Warnings about what the published API has for servers of a Gateway and gives no meaning."""
    for index, server in enumerate(gateway.servers):
        place = f"spec.servers[{index}]"
        if server.port.target_port is not None:
            why = (
                "has no effect: gateways listen on the port's number, and VirtualServices say where it leads"
            )
            yield _warning(Reason.CONFLICT, why, f"{place}.port.targetPort", ref)
        yield from _certificates(server.tls, place, ref)


def _certificates(tls: ServerTLSSettings | None, place: str, ref: ObjectRef) -> Iterator[Problem]:
    why = "has no effect: clients are verified alike whatever the certificate that they see, by tls.caCertificates"
    for at, pair in enumerate(tls.tls_certificates if tls else ()):
        if pair.ca_certificates:
            yield _warning(Reason.CONFLICT, why, f"{place}.tls.tlsCertificates[{at}].caCertificates", ref)


def _policy(
    policy: TrafficPolicy | None, path: str, watched: bool, checked: bool, ref: ObjectRef
) -> Iterator[Problem]:
    """``watched`` tells whether the destination's endpoints are, ``checked`` whether those of each port are."""
    if policy is None:
        return
    yield from _balancer(policy, watched or policy.outlier_detection is not None, path, ref)
    for index, port in enumerate(policy.port_level_settings):
        known = checked or port.outlier_detection is not None
        yield from _balancer(port, known, f"{path}.portLevelSettings[{index}]", ref)


def _balancer(
    policy: TrafficPolicy | PortTrafficPolicy, watched: bool, path: str, ref: ObjectRef
) -> Iterator[Problem]:
    balancer = policy.load_balancer
    if balancer is None:
        return
    place = f"{path}.loadBalancer"
    near = "localityLbSetting" if balancer.locality_lb_setting else "zoneAwareLbSetting"
    setting = balancer.locality_lb_setting or balancer.zone_aware_lb_setting
    if setting is not None and balancer.simple is SimpleLB.PASSTHROUGH:
        why = "has no effect: PASSTHROUGH leaves no choice of endpoints"
        yield _warning(Reason.CONFLICT, why, f"{place}.{near}", ref)
    elif setting is not None and not watched and _fails_over(setting):
        why = (
            "fails over from endpoints that the platform calls unhealthy alone; give outlierDetection too, or a"
            " HealthCheck of the host, so that those that fail are left"
        )
        yield _warning(Reason.MISSING_FIELD, why, f"{place}.{near}", ref)
    for field in ("warmup", "warmup_duration_secs"):
        weightless = _weightless(balancer)
        if getattr(balancer, field) is not None and weightless:
            name = "warmup" if field == "warmup" else "warmupDurationSecs"
            why = f"has no effect with {weightless}; write simple ROUND_ROBIN or LEAST_REQUEST"
            yield _warning(Reason.CONFLICT, why, f"{place}.{name}", ref)


def _fails_over(setting: LocalityLoadBalancerSetting | ZoneAwareLoadBalancerSetting) -> bool:
    if setting.enabled is False:
        return False
    if isinstance(setting, LocalityLoadBalancerSetting):
        return not setting.distribute
    return bool(setting.failover or setting.failover_priority)


def _weightless(balancer: LoadBalancerSettings) -> str:
    """The balancing policy that knows no weights, and so nothing of warm-up; empty for others."""
    if balancer.consistent_hash is not None:
        return "consistentHash"
    return _WEIGHTLESS.get(balancer.simple, "") if balancer.simple else ""


def _warning(reason: Reason, message: str, path: str, ref: ObjectRef) -> Problem:
    return Problem(reason, message, ref, path, severity=Severity.WARNING)
