"""What a DestinationRule's settings of connections mean for the ports that its service really has."""

from collections.abc import Iterator, Sequence

from xdsd.compile.route_references import Broken
from xdsd.compile.upstream_tls import originates_tls
from xdsd.model.catalog import Port
from xdsd.model.intent import ClientTLSSettings, DestinationRule, TrafficPolicy
from xdsd.model.problem import Reason


def settings_in_vain(rule: DestinationRule, host: str, ports: Sequence[Port]) -> Iterator[Broken]:
    """What of a rule has another effect on the ports of ``host`` than one may think."""
    yield from _policy(rule.traffic_policy, "spec.trafficPolicy", host, ports)
    for index, subset in enumerate(rule.subsets):
        yield from _policy(subset.traffic_policy, f"spec.subsets[{index}].trafficPolicy", host, ports)


def _policy(policy: TrafficPolicy | None, path: str, host: str, ports: Sequence[Port]) -> Iterator[Broken]:
    if policy is None:
        return
    if policy.tunnel is not None and all(port.protocol.is_http for port in ports):
        why = f"has no effect: every port of {host} is HTTP, and only TCP and TLS connections go through tunnels"
        yield Broken(f"{path}.tunnel", why, Reason.CONFLICT)
    own = {item.port.number for item in policy.port_level_settings if item.port is not None}
    rest = [port for port in ports if port.number not in own]
    yield from _tls(policy.tls, f"{path}.tls", rest)
    for index, item in enumerate(policy.port_level_settings):
        chosen = [port for port in ports if item.port is not None and port.number == item.port.number]
        yield from _tls(item.tls, f"{path}.portLevelSettings[{index}].tls", chosen)


def _tls(tls: ClientTLSSettings | None, path: str, ports: Sequence[Port]) -> Iterator[Broken]:
    if tls is None or not originates_tls(tls):
        return
    wrapped = next((port for port in ports if port.protocol.is_tls), None)
    if wrapped is not None:
        why = (
            f"wraps TLS in TLS: on port {wrapped.number} ({wrapped.protocol}) clients encrypt themselves; declare the port"
            " as HTTP, or take this out"
        )
        yield Broken(path, why, Reason.CONFLICT)
    opaque = next((port for port in ports if not port.protocol.is_http and not port.protocol.is_tls), None)
    verified = tls.sni or tls.subject_alt_names or tls.insecure_skip_verify
    if opaque is not None and not verified:
        why = (
            f"takes the certificate of any host: connections to port {opaque.number} ({opaque.protocol}) name none; give sni"
            " and subjectAltNames"
        )
        yield Broken(path, why, Reason.MISSING_FIELD)
