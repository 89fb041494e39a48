"""What a DestinationRule's settings of connections mean for the ports that its service really has."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from xdsd.compile.route_references import Broken
from xdsd.compile.upstream_tls import originates_tls
from xdsd.model.catalog import Port
from xdsd.model.intent import ClientTLSSettings, DestinationRule, LoadBalancerSettings, TrafficPolicy
from xdsd.model.problem import Reason

_OF_REQUESTS: Mapping[str, str] = MappingProxyType(
    {
        "http_header_name": "httpHeaderName",
        "http_cookie": "httpCookie",
        "http_query_parameter_name": "httpQueryParameterName",
    }
)


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
    yield from _hash(policy.load_balancer, f"{path}.loadBalancer", host, rest)
    for index, item in enumerate(policy.port_level_settings):
        chosen = [port for port in ports if item.port is not None and port.number == item.port.number]
        place = f"{path}.portLevelSettings[{index}]"
        yield from _tls(item.tls, f"{place}.tls", chosen)
        yield from _hash(item.load_balancer, f"{place}.loadBalancer", host, chosen)


def _hash(
    balancer: LoadBalancerSettings | None, path: str, host: str, ports: Sequence[Port]
) -> Iterator[Broken]:
    """Connections that are carried unread have no headers, cookies or parameters to be told by."""
    hashing = balancer.consistent_hash if balancer else None
    if hashing is None or not ports or any(port.protocol.carries_http for port in ports):
        return
    for field, name in _OF_REQUESTS.items():
        if getattr(hashing, field) is not None:
            numbers = ", ".join(f"{port.number} ({port.protocol})" for port in ports)
            why = f"has no effect: no request is read at {host}, port {numbers}; connections are told by useSourceIp alone"
            yield Broken(f"{path}.consistentHash.{name}", why, Reason.CONFLICT)


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
