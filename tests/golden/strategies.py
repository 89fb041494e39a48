"""Random objects of all kinds, as published YAML holds them: few names, so that objects meet."""

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from tests.golden.guard_strategies import AUTHORIZATION_POLICY, REQUEST_AUTHENTICATION
from tests.golden.limit_strategies import RATE_LIMIT
from tests.golden.patch_strategies import ENVOY_FILTER
from tests.golden.telemetry_strategies import DEFAULT_PROVIDERS, PROVIDERS, TELEMETRY
from xdsd.manifest import parse_object
from xdsd.manifest.envelope import AnyObject
from xdsd.model.identity import SpiffeID
from xdsd.model.intent import KINDS
from xdsd.model.node import Locality, Node

NAMESPACES = ("default", "other", "istio-system")
PROXIES = {
    "captured": Node(
        "sidecar~10.0.0.1~a-1.default~default.svc.cluster.local",
        metadata={"LABELS": {"app": "a"}},
        locality=Locality("eu", "a", "1"),
        identity=SpiffeID("cluster.local", "default", "a"),
    ),
    "explicit": Node(
        "sidecar~10.0.0.2~b-1.default~default.svc.cluster.local",
        metadata={"LABELS": {"app": "b"}, "INTERCEPTION_MODE": "NONE", "OUTBOUND_BIND": "127.0.0.9"},
    ),
    "proxied": Node(
        "sidecar~10.0.0.3~c-1.other~other.svc.cluster.local",
        metadata={"INTERCEPTION_MODE": "NONE", "HTTP_PROXY_PORT": 15007},
        locality=Locality("us"),
        identity=SpiffeID("cluster.local", "other", "c"),
    ),
    "six": Node("sidecar~fd00::1~a-2.other~other.svc.cluster.local", metadata={"LABELS": {"app": "a"}}),
    "edge": Node("router~10.0.0.4~edge.istio-system~cluster.local", metadata={"LABELS": {"istio": "edge"}}),
}
Values = dict[str, Any]


def pick(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def several(each: st.SearchStrategy[Any], most: int = 3, least: int = 0) -> st.SearchStrategy[list[Any]]:
    """A list without repetitions."""
    return st.lists(each, min_size=least, max_size=most, unique_by=repr)


def record(needed: dict[str, Any], **optional: Any) -> st.SearchStrategy[Values]:
    return st.fixed_dictionaries(needed, optional=optional)


HOSTS = pick(
    "a", "b", "a.default.svc.cluster.local", "b.other.svc.cluster.local", "x.example.com", "y.example.com"
)
WILD = pick("*.example.com", "*.default.svc.cluster.local", "*.cluster.local", "*.com")
PORTS = pick(80, 443, 9080)
LABELS = pick({"app": "a"}, {"app": "b"}, {"version": "v1"}, {})
EXPORTS = pick([], ["*"], ["."], ["istio-system"])
SUBSETS = pick("v1", "v2")
DURATIONS = pick("1s", "1.5s", "100ms", "1h")
PERCENT = pick({"value": 100.0}, {"value": 0.5}, {"value": 0.0})
TEXT = pick({"exact": "/a"}, {"prefix": "/b"}, {"regex": "/c.*"})

DESTINATION = record({"host": HOSTS}, subset=SUBSETS, port=st.fixed_dictionaries({"number": PORTS}))
OPERATIONS = record(
    {}, set=pick({"x-a": "1"}, {"host": "z"}), add=pick({"x-b": "%PROTOCOL%"}), remove=pick(["x-c"])
)
HEADERS = record({}, request=OPERATIONS, response=record({}, set=pick({"x-d": "2"}), remove=pick(["server"])))
MATCH = record(
    {},
    uri=TEXT,
    method=pick({"exact": "GET"}, {"regex": "GET|PUT"}),
    scheme=pick({"exact": "http"}),
    authority=pick({"prefix": "a"}),
    headers=pick({"x-user": {"exact": "jason"}}, {"x-any": {}}),
    withoutHeaders=pick({"x-no": {"prefix": "p"}}),
    queryParams=pick({"q": {"exact": "1"}}, {"r": {"regex": "[a-z]+"}}),
    ignoreUriCase=st.booleans(),
    port=PORTS,
    sourceLabels=LABELS,
    sourceNamespace=pick(*NAMESPACES),
    gateways=several(pick("mesh", "edge", "other/edge"), 2, 1),
    statPrefix=pick("counted"),
)
POLICY = {
    "timeout": DURATIONS,
    "retries": record({"attempts": pick(1, 3)}, perTryTimeout=DURATIONS, retryOn=pick("5xx,503", "reset")),
    "fault": record(
        {"delay": st.fixed_dictionaries({"fixedDelay": DURATIONS, "percentage": PERCENT})},
        abort=st.fixed_dictionaries({"httpStatus": pick(400, 503), "percentage": PERCENT}),
    ),
    "headers": HEADERS,
    "corsPolicy": record(
        {"allowOrigins": pick([{"exact": "https://a"}], [{"regex": ".*"}])}, maxAge=pick("1s", "1h")
    ),
}
FORWARD = record(
    {
        "route": several(
            record({"destination": DESTINATION, "weight": pick(1, 99)}, headers=HEADERS), most=3, least=1
        )
    },
    match=several(MATCH, 2, 1),
    rewrite=pick(
        {"uri": "/z"}, {"authority": "z"}, {"uriRegexRewrite": {"match": "^/(.*)", "rewrite": "/\\1"}}
    ),
    mirrors=several(record({"destination": DESTINATION}, percentage=PERCENT), 2),
    **POLICY,
)
REDIRECT = record(
    {
        "redirect": record(
            {"uri": pick("/r", "/s")}, authority=pick("r"), port=PORTS, redirectCode=pick(301, 307)
        )
    },
    match=several(MATCH, 2, 1),
)
DIRECT = record(
    {"directResponse": record({"status": pick(200, 418)}, body=pick({"string": "text"}))},
    match=several(MATCH, 2, 1),
)
DELEGATING = record(
    {"delegate": record({"name": pick("n1", "n2", "n3")}, namespace=pick(*NAMESPACES))},
    match=several(MATCH, 2, 1),
    timeout=DURATIONS,
    headers=HEADERS,
)
SHARES = several(record({"destination": DESTINATION, "weight": pick(1, 99)}), most=3, least=1)
WHO = {
    "destinationSubnets": several(pick("10.0.0.0/8", "10.9.0.0/16", "10.8.1.0/24", "fd09::/64"), 2, 1),
    "port": PORTS,
    "sourceLabels": LABELS,
    "sourceNamespace": pick(*NAMESPACES),
    "gateways": several(pick("mesh", "edge", "other/edge"), 2, 1),
}
TCP_ROUTE = record(
    {"route": SHARES},
    match=several(record({}, **WHO, sourceSubnet=pick("10.0.0.0/8", "10.0.0.1", "fd00::/8")), 2, 1),
)
SERVER_NAMES = several(pick("x.example.com", "y.example.com", "*.example.com", "*.x.example.com"), 2, 1)
TLS_ROUTE = record({"route": SHARES, "match": several(record({"sniHosts": SERVER_NAMES}, **WHO), 2, 1)})
SHOWN = {"gateways": several(pick("mesh", "edge", "other/edge"), 2, 1), "exportTo": EXPORTS}
FOR_REQUESTS = record(
    {
        "hosts": several(HOSTS | WILD, 2, 1),
        "http": st.lists(FORWARD | REDIRECT | DIRECT | DELEGATING, min_size=1, max_size=3),
    },
    tcp=st.lists(TCP_ROUTE, min_size=1, max_size=2),
    **SHOWN,
)
FOR_CONNECTIONS = record(
    {"hosts": pick(["*.example.com"], ["*.com"])},
    tcp=st.lists(TCP_ROUTE, min_size=1, max_size=3),
    tls=st.lists(TLS_ROUTE, min_size=1, max_size=3),
    **SHOWN,
)
DELEGATE = record({"http": st.lists(FORWARD | REDIRECT | DIRECT, min_size=1, max_size=3)}, exportTo=EXPORTS)
VIRTUAL_SERVICE = FOR_REQUESTS | FOR_CONNECTIONS | DELEGATE

BALANCERS = pick(
    {"simple": "ROUND_ROBIN"},
    {"simple": "PASSTHROUGH"},
    {"consistentHash": {"httpHeaderName": "x-user"}},
    {"consistentHash": {"useSourceIp": True, "maglev": {"tableSize": 65537}}},
    {"consistentHash": {"httpCookie": {"name": "c", "ttl": "1s"}, "ringHash": {"minimumRingSize": 64}}},
)
DISTRIBUTE = {"distribute": [{"from": "eu/*", "to": {"eu/a": 70, "us": 30}}]}
BALANCERS |= pick(
    {"simple": "ROUND_ROBIN", "warmup": {"duration": "10s", "aggression": 1.5}},
    {"localityLbSetting": DISTRIBUTE},
    {"backendUtilization": {"weightUpdatePeriod": "1s"}, "localityLbSetting": DISTRIBUTE},
    {"localityLbSetting": {"failover": [{"from": "eu", "to": "us"}]}},
    {"localityLbSetting": {"failoverPriority": ["app", "version=v1"]}},
    {"localityLbSetting": {"enabled": False}, "warmupDurationSecs": "1s"},
    {"zoneAwareLbSetting": {"minClusterSize": 1}},
)
TLS = pick(
    {"mode": "DISABLE"},
    {"mode": "ISTIO_MUTUAL"},
    {"mode": "ISTIO_MUTUAL", "sni": "m.example.com", "subjectAltNames": ["spiffe://b/ns/x/sa/y"]},
    {"mode": "SIMPLE"},
    {"mode": "SIMPLE", "sni": "a.example.com", "subjectAltNames": ["a", "spiffe://a"]},
    {"mode": "SIMPLE", "insecureSkipVerify": True},
)
BUDGETS = pick({"percent": 10.0}, {"minRetryConcurrency": 1, "budgetInterval": "1s"})
HEADERS_AHEAD = pick({"version": "V1"}, {"version": "V2"})
POOLS = pick(
    {"tcp": {"maxConnections": 1, "connectTimeout": "1s", "idleTimeout": "0s"}},
    {"http": {"h2UpgradePolicy": "UPGRADE", "maxRequestsPerConnection": 1}},
    {"http": {"useClientProtocol": True, "http1MaxPendingRequests": 1, "maxRetries": 2}},
)
OUTLIERS = pick(
    {"consecutive5xxErrors": 1}, {"interval": "1s", "minHealthPercent": 50, "maxEjectionPercent": 1}
)
TRAFFIC_POLICY = record(
    {"loadBalancer": BALANCERS},
    portLevelSettings=several(
        record({"port": pick({"number": 80}), "loadBalancer": BALANCERS}, connectionPool=POOLS, tls=TLS), 1
    ),
    connectionPool=POOLS,
    outlierDetection=OUTLIERS,
    tls=TLS,
    retryBudget=BUDGETS,
    proxyProtocol=HEADERS_AHEAD,
)
TUNNELS = pick({"targetHost": "far.example.com", "targetPort": 443}, {"targetHost": "::1", "targetPort": 1})
SUBSET_POLICY = record(
    {"outlierDetection": OUTLIERS}, loadBalancer=BALANCERS, connectionPool=POOLS, tls=TLS, tunnel=TUNNELS
)
DESTINATION_RULE = record(
    {"host": HOSTS | WILD},
    trafficPolicy=TRAFFIC_POLICY,
    subsets=st.lists(
        record({"name": SUBSETS, "labels": LABELS}, trafficPolicy=SUBSET_POLICY),
        max_size=2,
        unique_by=lambda subset: subset["name"],
    ),
    exportTo=EXPORTS,
    workloadSelector=st.fixed_dictionaries({"matchLabels": LABELS}),
)

SERVER = record(
    {
        "port": st.fixed_dictionaries(
            {"number": pick(80, 8080), "protocol": pick("HTTP", "HTTP2", "GRPC"), "name": pick("p", "q", "r")}
        ),
        "hosts": several(pick("*", "*.example.com", "./x.example.com", "other/y.example.com"), 2, 1),
    },
    bind=pick("127.0.0.1"),
)
OPAQUE_SERVER = record(
    {
        "port": st.fixed_dictionaries(
            {"number": pick(80, 443, 9080), "protocol": pick("TCP", "MONGO"), "name": pick("p", "q", "r")}
        ),
        "hosts": several(pick("*", "*.example.com"), 1, 1),
    }
)
CLOSED_SERVER = record(
    {
        "port": st.fixed_dictionaries(
            {"number": pick(443, 8443), "protocol": pick("TLS", "HTTPS"), "name": pick("p", "q", "r")}
        ),
        "hosts": several(pick("*", "*.example.com", "./x.example.com", "other/y.example.com"), 2, 1),
        "tls": pick({"mode": "PASSTHROUGH"}, {}),
    }
)
SERVER |= OPAQUE_SERVER | CLOSED_SERVER
GATEWAY = st.fixed_dictionaries({"selector": pick({"istio": "edge"}, {}), "servers": several(SERVER, 2, 1)})

PROTOCOLS = pick("HTTP", "HTTP2", "GRPC", "GRPC-WEB", "TCP", "TLS", "HTTPS", "MONGO", "REDIS", "MYSQL")
EGRESS_HOSTS = several(
    pick("*/*", "./*", "other/*", "~/*", "*/x.example.com", "./a.default.svc.cluster.local"), 2, 1
)
EGRESS = record(
    {
        "hosts": EGRESS_HOSTS,
        "port": st.fixed_dictionaries({"number": PORTS, "protocol": PROTOCOLS, "name": pick("p")}),
    },
    bind=pick("127.0.0.8", "::1"),
    captureMode=pick("NONE", "IPTABLES", "DEFAULT"),
)
SOCKET = record(
    {
        "hosts": EGRESS_HOSTS,
        "port": record({"protocol": PROTOCOLS}),
        "bind": pick("unix:///tmp/s", "unix://@s"),
    }
)
REST = record({"hosts": EGRESS_HOSTS}, captureMode=pick("NONE", "DEFAULT"), bind=pick("127.0.0.7"))
INGRESS = record(
    {"port": st.fixed_dictionaries({"number": PORTS, "protocol": PROTOCOLS, "name": pick("p")})},
    bind=pick("10.0.0.8", "::1"),
    captureMode=pick("NONE", "IPTABLES", "DEFAULT"),
    defaultEndpoint=pick("127.0.0.1:8080", "0.0.0.0:8080", "unix:///tmp/p", "[::1]:80"),
    connectionPool=POOLS,
)
SIDECAR = record(
    {
        "egress": st.tuples(several(EGRESS | SOCKET, 2), several(REST, 1, 1)).map(
            lambda parts: parts[0] + parts[1]
        )
    },
    ingress=several(INGRESS, 2),
    workloadSelector=st.fixed_dictionaries({"labels": LABELS}),
    outboundTrafficPolicy=pick({"mode": "REGISTRY_ONLY"}, {"mode": "ALLOW_ANY"}),
    inboundConnectionPool=POOLS,
)

SERVICE_PORTS = st.lists(
    record(
        {"number": PORTS, "name": pick("p", "q", "http-r", "tcp")}, protocol=PROTOCOLS, targetPort=pick(8080)
    ),
    min_size=1,
    max_size=2,
    unique_by=(lambda port: port["number"], lambda port: port["name"]),
)
ADDRESSES = several(pick("10.9.0.1", "10.9.0.2", "10.8.0.0/16", "fd09::1", "fd08::/64"), 2)
PLACES = {
    "labels": LABELS | pick({"app": "a", "security.istio.io/tlsMode": "istio"}),
    "serviceAccount": pick("a", "b"),
    "locality": pick("eu/a/1", "us"),
    "weight": pick(0, 1, 7),
}
STATIC = record(
    {
        "resolution": pick("STATIC"),
        "endpoints": several(record({"address": pick("10.0.0.1", "fd00::1", "10.0.0.2")}, **PLACES)),
    },
    addresses=ADDRESSES,
)
SELECTED = record(
    {"resolution": pick("STATIC"), "workloadSelector": st.fixed_dictionaries({"labels": LABELS})},
    addresses=ADDRESSES,
)
NONE = record({"resolution": pick("NONE")}, addresses=ADDRESSES)
DNS = record(
    {"resolution": pick("DNS", "DNS_ROUND_ROBIN")},
    endpoints=several(record({"address": pick("e.example.com", "10.0.0.9")}, **PLACES), 1, 1),
)


def _with(ports_and_hosts: tuple[list[Values], str, Values, list[str], str]) -> Values:
    ports, host, rest, exports, location = ports_and_hosts
    return {"hosts": [host], "ports": ports, "exportTo": exports, "location": location, **rest}


def _service(host: st.SearchStrategy[str]) -> st.SearchStrategy[Values]:
    return st.tuples(
        SERVICE_PORTS,
        host,
        STATIC | SELECTED | NONE | DNS,
        EXPORTS | pick(["~"]),
        pick("MESH_INTERNAL", "MESH_EXTERNAL"),
    ).map(_with)


SERVICE_ENTRY = _service(HOSTS | pick("*.example.com", "*.wild.example.com", "*-x.example.com"))
WORKLOAD_ENTRY = record(
    {"address": pick("10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1")}, ports=pick({"p": 8081}), **PLACES
)

PAYLOAD = pick({"text": "a"}, {"binary": "AAE="})
ASKING = (
    record(
        {"path": pick("/", "/a?b=%41")},
        host=pick("h.example.com"),
        method=pick("HEAD", "OPTIONS"),
        headers=pick({"x-a": "%", "x-b": ""}),
        expectedStatuses=pick([599], [100, 200, 201]),
    ).map(lambda http: {"http": http})
    | record({}, send=PAYLOAD, receive=several(PAYLOAD, 2)).map(lambda tcp: {"tcp": tcp})
    | record({}, service=pick("s"), authority=pick("a")).map(lambda grpc: {"grpc": grpc})
)
HEALTH_CHECK = st.builds(
    lambda rest, asking: {**rest, **asking},
    record(
        {"host": HOSTS},
        port=st.fixed_dictionaries({"number": PORTS}),
        endpointPort=pick(1, 8081),
        interval=pick("0.1s", "24h"),
        noTrafficInterval=DURATIONS,
        timeout=DURATIONS,
        unhealthyThreshold=pick(1, 1000),
        healthyThreshold=pick(1),
        minHealthPercent=pick(0, 100),
        exportTo=EXPORTS,
        workloadSelector=st.fixed_dictionaries({"matchLabels": LABELS}),
    ),
    ASKING,
)
MODES = pick({"mode": "STRICT"}, {"mode": "PERMISSIVE"}, {"mode": "DISABLE"}, {"mode": "UNSET"}, {})
PEER_AUTHENTICATION = record({}, mtls=MODES) | record(
    {"selector": pick({"matchLabels": {"app": "a"}})},
    mtls=MODES,
    portLevelMtls=st.dictionaries(pick("80", "9080", "7777"), MODES, max_size=2),
)

MESH_CONFIG = record(
    {},
    outboundTrafficPolicy=pick({"mode": "REGISTRY_ONLY"}, {"mode": "ALLOW_ANY"}),
    inboundTrafficPolicy=pick({"mode": "LOCALHOST"}),
    connectTimeout=DURATIONS,
    tcpKeepalive=pick({}, {"probes": 3, "time": "5s"}),
    h2UpgradePolicy=pick("UPGRADE", "DO_NOT_UPGRADE"),
    dnsRefreshRate=pick("0.002s", "24h"),
    defaultTrafficPolicy=pick(
        {"connectionPool": {"http": {"useClientProtocol": True}}},
        {"connectionPool": {"tcp": {"maxConnections": 1, "idleTimeout": "0s"}}, "outlierDetection": {}},
        {"outlierDetection": {"interval": "1s", "minHealthPercent": 50}},
    ),
    localityLbSetting=pick(
        {"enabled": False},
        {"distribute": [{"from": "eu/*", "to": {"eu/*": 90, "us": 10}}]},
        {"failover": [{"from": "eu", "to": "us"}]},
        {"failoverPriority": ["app", "topology.istio.io/network"]},
    ),
    zoneAwareLbSetting=pick({}, {"minClusterSize": 2}, {"enabled": False}),
    defaultHttpRetryPolicy=pick(
        {"attempts": 0}, {"attempts": 9, "retryOn": "503,reset", "retryRemoteLocalities": True}
    ),
    defaultInboundHttpRetryPolicy=pick(
        {"attempts": 0}, {"attempts": 1, "retryOn": "5xx,429", "backoff": "1ms"}
    ),
    defaultServiceExportTo=pick(["."], ["other"], ["~"]),
    defaultVirtualServiceExportTo=pick(["."], ["default"]),
    defaultDestinationRuleExportTo=pick(["."], ["*"]),
    accessLogFile=pick("", "/dev/null"),
    accessLogEncoding=pick("TEXT", "JSON"),
    pathNormalization=pick({"normalization": "NONE"}, {"normalization": "DECODE_AND_MERGE_SLASHES"}, {}),
    protocolDetectionTimeout=pick("0s", "1s"),
    defaultConfig=pick({"gatewayTopology": {"numTrustedProxies": 3}}, {"concurrency": 1}),
    extensionProviders=PROVIDERS,
    defaultProviders=DEFAULT_PROVIDERS,
)
PROXY_CONFIG = record(
    {"concurrency": pick(0, 2)},
    selector=st.fixed_dictionaries({"matchLabels": LABELS}),
    environmentVariables=pick({"A": "b"}, {"ISTIO_META_A": "b"}),
)

SPECS = {
    "MeshConfig": MESH_CONFIG,
    "ProxyConfig": PROXY_CONFIG,
    "VirtualService": VIRTUAL_SERVICE,
    "DestinationRule": DESTINATION_RULE,
    "Gateway": GATEWAY,
    "Sidecar": SIDECAR,
    "Telemetry": TELEMETRY,
    "ServiceEntry": SERVICE_ENTRY,
    "WorkloadEntry": WORKLOAD_ENTRY,
    "HealthCheck": HEALTH_CHECK,
    "RateLimit": RATE_LIMIT,
    "PeerAuthentication": PEER_AUTHENTICATION,
    "AuthorizationPolicy": AUTHORIZATION_POLICY,
    "RequestAuthentication": REQUEST_AUTHENTICATION,
    "EnvoyFilter": ENVOY_FILTER,
}


def _manifest(kind: str, spec: Values, namespace: str, name: str, day: int) -> Values:
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": f"2026-01-0{day}T00:00:00Z"}
    return {"apiVersion": KINDS[kind].preferred, "kind": kind, "metadata": metadata, "spec": spec}


_NAMES = {"Gateway": ("edge", "n1"), "MeshConfig": ("default",)}


def _kind(kind: str, spec: st.SearchStrategy[Values]) -> st.SearchStrategy[Values]:
    names = pick(*_NAMES.get(kind, ("n1", "n2", "n3")))
    namespaces = pick("istio-system") if kind == "MeshConfig" else pick(*NAMESPACES)
    return st.builds(_manifest, st.just(kind), spec, namespaces, names, st.integers(1, 3))


def valid(manifests: Iterable[Values]) -> list[AnyObject]:
    """The objects that are admitted, the last of each name."""
    parsed = [parse_object(manifest) for manifest in manifests]
    return list({obj.ref: obj for obj in parsed if not isinstance(obj, list)}.values())


MANIFESTS = st.one_of(*(_kind(kind, spec) for kind, spec in SPECS.items()))
MESHES = st.builds(
    lambda services, others: valid([*services, *others]),
    st.tuples(
        st.builds(
            _manifest,
            st.just("ServiceEntry"),
            _service(st.just("a")),
            st.just("default"),
            st.just("a"),
            pick(2),
        ),
        st.builds(
            _manifest,
            st.just("ServiceEntry"),
            _service(st.just("b")),
            st.just("other"),
            st.just("b"),
            pick(2),
        ),
        st.builds(
            _manifest,
            st.just("ServiceEntry"),
            _service(pick("x.example.com", "*.example.com")),
            pick(*NAMESPACES),
            st.just("x"),
            pick(2),
        ),
    ),
    st.lists(MANIFESTS, min_size=6, max_size=20),
)
