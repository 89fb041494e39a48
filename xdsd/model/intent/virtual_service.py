"""VirtualService: which requests to a host go where, and what happens to them on the way."""

from collections.abc import Iterator
from types import MappingProxyType

from xdsd.model.intent.base import (
    Finding,
    Int32,
    Message,
    PortNumber,
    Str,
    UPercent,
    absent,
    many,
    missing,
    needed,
    table,
    wrong,
)
from xdsd.model.intent.durations import Duration
from xdsd.model.intent.hosts import ExportTo, GatewayName, Host, NamespaceName, ObjectName, SniHost, Subnet
from xdsd.model.intent.http_actions import (
    CorsPolicy,
    HTTPDirectResponse,
    HTTPFaultInjection,
    HTTPMirrorPolicy,
    HTTPRedirect,
    HTTPRetry,
    HTTPRewrite,
)
from xdsd.model.intent.http_match import Headers, HTTPMatchRequest
from xdsd.model.intent.selector import Destination, Percent, export_findings, weight_findings
from xdsd.model.intent.values import Labels


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


class Delegate(Message):
    """Another VirtualService that holds the routes."""

    name: ObjectName | None = absent("Name of that VirtualService.")
    namespace: NamespaceName | None = absent("Its namespace; this object's if left out.")

    def findings(self) -> Iterator[Finding]:
        if self.name is None:
            yield missing("is missing; name the VirtualService that holds the routes", "name")


class HTTPRoute(Message):
    """What to do with requests that match; the first route that matches is taken."""

    at_most_one = (("mirror", "mirrors"), ("mirrorPercentage", "mirrorPercent"))
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

    def findings(self) -> Iterator[Finding]:
        yield from self._action_findings()
        yield from self._mirror_findings()
        yield from weight_findings([target.weight for target in self.route])
        if self.redirect is not None and self.redirect.prefix_rewrite:
            for index, match in enumerate(self.match):
                if match.uri is not None and match.uri.prefix is None:
                    why = "redirect.prefixRewrite replaces a prefix, so this match must be by prefix"
                    yield wrong(why, "match", index, "uri")
        changes = [("headers", *place) for place in self.headers.authority_changes()] if self.headers else []
        if self.rewrite is not None and self.rewrite.authority:
            changes.insert(0, ("rewrite", "authority"))
        for place in changes[1:]:
            yield wrong(f"the host is changed by {'.'.join(changes[0])} too; change it once", *place)

    def _action_findings(self) -> Iterator[Finding]:
        only = "redirect" if self.redirect else "directResponse" if self.direct_response else ""
        only = "delegate" if self.delegate else only
        if not only:
            if not self.route:
                yield missing("has no route; give route, redirect, directResponse or delegate")
            return
        excluded = ["route", "redirect", "directResponse"]
        excluded += ["fault", "rewrite"] if only != "delegate" else []
        attributes = {"directResponse": "direct_response"}
        for field in excluded:
            if field != only and self.is_set(attributes.get(field, field)):
                yield wrong(f"{only} is set too, and it takes the place of {field}", field)

    def _mirror_findings(self) -> Iterator[Finding]:
        if self.mirror is None:
            for field, value in (
                ("mirrorPercentage", self.mirror_percentage),
                ("mirrorPercent", self.mirror_percent),
            ):
                if value is not None:
                    yield missing("has no effect without mirror", field)


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

    sni_hosts: tuple[SniHost, ...] = needed("Server names, wildcards included.")
    destination_subnets: tuple[Subnet, ...] = many("Addresses or CIDR ranges of the destination.")
    port: PortNumber | None = absent("Port of the destination.")
    source_labels: Labels = table("Labels of the workload that connects.")
    gateways: tuple[GatewayName, ...] = many("Gateways this match is for.")
    source_namespace: NamespaceName | None = absent("Namespace of the workload that connects.")

    def findings(self) -> Iterator[Finding]:
        if not self.sni_hosts:
            yield missing("is empty; give at least one server name", "sniHosts")


class TCPRoute(Message):
    """Where TCP connections go."""

    match: tuple[L4MatchAttributes, ...] = many("Conditions of which one must hold; none matches all.")
    route: tuple[RouteDestination, ...] = many("Weighted destinations.")

    def findings(self) -> Iterator[Finding]:
        if not self.route:
            yield missing("is missing; give at least one destination", "route")
        yield from weight_findings([target.weight for target in self.route])


class TLSRoute(Message):
    """Where TLS connections go, by server name, without being opened."""

    match: tuple[TLSMatchAttributes, ...] = needed("Conditions of which one must hold.")
    route: tuple[RouteDestination, ...] = many("Weighted destinations.")

    def findings(self) -> Iterator[Finding]:
        if not self.match:
            yield missing("is empty; give at least one match with sniHosts", "match")
        if not self.route:
            yield missing("is missing; give at least one destination", "route")
        yield from weight_findings([target.weight for target in self.route])


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

    def findings(self) -> Iterator[Finding]:
        if not self.hosts:
            yield from self._delegate_findings()
        if not (self.http or self.tls or self.tcp):
            yield missing("is missing; give at least one route", "http")
        yield from export_findings(self.export_to)
        yield from self._host_findings()
        yield from self._sni_findings()

    def _delegate_findings(self) -> Iterator[Finding]:
        """An object without hosts holds routes for others, which say where they show."""
        if not self.http:
            yield missing("is empty; give at least one host, or http alone to delegate to", "hosts")
        for field in ("gateways", "tls", "tcp"):
            if self.is_set(field):
                why = "needs hosts; an object without any is a delegate, which has http alone"
                yield Finding((field,), why, stands=False)  # hosts that are malformed may be there
        for index, rule in enumerate(self.http):
            if rule.delegate is not None:
                why = "a delegate (an object without hosts) cannot delegate on; name its target in the root"
                yield Finding(("http", index, "delegate"), why, stands=False)

    def _host_findings(self) -> Iterator[Finding]:
        for_mesh = not self.gateways or MESH in self.gateways
        wildcards = {host[1:].lower() for host in self.hosts if host.startswith("*")}
        seen: set[str] = set()
        for index, host in enumerate(self.hosts):
            lower = host.lower()
            if host == "*" and for_mesh:
                yield wrong(
                    "'*' serves gateways only; name hosts, or list gateways without mesh", "hosts", index
                )
            if lower in seen:
                yield wrong(f"{host!r} is listed twice", "hosts", index)
            elif any(
                lower[start:] in wildcards for start in range(2 if host.startswith("*") else 0, len(host) + 1)
            ):
                yield wrong(f"{host!r} is covered by a wildcard of the same list", "hosts", index)
            seen.add(lower)

    def _sni_findings(self) -> Iterator[Finding]:
        if not self.hosts:
            return
        for route, match, index, sni in (
            (route, match, index, sni)
            for route, tls in enumerate(self.tls)
            for match, attributes in enumerate(tls.match)
            for index, sni in enumerate(attributes.sni_hosts)
        ):
            if not any(covers(host, sni) for host in self.hosts):
                why = f"{sni!r} is none of the hosts of this object, nor below a wildcard of theirs"
                yield wrong(why, "tls", route, "match", match, "sniHosts", index)


MESH = "mesh"


def covers(host: str, name: str) -> bool:
    """True if the host, perhaps a wildcard, names all that ``name`` names."""
    host, name = host.lower(), name.lower()
    return name.endswith(host[1:]) if host.startswith("*") else host == name
