"""From what a node says of itself to the proxy that the compiler knows."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from xdsd.compile.dns import DNS_PORT
from xdsd.model.gateway_topology import UNSAID, WORD, GatewayTopology, read_topology
from xdsd.model.mesh import Interception, Proxy, Role
from xdsd.model.node import ClaimRefused, Node, NodeRefused
from xdsd.model.started import METADATA

_FORM = "ROLE~ADDRESS~NAME.NAMESPACE~DOMAIN, such as sidecar~10.0.0.1~reviews-v1.default~default.svc.cluster.local"

_LONGEST = 200

_DISCOVERS_HOSTS = (1, 40)
"""The first Envoy that was seen to discover virtual hosts on an aggregated stream without a failed request; those of 2025
refuse a route configuration that says so.
"""


def proxy_of(node: Node) -> Proxy:
    """The proxy that a node describes. Raises NodeRefused, saying what its bootstrap should have."""
    parts = node.id.split("~")
    if len(parts) != 4:
        raise NodeRefused(f"node id {_shown(node.id)} is not of the form {_FORM}")
    role, address, instance, domain = parts
    if role not in set(Role):
        raise NodeRefused(f"node id {_shown(node.id)} begins with {_shown(role)}; use {' or '.join(Role)}")
    name, dot, namespace = instance.rpartition(".")
    if not dot or not name or not namespace:
        raise NodeRefused(f"node id {_shown(node.id)} names {_shown(instance)}; use NAME.NAMESPACE")
    metadata = node.metadata
    _check_claims(node, namespace)
    locality = "/".join((node.locality.region, node.locality.zone, node.locality.sub_zone)).rstrip("/")
    return Proxy(
        node_id=node.key,
        role=Role(role),
        address=address,
        name=name,
        namespace=_text(metadata, "NAMESPACE") or namespace,
        domain=domain,
        labels=_labels(metadata),
        cluster=_text(metadata, "CLUSTER_ID"),
        network=_text(metadata, "NETWORK"),
        locality=locality,
        interception=_interception(metadata),
        http_proxy_port=_port(metadata, "HTTP_PROXY_PORT"),
        bind=_text(metadata, "OUTBOUND_BIND"),
        dns=_dns(metadata, address),
        metadata={key: value for key, value in metadata.items() if isinstance(value, str)},
        start=_start(metadata),
        topology=_topology(metadata) if role == Role.ROUTER else UNSAID,
        identity=node.identity,
        vhds=node.incremental and _is_envoy(node, _DISCOVERS_HOSTS),
    )


def _is_envoy(node: Node, least: tuple[int, int]) -> bool:
    """True if the node says that it is an Envoy of this version or a later one."""
    match = re.match(r"(\d{1,4})\.(\d{1,4})\.", node.version)
    return node.user_agent == "envoy" and match is not None and (int(match[1]), int(match[2])) >= least


def _check_claims(node: Node, namespace: str) -> None:
    """What a node says of its namespace and service account must be what it proved."""
    if node.identity is None:
        return
    claims = (
        ("the namespace", namespace, node.identity.namespace),
        ("the namespace", _text(node.metadata, "NAMESPACE"), node.identity.namespace),
        ("the service account", _text(node.metadata, "SERVICE_ACCOUNT"), node.identity.service_account),
    )
    for what, claimed, proven in claims:
        if claimed and claimed != proven:
            raise ClaimRefused(
                f"node {_shown(node.id)} says it is of {what} {_shown(claimed)}, and proved to be {node.identity}; "
                f"correct its bootstrap, or give it a token or certificate of {what} {_shown(claimed)}"
            )


def _shown(value: object) -> str:
    """What a node said, cut down to what fits into the status of a call."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _text(metadata: Mapping[str, Any], key: str) -> str:
    value = metadata.get(key, "")
    if not isinstance(value, str):
        raise NodeRefused(f"node metadata {key} is {_shown(value)}; it must be text")
    return value


def _labels(metadata: Mapping[str, Any]) -> dict[str, str]:
    value = metadata.get("LABELS", {})
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for text in value.values()):
        raise NodeRefused(f"node metadata LABELS is {_shown(value)}; it must be a map of texts")
    return dict(value)


def _start(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """Whatever else stands there is another control plane's."""
    value = metadata.get(METADATA)
    return dict(value) if isinstance(value, Mapping) else {}


def _topology(metadata: Mapping[str, Any]) -> GatewayTopology:
    said = _start(metadata).get(WORD)
    try:
        return UNSAID if said is None else read_topology(said)
    except ValueError as error:
        raise NodeRefused(f"node metadata {METADATA}.{WORD} is {_shown(said)}: it {error}") from error


def _interception(metadata: Mapping[str, Any]) -> Interception:
    value = _text(metadata, "INTERCEPTION_MODE") or Interception.REDIRECT
    if value not in set(Interception):
        raise NodeRefused(
            f"node metadata INTERCEPTION_MODE is {_shown(value)}; use {' or '.join(Interception)}"
        )
    return Interception(value)


def _dns(metadata: Mapping[str, Any], address: str) -> str:
    """Where a sidecar answers DNS: nowhere, unless ``DNS_CAPTURE`` is true."""
    wanted = metadata.get("DNS_CAPTURE", False)
    if wanted not in (True, False, "", "true", "false"):
        raise NodeRefused(f"node metadata DNS_CAPTURE is {_shown(wanted)}; use true or false")
    text = _text(metadata, "DNS_PROXY_ADDR") or f"localhost:{DNS_PORT}"
    loopback = "[::1]" if ":" in address else "127.0.0.1"
    where = text.replace("localhost:", f"{loopback}:", 1)
    host, _, port = where.rpartition(":")
    if not (_is_address(host.strip("[]")) and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise NodeRefused(
            f"node metadata DNS_PROXY_ADDR is {_shown(text)}; it must be IP:PORT, such as 127.0.0.1:{DNS_PORT}"
        )
    return f"{host}:{int(port)}" if wanted in (True, "true") else ""


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _port(metadata: Mapping[str, Any], key: str) -> int:
    value = metadata.get(key, 0)
    try:
        port = int(value)
    except (TypeError, ValueError):
        port = -1
    if not 0 <= port < 65536 or port != float(value or 0):
        raise NodeRefused(f"node metadata {key} is {_shown(value)}; it must be a port")
    return port
