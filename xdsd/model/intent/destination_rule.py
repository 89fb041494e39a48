"""DestinationRule: how traffic that is already routed to a service is balanced, limited and watched."""

from collections.abc import Iterator
from enum import StrEnum

from xdsd.model.intent.base import (
    Bool,
    Double,
    Finding,
    Int32,
    Message,
    Percent32,
    PortNumber,
    Str,
    UInt32,
    absent,
    many,
    missing,
    needed,
    published_name,
    shown,
    table,
    wrong,
)
from xdsd.model.intent.connection_pool import ConnectionPoolSettings
from xdsd.model.intent.durations import Duration, DurationOrZero
from xdsd.model.intent.hosts import ExportTo, RuleHost, SubsetName, is_address, name_fault
from xdsd.model.intent.load_balancer import LoadBalancerSettings
from xdsd.model.intent.selector import LabelSelector, PortSelector, export_findings
from xdsd.model.intent.values import Labels, StatusCode


class OutlierDetection(Message):
    """Endpoints that fail are left out for a while."""

    consecutive_errors: Int32 | None = absent("Earlier form of consecutive5xxErrors.", ge=0)
    split_external_local_origin_errors: Bool | None = absent("Count failures to connect apart from answers.")
    consecutive_local_origin_failures: UInt32 | None = absent("Failures to connect in a row.", nullable=True)
    consecutive_gateway_errors: UInt32 | None = absent("Answers 502, 503 and 504 in a row.", nullable=True)
    consecutive_5xx_errors: UInt32 | None = absent("Answers 5xx in a row; 0 switches it off.", nullable=True)
    interval: Duration | None = absent("Pause between looks; 10s if left out.")
    base_ejection_time: Duration | None = absent("Least time left out, times the number of ejections; 30s.")
    max_ejection_percent: Percent32 | None = absent(
        "Most endpoints to leave out, in percent; 10 if left out."
    )
    min_health_percent: Percent32 | None = absent("Below this share of healthy endpoints all are used.")
    outlier_detection_http_error_codes: tuple[StatusCode, ...] = many("Statuses that count as failures.")

    def findings(self) -> Iterator[Finding]:
        if self.consecutive_local_origin_failures and not self.split_external_local_origin_errors:
            why = "has no effect unless splitExternalLocalOriginErrors is true"
            yield missing(why, "consecutiveLocalOriginFailures")


class ClientTLSMode(StrEnum):
    """How connections to the service are secured."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


ANY_NAME = "*"
"""A server name that stands for the one that is asked for inside."""

MAX_SNI = 255


class ClientTLSSettings(Message):
    """TLS of connections to the service."""

    mode: ClientTLSMode | None = absent("Whether and how TLS is used.")
    client_certificate: Str | None = absent("File with the client's certificate.")
    private_key: Str | None = absent("File with the client's key.")
    ca_certificates: Str | None = absent(
        "File with the authorities that vouch for the server; those of the system if left out."
    )
    credential_name: Str | None = absent("Secret with key, certificate and authorities.")
    subject_alt_names: tuple[Str, ...] = many("Names of which the server's certificate must hold one.")
    sni: Str | None = absent(
        "Server name to ask for. If left out the host of the request, or in mode ISTIO_MUTUAL a name of the mesh's own,"
        " where * stands for the host of the request, or the server that the TLS inside names."
    )
    insecure_skip_verify: Bool | None = absent("Do not verify the server.", nullable=True)
    ca_crl: Str | None = absent("File with revoked certificates.")

    def findings(self) -> Iterator[Finding]:
        if self.mode in (None, ClientTLSMode.DISABLE):
            for field in self._set_fields():
                yield wrong("has no effect without TLS; write mode SIMPLE, MUTUAL or ISTIO_MUTUAL", field)
        elif self.mode is ClientTLSMode.ISTIO_MUTUAL:
            for field in self._set_fields():
                if field not in ("sni", "subjectAltNames"):
                    yield wrong(
                        "ISTIO_MUTUAL shows and believes certificates of the mesh; take it out", field
                    )
        elif self.credential_name:
            for field in ("clientCertificate", "privateKey", "caCertificates", "caCrl"):
                if field in self._set_fields():
                    yield wrong("credentialName is set too, and it takes the place of files", field)
        else:
            yield from self._certificate_findings()
        yield from self._verification_findings()

    def _certificate_findings(self) -> Iterator[Finding]:
        for field, value in (
            ("clientCertificate", self.client_certificate),
            ("privateKey", self.private_key),
        ):
            if self.mode is ClientTLSMode.MUTUAL and not value:
                yield missing("is missing; mode MUTUAL needs it", field)
            elif self.mode is ClientTLSMode.SIMPLE and value:
                yield wrong("is shown to nobody in mode SIMPLE; write mode MUTUAL, or take it out", field)

    def _verification_findings(self) -> Iterator[Finding]:
        if self.insecure_skip_verify and (self.ca_certificates or self.subject_alt_names or self.ca_crl):
            asking = "caCertificates, subjectAltNames or caCrl ask to verify what this skips"
            yield wrong(asking, "insecureSkipVerify")
        for index, name in enumerate(self.subject_alt_names):
            if not name:
                yield wrong("is empty; name whom the certificate is for", "subjectAltNames", index)
        if self.sni == ANY_NAME and self.mode is not ClientTLSMode.ISTIO_MUTUAL:
            yield wrong("* is for mode ISTIO_MUTUAL; leave it out to ask for the host of the request", "sni")
        if self.sni and len(self.sni.encode()) > MAX_SNI:
            yield wrong(f"is longer than {MAX_SNI} bytes", "sni")

    def _set_fields(self) -> list[str]:
        """The published names of the fields that are set, but for the mode."""
        given = (name for name in type(self).model_fields if name != "mode" and getattr(self, name))
        return [published_name(name) for name in given]


class TunnelSettings(Message):
    """TCP connections wrapped in HTTP CONNECT or POST."""

    protocol: Str | None = absent("CONNECT or POST; CONNECT if left out.")
    target_host: Str = needed("Host at the far end.")
    target_port: PortNumber = needed("Port at the far end.")

    def findings(self) -> Iterator[Finding]:
        if self.protocol not in (None, "CONNECT", "POST"):
            yield wrong(f"{shown(self.protocol)} is no tunnel; write CONNECT or POST", "protocol")
        fault = name_fault(self.target_host, wildcard=False)
        if fault and not is_address(self.target_host):
            yield wrong(f"{shown(self.target_host)} {fault}", "targetHost")


class ProxyProtocolVersion(StrEnum):
    """The version of the PROXY protocol."""

    V1 = "V1"
    V2 = "V2"


class ProxyProtocol(Message):
    """PROXY protocol header in front of connections."""

    version: ProxyProtocolVersion | None = absent("Version of the header; V1 if left out.")


class RetryBudget(Message):
    """Retries as a share of active requests."""

    percent: Double | None = absent(
        "Share of retries in percent; 20 if left out.", nullable=True, ge=0, le=100
    )
    min_retry_concurrency: UInt32 | None = absent("Retries that are always allowed; 3 if left out.")
    budget_interval: DurationOrZero | None = absent("Over which time requests are counted.")


class PortTrafficPolicy(Message):
    """The policy of one port; what it leaves out is not taken from the service's policy."""

    port: PortSelector | None = absent("The port it is for.")
    load_balancer: LoadBalancerSettings | None = absent("How an endpoint is picked.")
    connection_pool: ConnectionPoolSettings | None = absent("Limits.")
    outlier_detection: OutlierDetection | None = absent("When endpoints are left out.")
    tls: ClientTLSSettings | None = absent("TLS to the service.")

    def findings(self) -> Iterator[Finding]:
        if self.port is None:
            yield missing("is missing; say which port the policy is for", "port")
        if not (self.load_balancer or self.connection_pool or self.outlier_detection or self.tls):
            yield missing("is empty; give loadBalancer, connectionPool, outlierDetection or tls")


class TrafficPolicy(Message):
    """The policy of a service or subset."""

    at_most_one = (("tunnel", "proxyProtocol"),)

    load_balancer: LoadBalancerSettings | None = absent("How an endpoint is picked.")
    connection_pool: ConnectionPoolSettings | None = absent("Limits.")
    outlier_detection: OutlierDetection | None = absent("When endpoints are left out.")
    tls: ClientTLSSettings | None = absent("TLS to the service.")
    port_level_settings: tuple[PortTrafficPolicy, ...] = many("Policies of single ports.", max_length=4096)
    tunnel: TunnelSettings | None = absent("Wrapping of TCP in HTTP.")
    proxy_protocol: ProxyProtocol | None = absent("PROXY protocol to the service.")
    retry_budget: RetryBudget | None = absent("Retries as a share of requests.")

    def findings(self) -> Iterator[Finding]:
        if not any(self.is_set(field) for field in type(self).model_fields):
            yield missing(
                "is empty; give loadBalancer, connectionPool, outlierDetection, tls, portLevelSettings, tunnel, "
                "proxyProtocol or retryBudget, or leave it out"
            )
        seen: set[int] = set()
        for index, policy in enumerate(self.port_level_settings):
            number = policy.port.number if policy.port else None
            if number in seen:
                yield wrong(
                    f"port {number} has settings already", "portLevelSettings", index, "port", "number"
                )
            seen.update(() if number is None else (number,))


class Subset(Message):
    """Endpoints of the service that carry certain labels."""

    name: SubsetName = needed("Name that routes use.")
    labels: Labels = table("Labels that an endpoint must carry; none takes all.")
    traffic_policy: TrafficPolicy | None = absent("Policy in place of the service's, field by field.")


class DestinationRule(Message):
    """The policy for traffic to a host."""

    host: RuleHost = needed("Service host; a short name belongs to the namespace of this object.")
    traffic_policy: TrafficPolicy | None = absent("Policy for the host.")
    subsets: tuple[Subset, ...] = many("Named parts of the host's endpoints.")
    export_to: tuple[ExportTo, ...] = many(
        "Namespaces that see it: names, . for its own, * for all (default)."
    )
    workload_selector: LabelSelector | None = absent("Workloads whose proxies apply it; all if left out.")

    def findings(self) -> Iterator[Finding]:
        seen: set[str] = set()
        for index, subset in enumerate(self.subsets):
            if subset.name in seen:
                yield wrong(
                    f"{shown(subset.name)} is the name of an earlier subset", "subsets", index, "name"
                )
            seen.add(subset.name)
        yield from export_findings(self.export_to)
