"""What this daemon does not compile yet, and therefore refuses: whole fields, and single values of fields.

A field is refused wherever its message occurs. The lists shrink as compilation grows; nothing else names them.
"""

from collections.abc import Mapping
from types import MappingProxyType

from xdsd.model.intent.base import Message
from xdsd.model.intent.destination_rule import ClientTLSSettings
from xdsd.model.intent.gateway import Port, Server, ServerTLSMode, ServerTLSSettings, TLSCertificate
from xdsd.model.intent.http_actions import Abort, Delay
from xdsd.model.intent.mesh_config import (
    InboundHTTPRetry,
    MeshConfig,
    MeshOutboundTrafficPolicy,
    MeshOutboundTrafficPolicyMode,
    MeshProxyConfig,
    Topology,
)
from xdsd.model.intent.mesh_refusals import (
    REFUSED_OF_INBOUND_RETRIES,
    REFUSED_OF_MESHES,
    REFUSED_OF_PROXIES,
    REFUSED_OF_TOPOLOGIES,
)
from xdsd.model.intent.proxy_config import ProxyImage
from xdsd.model.intent.service_entry import ServicePort
from xdsd.model.intent.sidecar import IngressTLSSettings, SidecarPort
from xdsd.model.intent.values import PROTOCOLS, UNCOMMON_PROTOCOLS

_TLS_TERMINATION = frozenset(
    str(info.alias) for name, info in ServerTLSSettings.model_fields.items() if name != "mode"
)

_NOT_A_SIDECARS = frozenset(
    {
        "httpsRedirect",
        "credentialName",
        "credentialNames",
        "caCertCredentialName",
    }
)
"""What the published API has for gateways alone."""

REFUSED_FIELDS: Mapping[type[Message], frozenset[str]] = MappingProxyType(
    {
        Delay: frozenset({"exponentialDelay"}),
        Abort: frozenset({"http2Error"}),
        ClientTLSSettings: frozenset({"credentialName"}),
        IngressTLSSettings: _NOT_A_SIDECARS,
        Server: frozenset({"defaultEndpoint"}),
        ServerTLSSettings: _TLS_TERMINATION,
        Port: frozenset({"targetPort"}),
        TLSCertificate: frozenset({"caCertificates"}),
        InboundHTTPRetry: frozenset(REFUSED_OF_INBOUND_RETRIES),
        MeshConfig: frozenset(REFUSED_OF_MESHES),
        MeshOutboundTrafficPolicy: frozenset({"tls"}),
        MeshProxyConfig: frozenset(REFUSED_OF_PROXIES),
        ProxyImage: frozenset({"imageType"}),
        Topology: frozenset(REFUSED_OF_TOPOLOGIES),
    }
)

GATEWAY_PROTOCOLS = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS", "TLS", "TCP", "MONGO", "MYSQL", "REDIS")

REFUSED_VALUES: Mapping[tuple[type[Message], str], frozenset[str]] = MappingProxyType(
    {
        (ServerTLSSettings, "mode"): frozenset(ServerTLSMode) - {ServerTLSMode.PASSTHROUGH},
        (MeshOutboundTrafficPolicy, "mode"): frozenset(
            {MeshOutboundTrafficPolicyMode.ALLOW_ANY_DYNAMIC_DNS.value}
        ),
        (Port, "protocol"): frozenset({*PROTOCOLS, *UNCOMMON_PROTOCOLS} - {*GATEWAY_PROTOCOLS}),
        (ServicePort, "protocol"): frozenset(UNCOMMON_PROTOCOLS),
        (SidecarPort, "protocol"): frozenset(UNCOMMON_PROTOCOLS),
    }
)

REASONS: Mapping[tuple[type[Message], str], str] = MappingProxyType(
    {
        (Port, "protocol"): f"write {', '.join(GATEWAY_PROTOCOLS)}",
        **{(InboundHTTPRetry, field): why for field, why in REFUSED_OF_INBOUND_RETRIES.items()},
        **{(MeshConfig, field): why for field, why in REFUSED_OF_MESHES.items()},
        **{(MeshProxyConfig, field): why for field, why in REFUSED_OF_PROXIES.items()},
        **{(Topology, field): why for field, why in REFUSED_OF_TOPOLOGIES.items()},
        (MeshOutboundTrafficPolicy, "mode"): "proxies look up no names for strangers; write ALLOW_ANY",
        (
            MeshOutboundTrafficPolicy,
            "tls",
        ): "it is for ALLOW_ANY_DYNAMIC_DNS alone; declare a ServiceEntry instead",
        (ProxyImage, "imageType"): "no containers are started here, so there is no image to choose",
        (Delay, "exponentialDelay"): "Envoy holds requests for a fixed time only; write fixedDelay",
        (Abort, "http2Error"): "Envoy aborts with a status only; write httpStatus or grpcStatus",
        (ServerTLSSettings, "mode"): "gateways end no TLS; write PASSTHROUGH, which leaves it to the service",
        **{
            (IngressTLSSettings, field): "it is for gateways; name files instead" for field in _NOT_A_SIDECARS
        },
        **{(ServerTLSSettings, field): "gateways end no TLS; take it out" for field in _TLS_TERMINATION},
        (
            TLSCertificate,
            "caCertificates",
        ): "clients are verified alike whatever the certificate that they see; write tls.caCertificates",
        (
            ClientTLSSettings,
            "credentialName",
        ): "proxies are given certificates of the mesh alone; name files instead",
    }
)
"""Why fields and values are refused and what to write instead, where there is more to say than that they are."""


def is_refused(message: type[Message], field: str) -> bool:
    """True if the field, by its published name, is not compiled yet."""
    return field in REFUSED_FIELDS.get(message, frozenset())


def refused_values(message: type[Message], field: str) -> frozenset[str]:
    """The values of the field that are not compiled yet; protocols are in capitals."""
    return REFUSED_VALUES.get((message, field), frozenset())


def refusal_reason(message: type[Message], field: str) -> str:
    """What there is to say about the refusal of the field or of a value of it; may be empty."""
    return REASONS.get((message, field), "")
