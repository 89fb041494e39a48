"""MeshConfig: what holds for the whole mesh wherever nothing closer says otherwise.

The kind is our own, its fields are those of Istio's MeshConfig, which is a file there and no object, and the networks of
its MeshNetworks. There is one:
``default`` in the root namespace. What is decided elsewhere (by the daemon's settings, by a proxy's bootstrap) is not
decided here a second time, but for ``outboundTrafficPolicy``, where the object goes before the setting.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum

from xdsd.model.intent.base import (
    Bool,
    Count,
    Finding,
    Int32,
    Message,
    PortNumber,
    Str,
    UInt32,
    Whole,
    absent,
    many,
    missing,
    shown,
    table,
    wrong,
)
from xdsd.model.intent.certificate_data import CertificateData, TrustDomain
from xdsd.model.intent.connection_pool import ConnectionPoolSettings, TcpKeepalive
from xdsd.model.intent.destination_rule import OutlierDetection
from xdsd.model.intent.durations import Duration, DurationOrZero
from xdsd.model.intent.extension_provider import MeshExtensionProvider, provider_findings
from xdsd.model.intent.hosts import ExportTo, ServiceExportTo
from xdsd.model.intent.http_actions import HTTPRetry
from xdsd.model.intent.load_balancer import LocalityLoadBalancerSetting, ZoneAwareLoadBalancerSetting
from xdsd.model.intent.log_formats import log_format_fault
from xdsd.model.intent.mesh_networks import Network, network_findings
from xdsd.model.intent.provider_values import ProviderName
from xdsd.model.intent.proxy_config import ProxyImage, Variables
from xdsd.model.intent.selector import export_findings
from xdsd.model.intent.values import RetryOn
from xdsd.model.problem import Reason

NAME = "default"
"""The name of the one MeshConfig."""

_RUNTIME_KEY = re.compile(r"[A-Za-z0-9_.\-]+")


class MeshOutboundTrafficPolicyMode(StrEnum):
    """What happens to traffic for unknown destinations."""

    REGISTRY_ONLY = "REGISTRY_ONLY"
    ALLOW_ANY = "ALLOW_ANY"
    ALLOW_ANY_DYNAMIC_DNS = "ALLOW_ANY_DYNAMIC_DNS"


class MeshOutboundTrafficPolicy(Message):
    """What happens to traffic for unknown destinations, where no Sidecar says otherwise."""

    mode: MeshOutboundTrafficPolicyMode | None = absent(
        "Let it pass or refuse it; the daemon's setting if left out."
    )
    tls: Whole | None = absent("TLS to unknown destinations.")


class InboundTrafficPolicyMode(StrEnum):
    """Where a sidecar sends what its workload is to take in."""

    PASSTHROUGH = "PASSTHROUGH"
    LOCALHOST = "LOCALHOST"


class InboundTrafficPolicy(Message):
    """Where programs are that have no Sidecar's ingress listeners."""

    mode: InboundTrafficPolicyMode | None = absent(
        "PASSTHROUGH: at the address that callers meant; LOCALHOST: at 127.0.0.1."
    )


class MeshH2UpgradePolicy(StrEnum):
    """Whether HTTP/1.1 connections to services are upgraded to HTTP/2."""

    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


class AccessLogEncoding(StrEnum):
    """How a line of the access log is written."""

    TEXT = "TEXT"
    JSON = "JSON"


class PathNormalizationType(StrEnum):
    """How much of a path is brought into one form."""

    DEFAULT = "DEFAULT"
    NONE = "NONE"
    BASE = "BASE"
    MERGE_SLASHES = "MERGE_SLASHES"
    DECODE_AND_MERGE_SLASHES = "DECODE_AND_MERGE_SLASHES"


class ProxyPathNormalization(Message):
    """How paths of requests are brought into one form, before anything looks at them."""

    normalization: PathNormalizationType | None = absent(
        "How far; if left out DECODE_AND_MERGE_SLASHES where requests are taken in, and BASE on the way out."
    )


class DefaultTrafficPolicy(Message):
    """Blocks of a traffic policy for services whose DestinationRule leaves them out."""

    connection_pool: ConnectionPoolSettings | None = absent("Limits on what services are asked to carry.")
    outlier_detection: OutlierDetection | None = absent("Eviction of endpoints that fail.")

    def findings(self) -> Iterator[Finding]:
        if self.connection_pool is None and self.outlier_detection is None:
            yield missing("is empty; give connectionPool or outlierDetection")


class InboundHTTPRetry(Message):
    """How often and when a sidecar sends a request to its program again."""

    attempts: Int32 | None = absent("Retries; 0 switches them off.", ge=0)
    retry_on: RetryOn | None = absent(
        "Comma-separated conditions or status codes; reset-before-request if left out."
    )
    backoff: Duration | None = absent("Least pause between tries; 25ms if left out.")
    per_try_timeout: Duration | None = absent("Time limit of each try.")
    retry_remote_localities: Bool | None = absent(
        "Whether a retry may go to another locality.", nullable=True
    )
    retry_ignore_previous_hosts: Bool | None = absent(
        "Whether a retry avoids hosts that failed.", nullable=True
    )

    def findings(self) -> Iterator[Finding]:
        if not self.attempts and (self.is_set("retry_on") or self.is_set("backoff")):
            yield missing("is 0, which switches retries off; give the number of retries", "attempts")


class ForwardClientCertDetails(StrEnum):
    """What a gateway does with the header ``x-forwarded-client-cert``."""

    UNDEFINED = "UNDEFINED"
    SANITIZE = "SANITIZE"
    FORWARD_ONLY = "FORWARD_ONLY"
    APPEND_FORWARD = "APPEND_FORWARD"
    SANITIZE_SET = "SANITIZE_SET"
    ALWAYS_FORWARD_ONLY = "ALWAYS_FORWARD_ONLY"


class ProxyProtocolConfiguration(Message):
    """That connections begin with a header of the PROXY protocol, of version 1 or 2."""


class Topology(Message):
    """What stands in front of gateways."""

    num_trusted_proxies: UInt32 | None = absent(
        "Proxies in front of gateways whose x-forwarded-for is believed."
    )
    forward_client_cert_details: ForwardClientCertDetails | None = absent(
        "What gateways do with x-forwarded-client-cert; SANITIZE_SET if left out."
    )
    proxy_protocol: ProxyProtocolConfiguration | None = absent(
        "That gateways are spoken to in the PROXY protocol; then connections without it are refused."
    )


class MeshProxyConfig(Message):
    """What proxies are started with, where no ProxyConfig says otherwise."""

    concurrency: Count | None = absent(
        "Worker threads; 0 is one for each core, as if left out.", nullable=True
    )
    proxy_metadata: Variables = table(
        "Environment of proxies; names that begin with ISTIO_META_ become metadata of their nodes."
    )
    runtime_values: dict[Str, Str] = table("Envoy's runtime, by key.")
    drain_duration: Duration | None = absent(
        "How long Envoy drains connections of what it replaces; 45s if left out."
    )
    proxy_admin_port: PortNumber | None = absent("Port of Envoy's admin page on loopback; 15000 if left out.")
    gateway_topology: Topology | None = absent("What stands in front of gateways.")
    image: ProxyImage | None = absent("Container that proxies run in.")
    availability_zone: Str | None = absent("Where proxies run.")
    binary_path: Str | None = absent("Where Envoy is installed.")
    ca_certificates_pem: tuple[Str, ...] = many("Further authorities of workloads' certificates.")
    config_path: Str | None = absent("Folder of generated files.")
    connection_settings: Whole | None = absent("Limits and timeouts of connections.")
    control_plane_auth_policy: Str | None = absent("How proxies reach the control plane.")
    custom_config_file: Str | None = absent("Bootstrap of one's own.")
    discovery_address: Str | None = absent("Address of the control plane.")
    discovery_refresh_delay: DurationOrZero | None = absent("Pause between two polls.")
    envoy_access_log_service: Whole | None = absent("Service that access logs are sent to.")
    envoy_metrics_service: Whole | None = absent("Service that statistics are sent to.")
    envoy_metrics_service_address: Str | None = absent("Its address.")
    extra_stat_tags: tuple[Str, ...] = many("Further tags of statistics.")
    file_flush_interval: DurationOrZero | None = absent("How often access logs are written out.")
    file_flush_min_size_kb: UInt32 | None = absent("How much access log is held back.")
    hold_application_until_proxy_starts: Bool | None = absent(
        "Whether programs wait for their proxy.", nullable=True
    )
    interception_mode: Str | None = absent("How traffic reaches sidecars.")
    mesh_id: Str | None = absent("Name of the mesh.")
    private_key_provider: Whole | None = absent("Hardware that signs.")
    proxy_bootstrap_template_path: Str | None = absent("Template of the bootstrap.")
    proxy_headers: Whole | None = absent("Headers that proxies add.")
    proxy_stats_matcher: Whole | None = absent("Which statistics are kept.")
    readiness_probe: Whole | None = absent("How it is found out that a program is ready.")
    sds: Whole | None = absent("Where secrets come from.")
    service_cluster: Str | None = absent("Name of the workload for traces.")
    stat_name_length: Count | None = absent("Longest name of a statistic.")
    stats_compression: Bool | None = absent("Whether statistics are compressed.", nullable=True)
    statsd_udp_address: Str | None = absent("Where statistics are sent.")
    status_port: Count | None = absent("Port of the agent.")
    termination_drain_duration: DurationOrZero | None = absent("How long a proxy that is stopped drains.")
    tracing: Whole | None = absent("Where spans are sent.")
    tracing_service_name: Str | None = absent("How workloads are called in traces.")
    zipkin_address: Str | None = absent("Where spans are sent.")

    def findings(self) -> Iterator[Finding]:
        for key in self.runtime_values:
            if not _RUNTIME_KEY.fullmatch(key):
                yield wrong(f"{shown(key)} is no key of Envoy's runtime", "runtimeValues", key)


class DefaultProviders(Message):
    """Providers, by their names, of proxies for which no Telemetry names any."""

    access_logging: tuple[ProviderName, ...] = many(
        "Where access logs go; envoy, the log above, if left out."
    )
    tracing: tuple[ProviderName, ...] = many("Where spans go; the first counts.")
    metrics: tuple[ProviderName, ...] = many("Who is given statistics: prometheus.")


class MeshConfig(Message):
    """What holds for the whole mesh where nothing closer says otherwise."""

    outbound_traffic_policy: MeshOutboundTrafficPolicy | None = absent("Traffic for unknown destinations.")
    inbound_traffic_policy: InboundTrafficPolicy | None = absent(
        "Where programs are, seen from their sidecars."
    )
    connect_timeout: Duration | None = absent("Time limit of connecting to an endpoint; 10s if left out.")
    tcp_keepalive: TcpKeepalive | None = absent("TCP keepalive of connections to endpoints.")
    h2_upgrade_policy: MeshH2UpgradePolicy | None = absent("Whether to upgrade HTTP/1.1 to HTTP/2.")
    dns_refresh_rate: Duration | None = absent(
        "How often names are looked up anew that have no time to live of their own; 60s if left out."
    )
    default_traffic_policy: DefaultTrafficPolicy | None = absent(
        "Blocks of a traffic policy for services whose DestinationRule leaves them out."
    )
    locality_lb_setting: LocalityLoadBalancerSetting | None = absent("Preference for near endpoints.")
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = absent(
        "Preference for the own zone; goes before localityLbSetting."
    )
    default_http_retry_policy: HTTPRetry | None = absent("Retries of routes that say nothing of them.")
    default_inbound_http_retry_policy: InboundHTTPRetry | None = absent(
        "Retries from sidecars to their programs; twice what a closing connection kept from them, if left out."
    )
    default_service_export_to: tuple[ServiceExportTo, ...] = many("exportTo of services that have none.")
    default_virtual_service_export_to: tuple[ExportTo, ...] = many(
        "exportTo of VirtualServices that have none."
    )
    default_destination_rule_export_to: tuple[ExportTo, ...] = many(
        "exportTo of DestinationRules that have none."
    )
    access_log_file: Str | None = absent(
        "File of the proxies' access logs; /dev/stdout if left out, and empty text for none.", keep_empty=True
    )
    access_log_format: Str | None = absent(
        "Line of the log: text with Envoy's commands, or (JSON) a map of such."
    )
    access_log_encoding: AccessLogEncoding | None = absent("TEXT or JSON; TEXT if left out.")
    path_normalization: ProxyPathNormalization | None = absent("How paths are brought into one form.")
    protocol_detection_timeout: DurationOrZero | None = absent(
        "How long a client may be silent where its protocol is found out; 0s (no limit) if left out."
    )
    default_config: MeshProxyConfig | None = absent("What proxies are started with.")
    networks: dict[Str, Network] = table("Networks by name, and the gateways through which each is reached.")
    ca: Whole | None = absent("Authority that issues workloads' certificates.")
    ca_certificates: tuple[CertificateData, ...] = many("Further authorities of workloads' certificates.")
    certificates: tuple[Whole, ...] = many("Certificates of the control plane.")
    config_sources: tuple[Whole, ...] = many("Where objects come from.")
    default_providers: DefaultProviders | None = absent(
        "Providers of proxies for which no Telemetry names any."
    )
    disable_envoy_listener_log: Bool | None = absent("Whether listeners write no log.")
    discovery_selectors: tuple[Whole, ...] = many("Kubernetes namespaces to look at.")
    enable_auto_mtls: Bool | None = absent(
        "Whether mutual TLS is spoken without being asked for.", nullable=True
    )
    enable_envoy_access_log_service: Bool | None = absent("Whether access logs are sent to a service.")
    enable_prometheus_merge: Bool | None = absent(
        "Whether programs' metrics are joined to proxies'.", nullable=True
    )
    enable_tracing: Bool | None = absent("Whether proxies trace.")
    extension_providers: tuple[MeshExtensionProvider, ...] = many(
        "Services that CUSTOM policies ask, and where logs and traces of Telemetry go."
    )
    hbone_idle_timeout: DurationOrZero | None = absent("How long tunnels of ambient meshes are kept.")
    inbound_cluster_stat_name: Str | None = absent("Pattern of statistics' names.")
    ingress_class: Str | None = absent("Class of Kubernetes' Ingress.")
    ingress_controller_mode: Str | None = absent("Which Ingress are read.")
    ingress_selector: Str | None = absent("Gateway of Ingress.")
    ingress_service: Str | None = absent("Service of Ingress.")
    mesh_mTLS: Whole | None = absent("TLS between workloads.")  # noqa: N815 - it is published as meshMTLS
    outbound_cluster_stat_name: Str | None = absent("Pattern of statistics' names.")
    proxy_http_port: Count | None = absent("Port of sidecars' HTTP proxy.")
    proxy_inbound_listen_port: Count | None = absent("Port that inbound traffic is redirected to.")
    proxy_listen_port: Count | None = absent("Port that outbound traffic is redirected to.")
    root_namespace: Str | None = absent("Namespace of objects for the whole mesh.")
    service_entry_visibility: Whole | None = absent("Who sees ServiceEntries.")
    service_scope_configs: tuple[Whole, ...] = many("Services of ambient meshes that all clusters see.")
    service_settings: tuple[Whole, ...] = many("Services that stay within a Kubernetes cluster.")
    tls_defaults: Whole | None = absent("TLS that is not between workloads.")
    trust_domain: Str | None = absent("Name of the authority over identities.")
    trust_domain_aliases: tuple[TrustDomain, ...] = many("Its other names.")
    verify_certificate_at_client: Bool | None = absent(
        "Whether servers are verified by default.", nullable=True
    )

    def findings(self) -> Iterator[Finding]:
        for field, names in (
            ("defaultServiceExportTo", self.default_service_export_to),
            ("defaultVirtualServiceExportTo", self.default_virtual_service_export_to),
            ("defaultDestinationRuleExportTo", self.default_destination_rule_export_to),
        ):
            yield from export_findings(names, field)
        if self.dns_refresh_rate is not None and self.dns_refresh_rate <= timedelta(milliseconds=1):
            yield wrong("0.001s is not above 0.001s", "dnsRefreshRate", reason=Reason.OUT_OF_RANGE)
        yield from provider_findings(self.extension_providers, "extensionProviders")
        yield from network_findings(self.networks, "networks")
        fault = log_format_fault(
            self.access_log_format, json_encoded=self.access_log_encoding is AccessLogEncoding.JSON
        )
        if fault:
            yield wrong(fault, "accessLogFormat")
        if self.access_log_file and not self.access_log_file.startswith("/"):
            yield wrong(
                f"{shown(self.access_log_file)} is no path of a file, such as /dev/stdout", "accessLogFile"
            )
