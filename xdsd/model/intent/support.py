"""What this daemon does not compile yet, and therefore refuses: whole fields, and single values of fields.

A field is refused wherever its message occurs. The lists shrink as compilation grows; nothing else names them.
"""

from collections.abc import Mapping
from types import MappingProxyType

from xdsd.model.intent.base import Message
from xdsd.model.intent.certificate_data import CertificateData
from xdsd.model.intent.extension_provider import MeshExtensionProvider
from xdsd.model.intent.gateway import Port
from xdsd.model.intent.http_actions import Abort, Delay
from xdsd.model.intent.mesh_config import (
    InboundHTTPRetry,
    MeshConfig,
    MeshOutboundTrafficPolicy,
    MeshOutboundTrafficPolicyMode,
    MeshProxyConfig,
)
from xdsd.model.intent.mesh_networks import NetworkEndpoints, NetworkGateway
from xdsd.model.intent.mesh_refusals import (
    REFUSED_OF_INBOUND_RETRIES,
    REFUSED_OF_MESHES,
    REFUSED_OF_PROVIDERS,
    REFUSED_OF_PROXIES,
)
from xdsd.model.intent.proxy_config import ProxyImage
from xdsd.model.intent.service_entry import ServicePort
from xdsd.model.intent.sidecar import IngressTLSSettings, SidecarPort
from xdsd.model.intent.telemetry import Metrics
from xdsd.model.intent.telemetry_provider import (
    HttpHeader,
    OpenTelemetryTracingProvider,
    SkyWalkingTracingProvider,
)
from xdsd.model.intent.values import PROTOCOLS, UNCOMMON_PROTOCOLS
from xdsd.model.intent.workload_group import ReadinessProbe, WorkloadTemplate

_NOT_A_SIDECARS = frozenset({"credentialName", "credentialNames", "caCertCredentialName"})
"""What sidecars take from files alone."""

REFUSED_FIELDS: Mapping[type[Message], frozenset[str]] = MappingProxyType(
    {
        Delay: frozenset({"exponentialDelay"}),
        Abort: frozenset({"http2Error"}),
        IngressTLSSettings: frozenset({"httpsRedirect", *_NOT_A_SIDECARS}),
        CertificateData: frozenset({"certSigners"}),
        InboundHTTPRetry: frozenset(REFUSED_OF_INBOUND_RETRIES),
        MeshConfig: frozenset(REFUSED_OF_MESHES),
        MeshExtensionProvider: frozenset(REFUSED_OF_PROVIDERS),
        HttpHeader: frozenset({"envName"}),
        OpenTelemetryTracingProvider: frozenset({"dynatraceSampler", "serviceAttributeEnrichment"}),
        SkyWalkingTracingProvider: frozenset({"accessToken"}),
        Metrics: frozenset({"overrides", "reportingInterval"}),
        MeshOutboundTrafficPolicy: frozenset({"tls"}),
        MeshProxyConfig: frozenset(REFUSED_OF_PROXIES),
        NetworkEndpoints: frozenset({"fromRegistry"}),
        NetworkGateway: frozenset({"locality"}),
        ProxyImage: frozenset({"imageType"}),
        WorkloadTemplate: frozenset({"address"}),
        ReadinessProbe: frozenset({"exec"}),
    }
)

GATEWAY_PROTOCOLS = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTPS", "TLS", "TCP", "MONGO", "MYSQL", "REDIS")

REFUSED_VALUES: Mapping[tuple[type[Message], str], frozenset[str]] = MappingProxyType(
    {
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
        **{(MeshExtensionProvider, field): why for field, why in REFUSED_OF_PROVIDERS.items()},
        (HttpHeader, "envName"): "the daemon passes its environment on to nobody; write value",
        (
            OpenTelemetryTracingProvider,
            "dynatraceSampler",
        ): "write a Telemetry's randomSamplingPercentage; an EnvoyFilter gives tracers other samplers",
        (
            OpenTelemetryTracingProvider,
            "serviceAttributeEnrichment",
        ): "services are called by their workload; write resourceDetectors for more",
        (
            SkyWalkingTracingProvider,
            "accessToken",
        ): "no secrets are kept in objects; let the proxies' network in",
        (
            Metrics,
            "overrides",
        ): "Envoy without Istio's filter has its own statistics alone, without tags of requests",
        (Metrics, "reportingInterval"): "Envoy counts connections as they come and go",
        (CertificateData, "certSigners"): "Kubernetes signs for nobody here; take it out",
        (WorkloadTemplate, "address"): "each machine has its own, by which it registers",
        (ReadinessProbe, "exec"): "Envoy runs no commands; write httpGet, tcpSocket or grpc",
        (MeshOutboundTrafficPolicy, "mode"): "proxies look up no names for strangers; write ALLOW_ANY",
        (
            MeshOutboundTrafficPolicy,
            "tls",
        ): "it is for ALLOW_ANY_DYNAMIC_DNS alone; declare a ServiceEntry instead",
        (ProxyImage, "imageType"): "no containers are started here, so there is no image to choose",
        (Delay, "exponentialDelay"): "Envoy holds requests for a fixed time only; write fixedDelay",
        (Abort, "http2Error"): "Envoy aborts with a status only; write httpStatus or grpcStatus",
        (NetworkEndpoints, "fromRegistry"): "registries say of which network their endpoints are",
        (NetworkGateway, "locality"): "what is behind a gateway says where it is",
        **{
            (
                IngressTLSSettings,
                field,
            ): "sidecars end TLS with files of their machine, in Istio too; name files instead, "
            "or end TLS at a Gateway"
            for field in _NOT_A_SIDECARS
        },
        (IngressTLSSettings, "httpsRedirect"): "it is for gateways, which know what is behind HTTPS",
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
