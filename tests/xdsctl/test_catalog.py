"""``xdsctl registries``, ``get services|endpoints|workloads`` and ``describe``: what registries report, and who says it."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from tests.api.access.people import binding, with_token
from tests.api.daemon import Daemon
from tests.xdsctl.conftest import Xdsctl
from tests.xdsctl.test_access import run
from xdsd.model.catalog import (
    Endpoint,
    Health,
    Location,
    Port,
    Protocol,
    Service,
    ServiceKey,
    Spread,
    Workload,
)
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.reconcile import SourceStatus
from xdsd.registry.base import CatalogChange
from xdsd.registry.catalog import Catalog

VMS, CONSUL = "machines:/vms", "consul:https://c:8501"
HTTP = Port(9080, "http", Protocol.HTTP, 9080, "name")
REVIEWS = ServiceKey("default", "reviews.default.svc.cluster.local")


def catalog() -> Catalog:
    """A service that two sources know, and one of another namespace."""
    found = Catalog()
    service = Service(
        *REVIEWS,
        (HTTP,),
        location=Location.MESH_INTERNAL,
        selector={"app": "reviews"},
        created="2026-01-01T00:00:00Z",
    )
    labels = {"app": "reviews", "version": "v1"}
    machine = Endpoint("10.0.0.1", labels=labels, locality="eu/a", service_account="reviews", weight=3)
    found.apply(VMS, CatalogChange((service,), workloads=(Workload("default", "r1", machine),)))
    ill = Endpoint("10.0.0.2", {"http": 9999}, {"app": "reviews"}, health=Health.UNHEALTHY)
    more = (HTTP, Port(9090, "metrics", Protocol.AUTO, 9090))
    theirs = replace(
        service,
        ports=more,
        selector=None,
        endpoints=(ill, machine),
        addresses=("10.9.0.1",),
        created="2026-02-01T00:00:00Z",
    )
    found.apply(CONSUL, CatalogChange((theirs,)))
    other = Service(
        "prod", "db.example.com", (Port(5432, "pg", Protocol.TCP, 5432, "protocol"),), export_to=(".",)
    )
    found.apply(CONSUL, CatalogChange((replace(other, endpoints=(Endpoint("10.1.0.1"),)),)))
    return found


@pytest.fixture
def filled(server: Daemon, xdsctl: Xdsctl) -> Xdsctl:
    server.mesh.catalog = catalog()
    server.mesh.given = {("prod", "db.example.com"): ("240.240.0.1",)}
    return xdsctl


def test_services_are_listed_with_their_sources(filled: Xdsctl) -> None:
    """Of a namespace or of all, by a short host too; data and names as for objects."""
    assert filled("get", "services").stdout.splitlines()[0].split() == [
        "NAME",
        "PORTS",
        "ENDPOINTS",
        "SOURCES",
        "AGE",
    ]
    (row,) = [
        line.split() for line in filled("get", "svc", "-n", "prod", "-o", "wide").stdout.splitlines()[1:]
    ]
    assert row == [
        "db.example.com", "5432/TCP", "1/1", CONSUL, "-", "240.240.0.1", "STATIC", "MESH_EXTERNAL", ".", "<none>",
    ]  # fmt: skip
    assert filled("get", "services", "-A", "-o", "name").stdout.splitlines() == [
        f"service.catalog.xdsd.io/{REVIEWS.hostname}",
        "service.catalog.xdsd.io/db.example.com",
    ]
    for name in ("reviews", "reviews.default", REVIEWS.hostname):
        found = json.loads(filled("get", f"service/{name}", "-o", "json").stdout)
        assert (found["kind"], found["metadata"]["name"]) == ("Service", REVIEWS.hostname)
    assert found["sources"] == [VMS, CONSUL]
    assert found["ports"][1] == {
        "number": 9090, "name": "metrics", "protocol": "AUTO", "basis": "", "targetPort": 9090, "sources": [CONSUL],
    }  # fmt: skip
    assert found["addresses"] == [{"address": "10.9.0.1", "sources": [CONSUL]}]
    assert found["endpoints"] == {"total": 2, "healthy": 1}
    missing = filled("get", "svc", "nobody")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert 'services.catalog.xdsd.io "nobody" not found in namespace default' in missing.stderr
    assert "No services found in empty namespace." in filled("get", "svc", "-n", "empty").stderr


def test_endpoints_are_listed_with_who_says_what(filled: Xdsctl) -> None:
    """One that several report has all of them; ports are those that it serves."""
    items = yaml.safe_load(filled("get", "endpoints", "reviews", "-o", "yaml").stdout)["items"]
    machine, ill = items
    assert (machine["address"], machine["workload"], machine["sources"]) == ("10.0.0.1", "r1", [VMS, CONSUL])
    assert machine["ports"] == {"http": 9080, "metrics": 9090}
    assert (ill["address"], ill["health"], ill["sources"], ill["healthSources"]) == (
        "10.0.0.2",
        "UNHEALTHY",
        [CONSUL],
        [CONSUL],
    )
    assert ill["ports"] == {"http": 9999, "metrics": 9090}
    chosen = filled("get", "ep", "-A", "-l", "version=v1", "--no-headers").stdout.split()
    both = f"{VMS},{CONSUL}"
    assert chosen == ["default", REVIEWS.hostname, "10.0.0.1", "http=9080,metrics=9090", "HEALTHY", both]
    assert "key=value" in filled("get", "ep", "-l", "a b").stderr


def test_a_port_without_a_name_is_its_number(server: Daemon, xdsctl: Xdsctl) -> None:
    """As kubectl shows it; ports with names say theirs."""
    server.mesh.catalog = Catalog()
    plain = Service(
        "default", "plain", (Port(80, "", Protocol.HTTP, 8080),), endpoints=(Endpoint("10.0.0.1"),)
    )
    both = replace(plain, hostname="both", ports=(*plain.ports, Port(90, "http", Protocol.HTTP, 90)))
    server.mesh.catalog.apply(VMS, CatalogChange((plain, both)))
    rows = [line.split() for line in xdsctl("get", "endpoints", "--no-headers").stdout.splitlines()]
    assert {row[0]: row[2] for row in rows} == {"plain": "8080", "both": "8080,http=90"}
    described = xdsctl("describe", "service", "plain").stdout
    assert "=8080" not in described
    assert "8080" in described


def test_workloads_are_listed_with_the_services_that_select_them(filled: Xdsctl) -> None:
    """Each with its source."""
    assert [line.split() for line in filled("get", "workloads").stdout.splitlines()] == [
        ["NAME", "ADDRESS", "HEALTH", "SERVICES", "SOURCE"],
        ["r1", "10.0.0.1", "HEALTHY", REVIEWS.hostname, VMS],
    ]
    found = json.loads(filled("get", "wl", "r1", "-o", "json").stdout)
    assert (found["weight"], found["locality"], found["source"]) == (3, "eu/a", VMS)
    assert filled("get", "wl", "r2").exit_code == 1


def test_what_cannot_be_meant_together_is_wrong_usage(filled: Xdsctl) -> None:
    """As of objects; services have no labels."""
    for words, says in (
        (("svc", "a", "-A"), "a name is of one namespace"),
        (("ep", "a", "-l", "b=c"), "a name and a selector exclude each other"),
        (("svc", "-l", "b=c"), "services have no labels; select endpoints or workloads"),
        (("wl", "a", "b", "--watch"), "--watch follows one kind"),
    ):
        result = filled("get", *words)
        assert result.exit_code == 2
        assert says in result.stderr


def test_a_watch_tells_what_changes(server: Daemon, filled: Xdsctl) -> None:
    """What is there comes first, then each change, until interrupted."""
    assert filled("get", "wl").exit_code == 0
    command = [sys.executable, "-c", "from api.cli import main; main()", "--endpoint", server.endpoint]
    words = ["get", "workloads", "--watch", "-o", "name"]
    with subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ADDED workload.catalog.xdsd.io/r1\n"
            moved = Workload("default", "r1", Endpoint("10.0.0.9"))

            async def move() -> None:
                server.mesh.catalog.apply(VMS, CatalogChange(workloads=(moved,)))

            server.run(move())
            assert [process.stdout.readline() for _ in range(2)] == [
                "DELETED workload.catalog.xdsd.io/r1\n",
                "ADDED workload.catalog.xdsd.io/r1\n",
            ]
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


OBJECTS = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: routes}
spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: page, namespace: front}
spec: {hosts: [page.example.com], http: [{route: [{destination: {host: reviews.default.svc.cluster.local}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: calls}
spec: {host: "*.default.svc.cluster.local", trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict}
spec: {selector: {matchLabels: {app: reviews}}, mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers}
spec: {selector: {matchLabels: {version: v1}}, rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: others}
spec: {selector: {matchLabels: {version: v9}}, rules: [{}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: all, namespace: istio-system}
spec: {rules: [{}]}
"""


def test_a_service_is_described_with_all_that_concerns_it(server: Daemon, filled: Xdsctl) -> None:
    """Facts and their sources, the objects that are for it and how, and what is wrong with it."""
    assert filled("apply", "-f", "-", input=OBJECTS).exit_code == 0
    server.mesh.found = [
        Problem(Reason.CONFLICT, "two say", ObjectRef("Service", *REVIEWS), severity=Severity.WARNING),
        Problem(Reason.CONFLICT, "of another", ObjectRef("Service", "prod", "db.example.com")),
    ]
    text = filled("describe", "service", "reviews").stdout
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert f"Sources: {VMS}, {CONSUL}" in lines
    assert f"Addresses: 10.9.0.1 ({CONSUL})" in lines
    assert "Visible to: all namespaces" in lines
    assert "Identities: spiffe://cluster.local/ns/default/sa/reviews" in lines
    assert f"9080 http HTTP by the port's name 9080,9999 {VMS}, {CONSUL}" in lines
    assert f"9090 metrics AUTO not declared 9090 {CONSUL}" in lines
    assert f"10.0.0.1 http=9080,metrics=9090 HEALTHY eu/a - 3 reviews r1 - {VMS}, {CONSUL}" in lines
    objects = lines[lines.index("Objects:") + 2 : lines.index("Problems:")]
    assert (
        objects
        == [
            "AuthorizationPolicy default/callers says who may call it (ALLOW)",
            "AuthorizationPolicy istio-system/all says who may call it (ALLOW)",
            "DestinationRule default/calls says how it is called",
            "PeerAuthentication default/strict mutual TLS STRICT, of workloads with app=reviews",
            "VirtualService default/routes routes what is sent to it",
            "VirtualService front/page sends requests to it",
        ]
        or sorted(objects) == objects
    )
    assert lines[lines.index("Problems:") + 1 :] == [
        f"warning: Service default/{REVIEWS.hostname}: two say (Conflict)"
    ]
    found = json.loads(filled("describe", "svc", REVIEWS.hostname, "-o", "json").stdout)
    assert found["visibleTo"] == ["*"]
    assert [each["address"] for each in found["endpointList"]] == ["10.0.0.1", "10.0.0.2"]
    own = filled("describe", "service", "db.example.com", "-n", "prod").stdout
    assert "Visible to:  prod\n" in own
    assert "240.240.0.1 (given by the mesh)" in own
    elsewhere = filled("describe", "service", "db.example.com")
    assert elsewhere.exit_code == 1
    assert "there is no service db.example.com in namespace default; there is one in prod" in elsewhere.stderr


def test_a_service_tells_which_endpoints_callers_prefer(filled: Xdsctl, server: Daemon) -> None:
    """And each endpoint and workload its node."""
    endpoint = Endpoint("10.4.0.1", node="east/one")
    service = Service(
        "default", "near.test", (HTTP,), selector={}, location=Location.MESH_INTERNAL, spread=Spread.OWN_NODE
    )
    server.mesh.catalog.apply(
        CONSUL, CatalogChange((service,), workloads=(Workload("default", "n", endpoint),))
    )
    lines = filled("describe", "svc/near.test").stdout.splitlines()
    assert "Callers:     reach the endpoints on their own node alone (internalTrafficPolicy: Local)" in lines
    (row,) = (line.split() for line in lines if line.split()[:1] == ["10.4.0.1"])
    assert "east/one" in row
    assert "Node:        east/one" in filled("describe", "workload", "n").stdout.splitlines()
    found = json.loads(filled("describe", "svc/near.test", "-o", "json").stdout)
    assert found["spread"] == "Local"
    assert "east/one" in [each["node"] for each in found["endpointList"]]


def test_a_service_is_described_by_the_first_words_of_its_host(filled: Xdsctl, server: Daemon) -> None:
    """Where one has them and none is meant by them otherwise; where several have them, all are named."""

    def add(host: str) -> None:
        service = Service("default", host, (HTTP,), location=Location.MESH_INTERNAL)
        server.mesh.catalog.apply(CONSUL, CatalogChange((service,)))

    add("dup.service.consul")
    add("reviews.service.consul")
    add("duplex.service.consul")
    for words in ("dup", "dup.service", "dup.service.consul"):
        assert "dup.service.consul" in filled("describe", f"svc/{words}").stdout.splitlines()[0]
    assert REVIEWS.hostname in filled("describe", "svc/reviews").stdout.splitlines()[0]
    assert "duplex" not in filled("get", "svc", "dup").stdout
    add("dup.service.dc1.consul")
    several = filled("describe", "svc/dup.service")
    assert several.exit_code != 0
    both = "dup.service.consul, dup.service.dc1.consul"
    assert (
        f"dup.service means several services in namespace default: {both}; name one in full" in several.stderr
    )
    assert filled("describe", "svc/dup.service.consul").exit_code == 0
    assert "there is no service du in namespace default" in filled("describe", "svc/du").stderr


EVERYTHING = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {selector: {app: edge}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: unused}
spec: {selector: {app: edge}, servers: [{port: {number: 81, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: entrance}
spec:
  hosts: ["*"]
  gateways: [edge]
  http: [{name: all, route: [{destination: {host: reviews}}]}]
---
apiVersion: policy.xdsd.io/v1
kind: RateLimit
metadata: {name: by-route}
spec: {targetRefs: [{kind: VirtualService, name: entrance}], local: [{limit: {requests: 5, unit: MINUTE}}]}
---
apiVersion: policy.xdsd.io/v1
kind: RateLimit
metadata: {name: of-gateway}
spec: {targetRefs: [{kind: Gateway, name: unused}], local: [{limit: {requests: 5, unit: MINUTE}}]}
---
apiVersion: policy.xdsd.io/v1
kind: RateLimit
metadata: {name: own}
spec: {selector: {matchLabels: {app: reviews}}, local: [{limit: {requests: 5, unit: MINUTE}}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: door}
spec: {targetRefs: [{group: networking.istio.io, kind: Gateway, name: edge}], rules: [{}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: scope}
spec: {egress: [{hosts: ["./*"]}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: older, namespace: istio-system}
spec: {egress: [{hosts: ["*/*"]}]}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: patch}
spec:
  workloadSelector: {labels: {app: reviews}}
  configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {connect_timeout: 5s}}}]
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: threads}
spec: {concurrency: 1}
"""


def test_nothing_that_concerns_a_service_is_left_out(filled: Xdsctl) -> None:
    """Its workloads' Sidecar, limits, patches and starts; and what stands where requests for it come in."""
    applied = filled("apply", "-f", "-", input=EVERYTHING)
    assert applied.exit_code == 0, applied.stderr
    found = json.loads(filled("describe", "svc", "reviews", "-o", "json").stdout)["objects"]
    assert {f"{each['kind']} {each['namespace']}/{each['name']}": each["how"] for each in found} == {
        "AuthorizationPolicy default/door": "says who may call it (ALLOW) at Gateway default/edge",
        "EnvoyFilter default/patch": "patches its proxies, of workloads with app=reviews",
        "Gateway default/edge": "lets requests to it in",
        "ProxyConfig default/threads": "starts its proxies, as everywhere in its namespace",
        "RateLimit default/by-route": "limits requests on their way by VirtualService default/entrance",
        "RateLimit default/own": "limits requests, of workloads with app=reviews",
        "Sidecar default/scope": "says what its workloads take and reach, as everywhere in its namespace",
        "VirtualService default/entrance": "routes what is sent to it at the gateways edge",
    }


def test_what_a_platform_says_of_a_service_is_told_with_it(server: Daemon, filled: Xdsctl) -> None:
    """Problems name what stands on the platform: the service there, lists of its endpoints, and what is behind it."""
    server.mesh.found = [
        Problem(Reason.INVALID_VALUE, kind, ObjectRef(kind, namespace, name), file="kubernetes:east")
        for kind, namespace, name in (
            ("Service", "default", "reviews"),
            ("EndpointSlice", "default", "reviews-x7k2p"),
            ("ConsulService", "default", "Reviews"),
            ("WorkloadEntry", "default", "r1"),
            ("Service", "prod", "reviews"),
            ("EndpointSlice", "default", "reviews-old-x7k2p"),
            ("Pod", "default", "r2"),
            ("Secret", "default", "reviews"),
        )
    ]
    found = json.loads(filled("describe", "svc", "reviews", "-o", "json").stdout)["problems"]
    assert [each["message"] for each in found] == [
        "Service",
        "EndpointSlice",
        "ConsulService",
        "WorkloadEntry",
    ]


def test_a_workload_is_described(filled: Xdsctl) -> None:
    """With its source and the services that select it."""
    text = filled("describe", "workload", "r1").stdout
    assert f"Source:      {VMS}\n" in text
    assert f"Services:    {REVIEWS.hostname}\n" in text
    assert filled("describe", "wl", "nobody").exit_code == 1


def test_what_registries_report_is_not_applied(filled: Xdsctl) -> None:
    """Whoever tries is told what to write instead."""
    shown = filled("get", "svc", "reviews", "-o", "yaml").stdout
    result = filled("apply", "-f", "-", input=shown)
    assert result.exit_code == 1
    assert "Service is what registries report, and only read; write a ServiceEntry" in result.stderr


def test_a_caller_sees_the_services_of_its_namespaces(server: Daemon, filled: Xdsctl) -> None:
    """Lists leave the others out, and what is asked for by namespace is refused."""
    assert filled("get", "svc").exit_code == 0
    token = with_token(server, "ada", binding("viewer", "prod")).token
    assert run(server, "get", "svc", "-A", "-o", "name", TOKEN=token).stdout == (
        "service.catalog.xdsd.io/db.example.com\n"
    )
    assert run(server, "get", "ep", "-A", "--no-headers", TOKEN=token).stdout.split()[0] == "prod"
    assert "No workloads" in run(server, "get", "wl", "-A", TOKEN=token).stderr
    for words in (("get", "svc"), ("get", "ep"), ("get", "wl"), ("describe", "service", "reviews")):
        refused = run(server, *words, TOKEN=token)
        assert refused.exit_code == 1
        assert "ada may not read objects" in refused.stderr


def test_registries_are_listed_with_their_states(
    server: Daemon, xdsctl: Xdsctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is synced, who is not yet, who is stale since when and why; with 1 where not all are synced."""
    now = datetime.now(UTC)
    monkeypatch.setattr("api.commands.registries.now", lambda: now)
    stale = SourceStatus(
        CONSUL,
        True,
        "connection refused",
        3,
        0,
        5,
        1,
        2,
        now - timedelta(minutes=4),
        now - timedelta(hours=3),
    )
    server.mesh.registries = [
        SourceStatus("store", synced=True, last_sync=now - timedelta(seconds=30)),
        replace(stale, last_change=now - timedelta(minutes=30), last_error="connection refused"),
        SourceStatus(VMS),
    ]
    result = xdsctl("registries", "-o", "wide")
    assert result.exit_code == 1
    rows = [line.split("   ") for line in result.stdout.splitlines()]
    table = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    columns = "NAME KIND STATE LAST-SYNC LAST-CHANGE SERVICES WORKLOADS ENDPOINTS PROBLEMS OUTAGES LAST-ERROR"
    assert table == [
        columns.split(),
        ["store", "store", "SYNCED", "30s", "-", "0", "0", "0", "0", "0", "-"],
        [CONSUL, "consul", "STALE since 4m", "3h", "30m", "3", "0", "5", "1", "2", "connection refused"],
        [VMS, "machines", "SYNCING", "-", "-", "0", "0", "0", "0", "0", "-"],
    ]
    assert result.stderr == f"{CONSUL}: connection refused\nnothing is served yet: waiting for {VMS}\n"
    (found,) = json.loads(xdsctl("registries", "consul", "-o", "json").stdout)["registries"]
    assert (found["state"], found["kind"], found["endpoints"], found["outages"]) == ("STALE", "consul", 5, 2)
    assert found["lastSync"].startswith(f"{now - timedelta(hours=3):%Y-%m-%dT%H:%M}")
    assert xdsctl("registries", "store").exit_code == 0
    assert "there is no source" in xdsctl("registries", "nobody").stderr


def test_whoever_looks_is_told_what_is_waited_for(server: Daemon, filled: Xdsctl) -> None:
    """A list that lacks what a source has not reported says so, and so does the word that something is not there."""
    server.mesh.registries = [
        SourceStatus("store", synced=True),
        SourceStatus(VMS, stale="no such folder"),
        SourceStatus(CONSUL, given_up=True),
    ]
    told = [
        f"waiting for {VMS} (no such folder): nothing is served yet",
        f"{CONSUL} is left out: it has not reported yet",
    ]
    for words in (
        ("get", "services"),
        ("get", "endpoints"),
        ("describe", "service", "reviews"),
        ("proxies",),
    ):
        assert filled(*words).stderr.splitlines()[:2] == told
    result = filled("describe", "service", "shop")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[:2] == told
    assert "there is no service shop" in result.stderr
    assert ["MISSING" in line for line in filled("registries").stdout.splitlines()[1:]] == [
        False,
        False,
        True,
    ]


def test_a_list_of_objects_tells_of_those_that_are_none(server: Daemon, xdsctl: Xdsctl) -> None:
    """ServiceEntries and WorkloadEntries of machine lists are no objects, so their list says who has more and where it is
    shown; data, other kinds and meshes without registries are left alone.
    """
    told = (
        f"What {VMS} declares is no object of the store: xdsctl get services and xdsctl get workloads show it"
    )
    server.mesh.registries = [SourceStatus("store", services=4), SourceStatus(CONSUL)]
    assert "declares" not in xdsctl("get", "serviceentries").stderr
    server.mesh.registries = [SourceStatus("store"), SourceStatus(CONSUL), SourceStatus(VMS, workloads=1)]
    for kind in ("serviceentries", "workloadentries", "se,vs"):
        assert told in xdsctl("get", kind).stderr
    for words in (("get", "vs"), ("get", "se", "-o", "json"), ("get", "se", "-o", "name")):
        assert "declares" not in xdsctl(*words).stderr
