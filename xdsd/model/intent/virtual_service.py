"""VirtualService: which requests to a host go where, and what happens to them on the way."""

from enum import StrEnum
from types import MappingProxyType

from xdsd.model.intent.base import (
    Bool,
    Int32,
    Message,
    Percent32,
    PortNumber,
    Str,
    UInt32,
    UPercent,
    absent,
    many,
    needed,
    table,
)
from xdsd.model.intent.selector import Destination, Labels, Percent
from xdsd.model.intent.values import (
    Authority,
    Base64,
    Duration,
    ExportTo,
    GatewayName,
    GrpcStatus,
    HeaderName,
    Host,
    HttpStatus,
    Method,
    NamespaceName,
    ObjectName,
    Regex,
    RetryOn,
    Subnet,
)


class StringMatch(Message):
    """How a text is compared: exactly one form, and the comparison minds upper and lower case."""

    at_most_one = (("exact", "prefix", "regex"),)

    exact: Str | None = absent("The whole text.")
    prefix: Str | None = absent("How the text begins.")
    regex: Regex | None = absent("RE2 expression that the whole text matches.")


class HTTPMatchRequest(Message):
    """Conditions on a request; all of them must hold."""

    name: Str | None = absent("Name of this match, joined to the route's name in access logs.")
    uri: StringMatch | None = absent("Path of the request.")
    scheme: StringMatch | None = absent("Scheme: http or https.")
    method: StringMatch | None = absent("Method, in capitals.")
    authority: StringMatch | None = absent("The Host or :authority header.")
    headers: dict[HeaderName, StringMatch] = table(
        "Headers by lower-case name; an empty match means present."
    )
    port: PortNumber | None = absent("Port that the request was sent to.")
    source_labels: Labels = table("Labels of the workload that sends.")
    gateways: tuple[GatewayName, ...] = many("Gateways this match is for; overrides the object's list.")
    query_params: dict[Str, StringMatch] = table("Query parameters by name.")
    ignore_uri_case: Bool | None = absent("Compare the path without minding case; exact and prefix only.")
    without_headers: dict[HeaderName, StringMatch] = table("Headers that must not match.")
    source_namespace: NamespaceName | None = absent("Namespace of the workload that sends.")
    stat_prefix: Str | None = absent("Prefix of the statistics that Envoy keeps for this route.")


class HeaderOperations(Message):
    """Changes to headers: removed first, then added, then set."""

    set: dict[HeaderName, Str] = table("Headers to overwrite.")
    add: dict[HeaderName, Str] = table("Headers to append.")
    remove: tuple[HeaderName, ...] = many("Headers to remove.")


class Headers(Message):
    """Header changes in both directions."""

    request: HeaderOperations | None = absent("Changes before the request is forwarded.")
    response: HeaderOperations | None = absent("Changes before the response is returned.")


class HTTPRouteDestination(Message):
    """One of the destinations of a route, with its share."""

    destination: Destination = needed("Where requests go.")
    weight: Int32 | None = absent("Share of requests, relative to the sum of all weights of the route.", ge=0)
    headers: Headers | None = absent("Header changes for this destination only.")


class RouteDestination(Message):
    """One of the destinations of a TCP or TLS route, with its share."""

    destination: Destination = needed("Where connections go.")
    weight: Int32 | None = absent(
        "Share of connections, relative to the sum of all weights of the route.", ge=0
    )


class RedirectPortSelection(StrEnum):
    """Where a redirect's port comes from when none is written."""

    FROM_PROTOCOL_DEFAULT = "FROM_PROTOCOL_DEFAULT"
    FROM_REQUEST_PORT = "FROM_REQUEST_PORT"


class HTTPRedirect(Message):
    """Answer with a redirect instead of forwarding."""

    at_most_one = (("port", "derivePort"), ("uri", "prefixRewrite"))

    uri: Str | None = absent("Path (with query) of the new location.")
    prefix_rewrite: Str | None = absent("Replacement of the matched prefix in the new location.")
    authority: Authority | None = absent("Host of the new location.")
    port: PortNumber | None = absent("Port of the new location.")
    derive_port: RedirectPortSelection | None = absent("How to choose the port of the new location.")
    scheme: Str | None = absent("Scheme of the new location: http or https.")
    redirect_code: UInt32 | None = absent("Status of the answer: 301, 302, 303, 307 or 308; 301 if left out.")


class RegexRewrite(Message):
    """Rewrites the part of a path that an expression matches."""

    match: Regex | None = absent("RE2 expression.")
    rewrite: Str | None = absent("Replacement; \\1 to \\9 stand for groups.")


class HTTPRewrite(Message):
    """Changes path or host before forwarding."""

    at_most_one = (("uri", "uriRegexRewrite"),)

    uri: Str | None = absent("Replacement of the path, or of its matched prefix.")
    authority: Authority | None = absent("Replacement of the Host or :authority header.")
    uri_regex_rewrite: RegexRewrite | None = absent("Rewrite of the path by expression.")


class HTTPRetry(Message):
    """How often and when a failed request is tried again."""

    attempts: Int32 | None = absent("Retries; 0 switches them off.", ge=0)
    per_try_timeout: Duration | None = absent("Time limit of each try; the route's timeout if left out.")
    retry_on: RetryOn | None = absent("Comma-separated conditions or status codes.")
    retry_remote_localities: Bool | None = absent(
        "Whether a retry may go to another locality.", nullable=True
    )
    retry_ignore_previous_hosts: Bool | None = absent(
        "Whether a retry avoids hosts that failed.", nullable=True
    )
    backoff: Duration | None = absent("Least pause between tries; 25ms if left out.")


class Delay(Message):
    """Holds requests back before they are forwarded."""

    at_most_one = (("fixedDelay", "exponentialDelay"),)

    percent: Percent32 | None = absent(
        "Share of requests to delay, in whole percent; percentage is preferred."
    )
    fixed_delay: Duration | None = absent("How long a request is held.")
    exponential_delay: Duration | None = absent("Mean of exponentially spread delays.")
    percentage: Percent | None = absent("Share of requests to delay.")


class Abort(Message):
    """Answers requests with an error instead of forwarding them."""

    at_most_one = (("httpStatus", "grpcStatus", "http2Error"),)

    http_status: HttpStatus | None = absent("HTTP status of the answer.")
    grpc_status: GrpcStatus | None = absent("gRPC status of the answer, by name.")
    http2_error: Str | None = absent("HTTP/2 error of the answer.")
    percentage: Percent | None = absent("Share of requests to abort.")


class HTTPFaultInjection(Message):
    """Faults on purpose, to see how callers take them."""

    delay: Delay | None = absent("Delay before forwarding.")
    abort: Abort | None = absent("Error instead of forwarding.")


class UnmatchedPreflights(StrEnum):
    """What happens to a preflight request from an origin that is not allowed."""

    UNSPECIFIED = "UNSPECIFIED"
    FORWARD = "FORWARD"
    IGNORE = "IGNORE"


class CorsPolicy(Message):
    """Which other origins a browser may call from."""

    allow_origin: tuple[Str, ...] = many("Origins, compared exactly; allowOrigins is preferred.")
    allow_origins: tuple[StringMatch, ...] = many("Origins that may call.")
    allow_methods: tuple[Method, ...] = many("Methods that may be used.")
    allow_headers: tuple[HeaderName, ...] = many("Request headers that may be sent.")
    expose_headers: tuple[HeaderName, ...] = many("Response headers that a script may read.")
    max_age: Duration | None = absent("How long a preflight answer may be cached.")
    allow_credentials: Bool | None = absent("Whether credentials may be sent.", nullable=True)
    unmatched_preflights: UnmatchedPreflights | None = absent("What happens to other origins' preflights.")


class HTTPMirrorPolicy(Message):
    """A destination that gets copies; its answers are dropped."""

    destination: Destination = needed("Where copies go.")
    percentage: Percent | None = absent("Share of requests to copy; all if left out.")


class HTTPBody(Message):
    """The body of a fixed answer."""

    at_most_one = (("string", "bytes"),)

    string: Str | None = absent("Body as text.")
    bytes: Base64 | None = absent("Body as base64.")


class HTTPDirectResponse(Message):
    """A fixed answer instead of forwarding."""

    status: UInt32 = needed("HTTP status of the answer.", ge=200, le=599)
    body: HTTPBody | None = absent("Body of the answer.")


class Delegate(Message):
    """Another VirtualService that holds the routes."""

    name: ObjectName | None = absent("Name of that VirtualService.")
    namespace: NamespaceName | None = absent("Its namespace; this object's if left out.")


class HTTPRoute(Message):
    """What to do with requests that match; the first route that matches is taken."""

    spellings = MappingProxyType({"mirror_percent": "mirrorPercent"})

    name: Str | None = absent("Name for access logs and explanations.")
    match: tuple[HTTPMatchRequest, ...] = many(
        "Conditions of which one must hold; none matches all requests."
    )
    route: tuple[HTTPRouteDestination, ...] = many("Weighted destinations.")
    redirect: HTTPRedirect | None = absent("Answer with a redirect.")
    direct_response: HTTPDirectResponse | None = absent("Answer with a fixed response.")
    delegate: Delegate | None = absent("Take the routes from another VirtualService.")
    rewrite: HTTPRewrite | None = absent("Change path or host before forwarding.")
    timeout: Duration | None = absent("Time limit of a request, retries included; none if left out.")
    retries: HTTPRetry | None = absent("Retry policy.")
    fault: HTTPFaultInjection | None = absent("Faults on purpose.")
    mirror: Destination | None = absent("Destination of copies of requests.")
    mirrors: tuple[HTTPMirrorPolicy, ...] = many("Destinations of copies of requests, each with its share.")
    mirror_percent: UPercent | None = absent(
        "Share of requests to copy in whole percent; mirrorPercentage is preferred.", nullable=True
    )
    mirror_percentage: Percent | None = absent("Share of requests to copy; all if left out.")
    cors_policy: CorsPolicy | None = absent("Which other origins may call.")
    headers: Headers | None = absent("Header changes.")


class L4MatchAttributes(Message):
    """Conditions on a TCP connection; all of them must hold."""

    destination_subnets: tuple[Subnet, ...] = many("Addresses or CIDR ranges of the destination.")
    port: PortNumber | None = absent("Port of the destination.")
    source_labels: Labels = table("Labels of the workload that connects.")
    gateways: tuple[GatewayName, ...] = many("Gateways this match is for.")
    source_namespace: NamespaceName | None = absent("Namespace of the workload that connects.")
    source_subnet: Subnet | None = absent("Address or CIDR range of the source.")


class TLSMatchAttributes(Message):
    """Conditions on a TLS connection that is passed through; all of them must hold."""

    sni_hosts: tuple[Host, ...] = needed("Server names, wildcards included.")
    destination_subnets: tuple[Subnet, ...] = many("Addresses or CIDR ranges of the destination.")
    port: PortNumber | None = absent("Port of the destination.")
    source_labels: Labels = table("Labels of the workload that connects.")
    gateways: tuple[GatewayName, ...] = many("Gateways this match is for.")
    source_namespace: NamespaceName | None = absent("Namespace of the workload that connects.")


class TCPRoute(Message):
    """Where TCP connections go."""

    match: tuple[L4MatchAttributes, ...] = many("Conditions of which one must hold; none matches all.")
    route: tuple[RouteDestination, ...] = many("Weighted destinations.")


class TLSRoute(Message):
    """Where TLS connections go, by server name, without being opened."""

    match: tuple[TLSMatchAttributes, ...] = needed("Conditions of which one must hold.")
    route: tuple[RouteDestination, ...] = many("Weighted destinations.")


class VirtualService(Message):
    """Routes for the hosts it names, tried in their order."""

    hosts: tuple[Host, ...] = many("Hosts whose traffic this object routes; wildcards as first label.")
    gateways: tuple[GatewayName, ...] = many(
        "Gateways that apply it; mesh stands for all sidecars, the default."
    )
    http: tuple[HTTPRoute, ...] = many("Routes of HTTP requests.")
    tls: tuple[TLSRoute, ...] = many("Routes of TLS connections that are passed through.")
    tcp: tuple[TCPRoute, ...] = many("Routes of TCP connections.")
    export_to: tuple[ExportTo, ...] = many(
        "Namespaces that see it: names, . for its own, * for all (default)."
    )
