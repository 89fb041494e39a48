"""What objects mean to each other is told as warnings, each with its object and field path."""

from typing import Any

import pytest

from tests.intents.objects import entry, made, route, rule, texts
from xdsd.compile.proxies import proxy_of
from xdsd.intents.admission import warnings
from xdsd.intents.world import Observed, World
from xdsd.manifest import AnyObject
from xdsd.model.catalog import Endpoint, Port, Protocol, Service, Workload
from xdsd.model.node import Node
from xdsd.model.problem import Reason, Severity

NOTHING = Observed()


def told(*objects: AnyObject, observed: Observed | None = None) -> list[str]:
    """The warnings of the last object beside the others."""
    found = warnings(World(objects, observed), objects[-1:])
    assert all(problem.severity is Severity.WARNING for problem in found)
    assert all(problem.object == objects[-1].ref for problem in found)
    return [f"{problem.path}: {problem.message}" for problem in found]


def virtual_service(**spec: Any) -> AnyObject:
    return made("VirtualService", "vs", {"hosts": ["reviews"], **spec})


def to(host: str, **destination: Any) -> dict[str, Any]:
    return {"destination": {"host": host, **destination}}


def gateway(*hosts: str, namespace: str = "default") -> AnyObject:
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": list(hosts)}
    return made("Gateway", "gw", {"selector": {"istio": "ingress"}, "servers": [server]}, namespace=namespace)


def aged(obj: AnyObject, day: int) -> AnyObject:
    return made(
        obj.kind,
        obj.metadata.name,
        obj.spec.model_dump(mode="json", exclude_defaults=True),
        namespace=obj.metadata.namespace,
        creationTimestamp=f"2026-01-{day:02}T00:00:00Z",
    )


def test_subset_that_no_rule_defines() -> None:
    """A destination's subset must be defined by a DestinationRule of its host; the others are named."""
    path = "spec.http[0].route[0].destination.subset"
    host = "reviews.default.svc.cluster.local"
    nothing_arrives = "so nothing arrives there: requests are answered with 503, connections are closed"
    assert told(route("reviews", subset="v1")) == [
        f"{path}: no DestinationRule of {host} defines the subset 'v1', {nothing_arrives}"
    ]
    assert told(rule("reviews", "v2", "v1"), route("reviews", subset="v3")) == [
        f"{path}: no DestinationRule of {host} defines the subset 'v3', {nothing_arrives}; there are v1, v2"
    ]
    assert told(rule("reviews", "v1"), route("reviews", subset="v1")) == []


def test_subset_of_a_rule_elsewhere() -> None:
    """A rule counts if its host, short, full or wildcard, is the destination's and its namespace lets it be seen."""
    wanted = route("reviews", subset="v1")
    full = {"host": "REVIEWS.default.svc.cluster.local", "subsets": [{"name": "v1"}]}
    wild = {"host": "*.svc.cluster.local", "subsets": [{"name": "v1"}]}
    assert told(made("DestinationRule", "dr", full, namespace="elsewhere"), wanted) == []
    assert told(made("DestinationRule", "dr", wild, namespace="elsewhere"), wanted) == []
    assert (
        told(made("DestinationRule", "dr", {**full, "exportTo": ["default"]}, namespace="elsewhere"), wanted)
        == []
    )
    assert (
        len(told(made("DestinationRule", "dr", {**full, "exportTo": ["."]}, namespace="elsewhere"), wanted))
        == 1
    )
    assert len(told(rule("reviews", "v1", namespace="elsewhere"), wanted)) == 1


def test_every_destination_is_looked_at() -> None:
    """Routes and mirrors of every rule are looked at, each with its own path."""
    found = told(
        virtual_service(
            http=[
                {"name": "first", "match": [{"uri": {"prefix": "/a"}}], "route": [to("a", subset="x")]},
                {
                    "route": [{**to("a"), "weight": 1}, {**to("b", subset="y"), "weight": 1}],
                    "mirror": {"host": "c", "subset": "z"},
                },
                {"route": [to("a")], "mirrors": [to("a"), to("d", subset="w")]},
            ]
        )
    )
    assert [line.partition(":")[0] for line in found] == [
        "spec.http[0].route[0].destination.subset",
        "spec.http[1].route[1].destination.subset",
        "spec.http[1].mirror.subset",
        "spec.http[2].mirrors[1].destination.subset",
        "spec.http[2]",
    ]


def test_host_that_nothing_declares() -> None:
    """A destination's or rule's host must be declared by an entry or a registry, where registries are known."""
    host = "reviews.default.svc.cluster.local"
    lost = f"nothing declares the host {host}: no ServiceEntry and no registry"
    assert told(route("reviews"), observed=NOTHING) == [f"spec.http[0].route[0].destination.host: {lost}"]
    assert told(rule("reviews"), observed=NOTHING) == [f"spec.host: {lost}"]
    assert told(route("reviews")) == []
    assert told(entry("reviews"), route("reviews"), observed=NOTHING) == []
    port = Port(9080, "http", Protocol.HTTP, 9080)
    seen = Observed((Service("elsewhere", host, (port,)),))
    assert told(route("reviews"), observed=seen) == []


def test_host_below_a_wildcard_is_declared() -> None:
    """An entry of a wildcard declares every host below it."""
    wild = made(
        "ServiceEntry", "wild", {"hosts": ["*.example.com"], "ports": [{"number": 80, "name": "http"}]}
    )
    assert told(wild, route("api", "api.example.com"), observed=NOTHING) == []
    assert told(wild, made("DestinationRule", "dr", {"host": "*.example.com"}), observed=NOTHING) == []
    assert len(told(wild, route("api", "example.com"), observed=NOTHING)) == 1


def test_port_that_a_host_does_not_have() -> None:
    """A destination's port must be one of its host's."""
    wrong = virtual_service(http=[{"route": [to("reviews", port={"number": 80})]}])
    message = "reviews.default.svc.cluster.local has no port 80; its ports are 9080"
    assert told(entry("reviews"), wrong) == [f"spec.http[0].route[0].destination.port.number: {message}"]
    right = virtual_service(http=[{"route": [to("reviews", port={"number": 9080})]}])
    assert told(entry("reviews"), right) == []


@pytest.mark.parametrize("name", ["gw", "default/gw", "mesh"])
def test_gateway_that_is_there(name: str) -> None:
    """A gateway is named plainly in its own namespace, with the namespace in others; mesh is none."""
    assert told(gateway("*"), virtual_service(gateways=[name], http=[{"route": [to("reviews")]}])) == []


def test_gateway_that_is_not_there() -> None:
    """A gateway that is not there is told where it is named, in matches too."""
    http = [{"match": [{"gateways": ["elsewhere/other"]}], "route": [to("reviews")]}]
    assert told(gateway("*"), virtual_service(gateways=["gw", "lost", "mesh"], http=http)) == [
        "spec.gateways[1]: there is no Gateway default/lost",
        "spec.http[0].match[0].gateways[0]: there is no Gateway elsewhere/other",
    ]


@pytest.mark.parametrize(
    ("server", "host", "served"),
    [
        ("*", "shop.example.com", True),
        ("shop.example.com", "SHOP.example.com", True),
        ("*.example.com", "shop.example.com", True),
        ("shop.example.com", "*.example.com", True),
        ("other.example.com", "shop.example.com", False),
        ("*.example.com", "example.com", False),
        ("default/*", "shop.example.com", True),
        ("other/*", "shop.example.com", False),
        ("./*", "shop.example.com", True),
    ],
)
def test_host_that_no_server_takes(server: str, host: str, *, served: bool) -> None:
    """A host bound to a gateway must be one of a server's, and open to the namespace."""
    bound = made(
        "VirtualService", "vs", {"hosts": [host], "gateways": ["gw"], "http": [{"route": [to("a")]}]}
    )
    found = told(gateway(server), bound)
    assert found == (
        []
        if served
        else [f"spec.hosts[0]: no server of Gateway default/gw is for {host!r} of namespace default"]
    )


def test_server_of_another_namespace() -> None:
    """A server for its gateway's own namespace takes nobody else's hosts."""
    bound = made(
        "VirtualService", "vs", {"hosts": ["a.com"], "gateways": ["edge/gw"], "http": [{"route": [to("a")]}]}
    )
    assert len(told(gateway("./*", namespace="edge"), bound)) == 1
    assert told(gateway("default/*", namespace="edge"), bound) == []


def test_older_virtual_service_of_the_same_host() -> None:
    """Of two VirtualServices that route a host for the same sidecars, the younger one is told who wins."""
    old, young = aged(route("a", "reviews"), 1), aged(route("b", "reviews"), 2)
    message = (
        "spec.hosts[0]: sidecars that see VirtualService default/a too route"
        " reviews.default.svc.cluster.local as that says, since it is older"
    )
    assert told(old, young) == [message]
    assert told(young, old) == []


def test_virtual_services_that_do_not_meet() -> None:
    """VirtualServices for gateways, or exported to different namespaces, do not get in each other's way."""
    spec = {"hosts": ["reviews.com"], "http": [{"route": [to("a.com")]}]}
    alone = made("VirtualService", "a", {**spec, "exportTo": ["."]}, creationTimestamp="2026-01-01T00:00:00Z")
    apart = made(
        "VirtualService", "b", {**spec, "exportTo": ["other"]}, creationTimestamp="2026-01-02T00:00:00Z"
    )
    edge = made("VirtualService", "c", {**spec, "gateways": ["gw"]}, creationTimestamp="2026-01-03T00:00:00Z")
    assert told(alone, apart) == []
    assert told(alone, gateway("*"), edge) == []
    meets = made(
        "VirtualService",
        "d",
        {**spec, "exportTo": ["other", "default"]},
        creationTimestamp="2026-01-04T00:00:00Z",
    )
    assert len(told(alone, meets)) == 1


@pytest.mark.parametrize(
    ("kind", "spec", "path"),
    [
        (
            "Sidecar",
            {"workloadSelector": {"labels": {"app": "a"}}, "egress": [{"hosts": ["./*"]}]},
            "spec.workloadSelector.labels",
        ),
        (
            "ServiceEntry",
            {
                "hosts": ["a.com"],
                "resolution": "STATIC",
                "ports": [{"number": 80, "name": "http"}],
                "workloadSelector": {"labels": {"app": "a"}},
            },
            "spec.workloadSelector.labels",
        ),
        (
            "DestinationRule",
            {"host": "a.com", "exportTo": ["."], "workloadSelector": {"matchLabels": {"app": "a"}}},
            "spec.workloadSelector.matchLabels",
        ),
        ("PeerAuthentication", {"selector": {"matchLabels": {"app": "a"}}}, "spec.selector.matchLabels"),
    ],
)
def test_selector_that_selects_nothing(kind: str, spec: dict[str, Any], path: str) -> None:
    """A selector must match a workload of the namespace, where registries are known."""
    chosen = made(kind, "chosen", spec)
    host = made("ServiceEntry", "host", {"hosts": ["a.com"], "ports": [{"number": 80, "name": "http"}]})
    none = "no declared workload of namespace default carries app=a"
    lost = (
        f"{path}: selects nothing: {none}"
        if kind == "ServiceEntry"
        else f"{path}: selects nothing yet: {none}, nor does a proxy that is connected here"
    )
    assert told(host, chosen, observed=NOTHING) == [lost]
    assert told(host, chosen) == []
    workload = {"address": "10.0.0.1", "labels": {"app": "a"}}
    assert told(host, made("WorkloadEntry", "w", workload), chosen, observed=NOTHING) == []
    assert told(host, made("WorkloadEntry", "w", workload, namespace="other"), chosen, observed=NOTHING) == [
        lost
    ]
    seen = Observed(
        workloads=(Workload("default", "w", Endpoint("10.0.0.1", labels={"app": "a", "x": "y"})),)
    )
    assert told(host, chosen, observed=seen) == []


def test_machines_that_will_register_are_selected() -> None:
    """A WorkloadGroup says which labels its machines carry, before any of them is there."""
    group = made("WorkloadGroup", "g", {"metadata": {"labels": {"app": "a"}}, "template": {}})
    selector = {"workloadSelector": {"labels": {"app": "a"}}, "egress": [{"hosts": ["./*"]}]}
    assert told(group, made("Sidecar", "s", selector), observed=NOTHING) == []


def test_a_connected_proxy_is_selected_without_being_declared() -> None:
    """By what is for proxies; services select what is declared."""
    node = Node(
        "sidecar~10.0.0.1~a-1.default~default.svc.cluster.local", "a", metadata={"LABELS": {"app": "a"}}
    )
    seen = Observed(proxies=(proxy_of(node),))
    labels = {"workloadSelector": {"labels": {"app": "a"}}}
    chosen = made("Sidecar", "s", {**labels, "egress": [{"hosts": ["./*"]}]})
    assert told(chosen, observed=seen) == []
    other = made("Sidecar", "s", {**labels, "egress": [{"hosts": ["./*"]}]}, namespace="other")
    assert len(told(other, observed=seen)) == 1
    ports = [{"number": 80, "name": "http"}]
    service = {"hosts": ["a.com"], "resolution": "STATIC", "ports": ports, **labels}
    assert len(told(made("ServiceEntry", "e", service), observed=seen)) == 1


def test_second_sidecar_for_a_namespace() -> None:
    """Of two Sidecars for a whole namespace the younger one is told that it has no effect."""
    spec = {"egress": [{"hosts": ["./*"]}]}
    old = made("Sidecar", "a", spec, creationTimestamp="2026-01-01T00:00:00Z")
    young = made("Sidecar", "b", spec, creationTimestamp="2026-01-02T00:00:00Z")
    message = "spec: has no effect: Sidecar default/a is older and is for the whole namespace too"
    assert told(old, young) == [message]
    assert told(young, old) == []
    assert told(made("Sidecar", "a", spec, namespace="other"), young) == []


def test_second_peer_authentication_for_a_namespace() -> None:
    """Of two PeerAuthentications for a whole namespace the younger one is told that it has no effect."""
    spec = {"mtls": {"mode": "STRICT"}}
    old = made("PeerAuthentication", "a", spec, creationTimestamp="2026-01-01T00:00:00Z")
    young = made("PeerAuthentication", "b", spec, creationTimestamp="2026-01-02T00:00:00Z")
    chosen = made("PeerAuthentication", "c", {**spec, "selector": {"matchLabels": {"app": "a"}}})
    message = "spec: has no effect: PeerAuthentication default/a is older and is for the whole namespace too"
    assert told(old, young) == [message]
    assert told(young, old) == []
    assert told(old, chosen) == []


def test_reasons_are_stable() -> None:
    """What is missing is a BrokenReference; what is in the way is a Conflict."""
    old, young = aged(route("a", "reviews", subset="v1"), 1), aged(route("b", "reviews", subset="v1"), 2)
    found = warnings(World([old, young]), [young])
    assert [problem.reason for problem in found] == [Reason.BROKEN_REFERENCE, Reason.CONFLICT]
    assert texts(found)[0].startswith(
        "VirtualService default/b spec.http[0].route[0].destination.subset: no "
    )


def test_rule_that_nothing_reaches() -> None:
    """A rule behind one that takes all that it matches; removing another object does not tell of it again."""
    rules = [{"match": [{"uri": {"prefix": "/a"}}], "route": [to("a")]}] * 2
    found = warnings(World([virtual_service(http=rules)]), [virtual_service(http=rules)])
    assert [(each.reason, each.path) for each in found] == [(Reason.UNREACHABLE_RULE, "spec.http[1]")]
    assert found[0].message == "is never reached: spec.http[0] takes every request that it matches"


def held(namespace: str = "team", **spec: Any) -> AnyObject:
    return made("VirtualService", "held", {"http": [{"route": [to("reviews")]}], **spec}, namespace=namespace)


def test_delegates_that_hold_nothing_for_others() -> None:
    """A delegate that is not there, has hosts of its own, or is not exported is told where it is named."""
    first = {"match": [{"port": 9080}], "route": [to("reviews")]}
    root = virtual_service(http=[first, {"delegate": {"name": "held", "namespace": "team"}}])
    ending = "so this rule takes no requests; without another rule for them the answer is 404"
    path, name = "spec.http[1].delegate", "VirtualService team/held"
    assert told(held(), root) == []
    assert told(held(exportTo=["default"]), root) == []
    assert told(root) == [f"{path}: there is no {name}, {ending}"]
    assert told(held("other"), root) == [f"{path}: there is no {name}, {ending}"]
    assert told(held(hosts=["a"]), root) == [
        f"{path}: {name} has hosts of its own; a delegate has none, {ending}"
    ]
    assert told(held(exportTo=["."]), root) == [
        f"{path}: {name} is not exported to namespace default, {ending}"
    ]


def test_what_names_a_delegate_is_looked_at_when_it_goes() -> None:
    """Those that delegate to an object are found by it."""
    root = virtual_service(http=[{"delegate": {"name": "held", "namespace": "team"}}])
    world = World([root, held()])
    assert list(world.referring(held())) == [root]


def test_objects_for_requests_and_for_connections_do_not_meet() -> None:
    """Two objects of one host are rivals only where both have rules of one kind."""
    older = aged(virtual_service(http=[{"route": [to("reviews")]}]), 1)
    tcp = made("VirtualService", "tcp", {"hosts": ["reviews"], "tcp": [{"route": [to("reviews")]}]})
    http = made("VirtualService", "http", {"hosts": ["reviews"], "http": [{"route": [to("reviews")]}]})
    assert told(older, aged(tcp, 2)) == []
    assert len(told(older, aged(http, 2))) == 1


def test_gateways_of_connections_are_looked_for_too() -> None:
    """Matches of tcp and tls name gateways as those of http do."""
    match = {"match": [{"gateways": ["gw"], "sniHosts": ["reviews"]}], "route": [to("reviews")]}
    opaque = {"match": [{"gateways": ["gw"]}], "route": [to("reviews")]}
    assert told(virtual_service(tls=[match], tcp=[opaque])) == [
        "spec.tls[0].match[0].gateways[0]: there is no Gateway default/gw",
        "spec.tcp[0].match[0].gateways[0]: there is no Gateway default/gw",
    ]


def test_destinations_that_clients_do_not_see_are_told() -> None:
    """A service of another namespace counts for those that it is exported to, as declared or as the mesh says."""
    spec = {"hosts": ["priv.com"], "ports": [{"number": 80, "name": "http"}]}
    hidden = made("ServiceEntry", "priv", {**spec, "exportTo": ["."]}, namespace="team")
    wanted = virtual_service(http=[{"route": [to("priv.com")]}])
    why = "priv.com is declared in namespace team and not exported to namespace default, so nothing arrives there"
    assert told(hidden, wanted) == [f"spec.http[0].route[0].destination.host: {why}"]
    assert told(made("ServiceEntry", "priv", spec, namespace="team"), wanted) == []
    assert told(made("ServiceEntry", "own", {**spec, "exportTo": ["."]}), hidden, wanted) == []
    port = Port(80, "http", Protocol.HTTP, 80)
    seen = Observed((Service("elsewhere", "priv.com", (port,), export_to=("~",)),))
    assert len(told(wanted, observed=seen)) == 1
    exported = virtual_service(http=[{"route": [to("priv.com")]}], exportTo=["team"])
    assert told(hidden, exported) == []
    root = virtual_service(http=[{"delegate": {"name": "held", "namespace": "team"}}])
    holding = held(http=[{"route": [to("priv.com")]}])
    assert len(told(hidden, root, holding)) == 1
    assert told(hidden, holding) == []


def test_a_match_that_no_request_fits() -> None:
    """It is told at its own path."""
    rules = [{"match": [{"uri": {"exact": "a"}}], "route": [to("reviews")]}]
    (found,) = told(virtual_service(http=rules))
    assert found.startswith("spec.http[0].match[0].uri: no request matches: ")


def test_a_host_that_another_namespace_declared_before() -> None:
    """Clients have the one or the other, so the younger is told, unless nobody sees both."""
    spec = {"hosts": ["a.com"], "ports": [{"number": 80, "name": "http"}]}
    old = aged(made("ServiceEntry", "a", spec, namespace="team"), 1)
    young = aged(made("ServiceEntry", "b", spec), 2)
    why = (
        "ServiceEntry team/a declares a.com too and is older: clients outside of namespace default that see both have its"
        " endpoints alone"
    )
    assert told(old, young) == [f"spec.hosts[0]: {why}"]
    assert told(young, old) == []
    assert told(aged(made("ServiceEntry", "c", spec), 1), young) == []
    assert told(old, aged(made("ServiceEntry", "b", {**spec, "exportTo": ["."]}), 2)) == []


def policy(name: str = "p", namespace: str = "default", **spec: Any) -> AnyObject:
    return made("AuthorizationPolicy", name, {"action": "DENY", "rules": [{}], **spec}, namespace=namespace)


@pytest.mark.parametrize("kind", ["AuthorizationPolicy", "RequestAuthentication"])
def test_a_policy_for_no_workload(kind: str) -> None:
    """Workloads, endpoints that a service lists and connected proxies are chosen, of every namespace by the root one."""
    spec: dict[str, Any] = {"selector": {"matchLabels": {"app": "a"}}}
    rules = {"action": "DENY", "rules": [{}]}
    spec |= rules if kind == "AuthorizationPolicy" else {"jwtRules": [{"issuer": "https://a.example"}]}
    chosen, wide = made(kind, "p", spec), made(kind, "p", spec, namespace="istio-system")
    lost = (
        "spec.selector.matchLabels: selects nothing yet: no declared workload of namespace default carries app=a, nor does a"
        " proxy that is connected here"
    )
    assert told(chosen) == []
    assert told(chosen, observed=NOTHING) == [lost]
    workload = {"address": "10.0.0.1", "labels": {"app": "a"}}
    listing = {"hosts": ["a.com"], "resolution": "STATIC", "ports": [{"number": 80, "name": "http"}]}
    for there in (
        made("WorkloadEntry", "w", workload),
        made("ServiceEntry", "e", {**listing, "endpoints": [workload]}),
    ):
        assert told(there, chosen, observed=NOTHING) == []
        assert told(there, wide, observed=NOTHING) == []
    elsewhere = made("WorkloadEntry", "w", workload, namespace="other")
    assert told(elsewhere, chosen, observed=NOTHING) == [lost]
    assert told(elsewhere, wide, observed=NOTHING) == []


def test_values_that_nothing_has_are_told() -> None:
    """Against the trust domains that are known: the mesh's, its aliases and those that others vouch for."""
    source = {"principals": ["till", "their.example/ns/a/sa/b", "clustr.local/ns/default/sa/till"]}
    rules = [{"from": [{"source": source}], "to": [{"operation": {"paths": ["//a"]}}]}]
    unknown = told(policy(rules=rules))
    assert [each.partition(":")[0] for each in unknown] == [
        "spec.rules[0].from[0].source.principals[0]",
        "spec.rules[0].to[0].operation.paths[0]",
    ]
    seen = Observed(trust=("cluster.local", "their.example"))
    assert [each.partition(":")[0] for each in told(policy(rules=rules), observed=seen)] == [
        "spec.rules[0].from[0].source.principals[0]",
        "spec.rules[0].from[0].source.principals[2]",
        "spec.rules[0].to[0].operation.paths[0]",
    ]
    mesh = made(
        "MeshConfig",
        "default",
        {"trustDomainAliases": ["clustr.local"], "pathNormalization": {"normalization": "NONE"}},
        namespace="istio-system",
    )
    assert len(told(mesh, policy(rules=rules), observed=seen)) == 1


def ports_of(*numbers: str) -> AnyObject:
    spec = {"selector": {"matchLabels": {"app": "a"}}, "mtls": {"mode": "STRICT"}}
    return made(
        "PeerAuthentication", "p", {**spec, "portLevelMtls": {each: {"mode": "DISABLE"} for each in numbers}}
    )


def test_ports_where_no_workload_is_served() -> None:
    """That of a service is no port of its workloads where they listen at another; which is meant is told."""
    ports = [{"number": 80, "name": "http", "targetPort": 8080}, {"number": 90, "name": "metrics"}]
    service = {"hosts": ["a.default.svc.cluster.local"], "resolution": "STATIC", "ports": ports}
    workload = {"address": "10.0.0.1", "labels": {"app": "a"}, "ports": {"metrics": 9090}}
    listing = made("ServiceEntry", "s", {**service, "endpoints": [workload]})
    chosen = {**service, "workloadSelector": {"labels": {"app": "a"}}}
    selecting = made("ServiceEntry", "s", chosen), made("WorkloadEntry", "w", workload)
    meant = "80 is a port of the service a.default.svc.cluster.local, whose workloads are served at 8080; write that"
    wanted = [
        f"spec.portLevelMtls.80: has no effect: {meant}",
        "spec.portLevelMtls.7: has no effect: no workload that it selects is served at 7; they are at 8080, 9090",
    ]
    for declared in ((listing,), selecting):
        assert told(*declared, ports_of("80", "8080", "9090", "7")) == wanted
    assert told(ports_of("80")) == []
    endpoint = Endpoint("10.0.0.1", labels={"app": "a"})
    http = Port(80, "http", Protocol.HTTP, 8080)
    seen = Observed((Service("default", "a.com", (http,), endpoints=(endpoint,)),))
    assert told(ports_of("8080"), observed=seen)[1:] == []
    assert "served at 8080; write that" in told(ports_of("80"), observed=seen)[-1]
    behind = Service("default", "a.com", (http,), selector={"app": "a"})
    seen = Observed((behind,), (Workload("default", "w", endpoint),))
    assert "served at 8080; write that" in told(ports_of("80"), observed=seen)[-1]
