"""What of Istio's MeshConfig is refused, and what to do instead."""

from collections.abc import Mapping
from types import MappingProxyType

_CA = "the daemon's settings name its CA: ca-cert, or vault-address"
_ROOTS = "the daemon's setting ca-root names the roots to trust"
_INGRESS = "Kubernetes' Ingress is not read; write a Gateway and a VirtualService"
_AMBIENT = "there are no ambient meshes here, only proxies"
_STATISTICS = "statistics are read from each proxy's admin page"
_AGENT = "there is no agent beside Envoy"
_TRACES = "write extensionProviders, and a Telemetry whose tracing names one"
_BOOTSTRAP = "it is a proxy's own; write xdsctl bootstrap"
_PORTS = "redirection is set up for the ports 15001 and 15006"
_NAMES = "clusters' names are those of statistics"

REFUSED_OF_MESHES: Mapping[str, str] = MappingProxyType(
    {
        "ca": _CA,
        "certificates": "the daemon's own certificates are files that its settings name",
        "configSources": "objects are in the daemon's store, which is its setting store",
        "disableEnvoyListenerLog": "listeners log connections into the access log itself; write accessLogFile",
        "discoverySelectors": "platforms are chosen by the daemon's setting registry",
        "enableEnvoyAccessLogService": "write extensionProviders with envoyHttpAls, and name that in a Telemetry",
        "enablePrometheusMerge": "programs and proxies are scraped apart",
        "enableTracing": _TRACES,
        "hboneIdleTimeout": _AMBIENT,
        "inboundClusterStatName": _NAMES,
        "ingressClass": _INGRESS,
        "ingressControllerMode": _INGRESS,
        "ingressSelector": _INGRESS,
        "ingressService": _INGRESS,
        "meshMTLS": "versions and ciphers between workloads are those that Envoy prefers",
        "outboundClusterStatName": _NAMES,
        "proxyHttpPort": f"{_BOOTSTRAP} --http-proxy-port",
        "proxyInboundListenPort": _PORTS,
        "proxyListenPort": _PORTS,
        "rootNamespace": "it is the daemon's setting root-namespace, by which this very object is found",
        "serviceEntryVisibility": "write defaultServiceExportTo",
        "serviceScopeConfigs": _AMBIENT,
        "serviceSettings": "endpoints are of no Kubernetes cluster; write exportTo, or localityLbSetting",
        "tlsDefaults": "write the tls of DestinationRules",
        "trustDomain": "it is the daemon's setting trust-domain",
        "verifyCertificateAtClient": "servers are always verified, unless a DestinationRule's tls says otherwise",
    }
)

REFUSED_OF_PROXIES: Mapping[str, str] = MappingProxyType(
    {
        "availabilityZone": f"{_BOOTSTRAP} --locality",
        "binaryPath": f"{_AGENT}; Envoy is started as its unit says",
        "caCertificatesPem": _ROOTS,
        "configPath": f"{_AGENT}; xdsctl bootstrap prints the one file there is",
        "connectionSettings": "write a DestinationRule's connectionPool; an EnvoyFilter says the rest",
        "controlPlaneAuthPolicy": f"{_BOOTSTRAP} --xds-address",
        "customConfigFile": f"{_AGENT}; an EnvoyFilter for BOOTSTRAP changes what xdsctl bootstrap prints",
        "discoveryAddress": f"{_BOOTSTRAP} --xds-address",
        "discoveryRefreshDelay": "nothing is polled",
        "envoyAccessLogService": "write extensionProviders with envoyHttpAls, and name that in a Telemetry",
        "envoyMetricsService": _STATISTICS,
        "envoyMetricsServiceAddress": _STATISTICS,
        "extraStatTags": f"{_STATISTICS}; an EnvoyFilter for BOOTSTRAP adds tags",
        "fileFlushInterval": "Envoy has it from its command line: --file-flush-interval-msec",
        "fileFlushMinSizeKb": "Envoy has it from its command line: --file-flush-min-size-kb",
        "holdApplicationUntilProxyStarts": f"{_AGENT}; order their units",
        "interceptionMode": f"{_BOOTSTRAP} --interception",
        "meshId": "write proxyMetadata with ISTIO_META_MESH_ID",
        "privateKeyProvider": "keys are plain ones, from a file or from the daemon",
        "proxyBootstrapTemplatePath": f"{_AGENT}; an EnvoyFilter for BOOTSTRAP changes what xdsctl bootstrap prints",
        "proxyHeaders": "an EnvoyFilter for NETWORK_FILTER changes what proxies add",
        "proxyStatsMatcher": f"{_STATISTICS}; an EnvoyFilter for BOOTSTRAP chooses among them",
        "readinessProbe": f"{_AGENT}; what registries call unhealthy gets no requests",
        "sds": "it says nothing any more in Istio either; take it out",
        "serviceCluster": "it is made of the label app and the namespace",
        "statNameLength": "Envoy knows no longest name",
        "statsCompression": f"{_AGENT}; Envoy's admin page compresses nothing",
        "statsdUdpAddress": f"{_STATISTICS}; an EnvoyFilter for BOOTSTRAP adds a sink",
        "statusPort": f"{_AGENT}; Envoy's admin page answers /ready",
        "terminationDrainDuration": f"{_AGENT}; Envoy's unit says how it is stopped",
        "tracing": _TRACES,
        "tracingServiceName": "it is made of the label app and the namespace",
        "zipkinAddress": _TRACES,
    }
)

_ONE = "a sidecar has one program to send to"

REFUSED_OF_INBOUND_RETRIES: Mapping[str, str] = MappingProxyType(
    {
        "perTryTimeout": f"{_ONE}, and callers' routes have the time limits",
        "retryIgnorePreviousHosts": _ONE,
        "retryRemoteLocalities": _ONE,
    }
)

_GONE = "Envoy has no such tracer any more; write opentelemetry"

REFUSED_OF_PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "lightstep": _GONE,
        "opencensus": _GONE,
        "sds": "secrets come from the daemon; keep them with xdsctl credential",
        "stackdriver": "it is a filter of Istio's own Envoy; write opentelemetry, and envoyOtelAls",
    }
)
