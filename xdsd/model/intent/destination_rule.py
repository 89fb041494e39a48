"""DestinationRule: how traffic that is already routed to a service is balanced, limited and watched."""

from enum import StrEnum

from xdsd.model.intent.base import (
    Bool,
    Count,
    Double,
    Int32,
    Message,
    Percent32,
    PortNumber,
    Str,
    UInt32,
    UInt64,
    absent,
    many,
    needed,
    table,
)
from xdsd.model.intent.selector import Labels, LabelSelector, PortSelector
from xdsd.model.intent.values import (
    Duration,
    DurationOrZero,
    ExportTo,
    HeaderName,
    Host,
    LocalityName,
    StatusCode,
    SubsetName,
)


class H2UpgradePolicy(StrEnum):
    """Whether HTTP/1.1 connections to the service are upgraded to HTTP/2."""

    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


class KeepaliveSettings(Message):
    """HTTP/2 PING frames that find dead connections."""

    interval: Duration | None = absent("Pause between PINGs.")
    timeout: Duration | None = absent("How long to wait for the answer.")


class HTTPSettings(Message):
    """Limits on HTTP connections to a service."""

    http1_max_pending_requests: Count | None = absent("Requests that may wait for a connection.")
    http2_max_requests: Count | None = absent("Requests that may be active.")
    max_requests_per_connection: Count | None = absent(
        "Requests until a connection is closed; 0 is unlimited."
    )
    max_retries: Count | None = absent("Retries that may be active.")
    idle_timeout: Duration | None = absent("How long a connection without requests is kept; 1h if left out.")
    h2_upgrade_policy: H2UpgradePolicy | None = absent("Whether to upgrade to HTTP/2.")
    use_client_protocol: Bool | None = absent("Speak to the service the protocol that the client spoke.")
    max_concurrent_streams: Count | None = absent("Streams of one HTTP/2 connection.")
    http2_keep_alive: KeepaliveSettings | None = absent("HTTP/2 keepalive.")


class TcpKeepalive(Message):
    """TCP keepalive probes."""

    probes: UInt32 | None = absent("Unanswered probes until the connection counts as dead.")
    time: Duration | None = absent("Idle time until probes start.")
    interval: Duration | None = absent("Pause between probes.")


class TCPSettings(Message):
    """Limits on connections to a service."""

    max_connections: Count | None = absent("Connections that may be open.")
    connect_timeout: Duration | None = absent("Time limit of connecting; 10s if left out.")
    tcp_keepalive: TcpKeepalive | None = absent("TCP keepalive.")
    max_connection_duration: Duration | None = absent("Age at which a connection is closed.")
    idle_timeout: DurationOrZero | None = absent("How long a silent connection is kept; 0s is for ever.")


class ConnectionPoolSettings(Message):
    """Limits on what a service is asked to carry."""

    tcp: TCPSettings | None = absent("Limits of TCP, for HTTP too.")
    http: HTTPSettings | None = absent("Limits of HTTP.")


class SimpleLB(StrEnum):
    """How an endpoint is picked."""

    UNSPECIFIED = "UNSPECIFIED"
    LEAST_CONN = "LEAST_CONN"
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"
    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"


class CookieAttribute(Message):
    """An attribute of a cookie that Envoy makes."""

    name: Str = needed("Attribute name.")
    value: Str | None = absent("Attribute value.")


class HTTPCookie(Message):
    """A cookie whose value is hashed; made by Envoy where the client has none and ``ttl`` is given."""

    name: Str = needed("Cookie name.")
    path: Str | None = absent("Path of the cookie.")
    ttl: DurationOrZero | None = absent("Lifetime of the cookie; 0s makes a session cookie.")
    attributes: tuple[CookieAttribute, ...] = many("More attributes of the cookie.")


class RingHash(Message):
    """Consistent hashing on a ring."""

    minimum_ring_size: UInt64 | None = absent("Least number of points on the ring; 1024 if left out.")


class MagLev(Message):
    """Consistent hashing by Maglev's table."""

    table_size: UInt64 | None = absent("Size of the table, a prime; 65537 if left out.")


class ConsistentHashLB(Message):
    """Requests of equal hash reach the same endpoint while endpoints stay."""

    at_most_one = (
        ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"),
        ("ringHash", "maglev"),
    )

    http_header_name: HeaderName | None = absent("Hash this header.")
    http_cookie: HTTPCookie | None = absent("Hash this cookie.")
    use_source_ip: Bool | None = absent("Hash the source address.")
    http_query_parameter_name: Str | None = absent("Hash this query parameter.")
    ring_hash: RingHash | None = absent("Use a hash ring, the default.")
    maglev: MagLev | None = absent("Use Maglev's table.")
    minimum_ring_size: UInt64 | None = absent("Earlier place of ringHash.minimumRingSize.")


class Distribute(Message):
    """How traffic from one locality is spread over others."""

    from_: LocalityName | None = absent("Locality of the sender: region/zone/subzone, * as last part.")
    to: dict[LocalityName, UInt32] = table("Share of each locality in percent; the sum is 100.")


class Failover(Message):
    """Which region takes over when another is unhealthy."""

    from_: Str | None = absent("Region of the sender.")
    to: Str | None = absent("Region that takes over.")


class LocalityLoadBalancerSetting(Message):
    """Preference for near endpoints."""

    distribute: tuple[Distribute, ...] = many("Shares of localities.")
    failover: tuple[Failover, ...] = many("Regions that take over.")
    failover_priority: tuple[Str, ...] = many("Labels that order endpoints by likeness to the sender.")
    enabled: Bool | None = absent("Whether locality counts.", nullable=True)


class ZoneAwareLoadBalancerSetting(Message):
    """Preference for the sender's zone, as far as its capacity goes."""

    enabled: Bool | None = absent("Whether zones count.", nullable=True)
    failover: tuple[Failover, ...] = many("Regions that take over.")
    failover_priority: tuple[Str, ...] = many("Labels that order endpoints by likeness to the sender.")
    min_cluster_size: UInt32 | None = absent("Endpoints needed until zones count.", nullable=True, ge=1)


class WarmupConfiguration(Message):
    """New endpoints get their share step by step."""

    duration: Duration = needed("How long an endpoint warms up.")
    minimum_percent: Double | None = absent("Share at the start, in percent.", nullable=True, ge=0, le=100)
    aggression: Double | None = absent("Curve of the share; 1 is a straight line.", nullable=True, ge=0)


class BackendUtilization(Message):
    """Weights from the load that endpoints report."""

    metric_names_for_computing_utilization: tuple[Str, ...] = many("Reported metrics to weigh by.")
    error_utilization_penalty_percent: UInt32 | None = absent("How much errors count, in percent.")
    weight_update_period: DurationOrZero | None = absent("Pause between changes of weights.")
    weight_expiration_period: DurationOrZero | None = absent("How long a report counts.")
    weight_stabilization_period: DurationOrZero | None = absent(
        "How long an endpoint reports until it counts."
    )


class LoadBalancerSettings(Message):
    """How an endpoint is picked, in one of three ways."""

    at_most_one = (
        ("simple", "consistentHash", "backendUtilization"),
        ("localityLbSetting", "zoneAwareLbSetting"),
        ("warmupDurationSecs", "warmup"),
    )

    simple: SimpleLB | None = absent("A policy without parameters.")
    consistent_hash: ConsistentHashLB | None = absent("Affinity by hash.")
    backend_utilization: BackendUtilization | None = absent("Weights from reported load.")
    locality_lb_setting: LocalityLoadBalancerSetting | None = absent("Preference for near endpoints.")
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = absent("Preference for the own zone.")
    warmup_duration_secs: Duration | None = absent("Earlier place of warmup.duration.")
    warmup: WarmupConfiguration | None = absent("Slow start of new endpoints.")


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


class ClientTLSMode(StrEnum):
    """How connections to the service are secured."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


class ClientTLSSettings(Message):
    """TLS of connections to the service."""

    mode: ClientTLSMode | None = absent("Whether and how TLS is used.")
    client_certificate: Str | None = absent("File with the client's certificate.")
    private_key: Str | None = absent("File with the client's key.")
    ca_certificates: Str | None = absent("File with the authorities that vouch for the server.")
    credential_name: Str | None = absent("Secret with key, certificate and authorities.")
    subject_alt_names: tuple[Str, ...] = many("Names of which the server's certificate must hold one.")
    sni: Str | None = absent("Server name to ask for.")
    insecure_skip_verify: Bool | None = absent("Do not verify the server.", nullable=True)
    ca_crl: Str | None = absent("File with revoked certificates.")


class TunnelSettings(Message):
    """TCP connections wrapped in HTTP CONNECT or POST."""

    protocol: Str | None = absent("CONNECT or POST; CONNECT if left out.")
    target_host: Str = needed("Host at the far end.")
    target_port: PortNumber = needed("Port at the far end.")


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


class TrafficPolicy(Message):
    """The policy of a service or subset."""

    load_balancer: LoadBalancerSettings | None = absent("How an endpoint is picked.")
    connection_pool: ConnectionPoolSettings | None = absent("Limits.")
    outlier_detection: OutlierDetection | None = absent("When endpoints are left out.")
    tls: ClientTLSSettings | None = absent("TLS to the service.")
    port_level_settings: tuple[PortTrafficPolicy, ...] = many("Policies of single ports.", max_length=4096)
    tunnel: TunnelSettings | None = absent("Wrapping of TCP in HTTP.")
    proxy_protocol: ProxyProtocol | None = absent("PROXY protocol to the service.")
    retry_budget: RetryBudget | None = absent("Retries as a share of requests.")


class Subset(Message):
    """Endpoints of the service that carry certain labels."""

    name: SubsetName = needed("Name that routes use.")
    labels: Labels = table("Labels that an endpoint must carry; none takes all.")
    traffic_policy: TrafficPolicy | None = absent("Policy in place of the service's, field by field.")


class DestinationRule(Message):
    """The policy for traffic to a host."""

    host: Host = needed("Service host; a short name belongs to the namespace of this object.")
    traffic_policy: TrafficPolicy | None = absent("Policy for the host.")
    subsets: tuple[Subset, ...] = many("Named parts of the host's endpoints.")
    export_to: tuple[ExportTo, ...] = many(
        "Namespaces that see it: names, . for its own, * for all (default)."
    )
    workload_selector: LabelSelector | None = absent("Workloads whose proxies apply it; all if left out.")
