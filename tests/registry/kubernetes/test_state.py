"""What objects mean together, however they come."""

import operator
from dataclasses import replace
from typing import Any

import pytest

from tests.registry.kubernetes.cluster import DOMAIN, backed_by, endpoint_slice, named, node, pod, service
from xdsd.model.catalog import NOT_SERVED, Endpoint, Health, ServiceKey, WorkloadKey
from xdsd.model.problem import ObjectRef, Reason, Severity
from xdsd.registry.base import CatalogChange
from xdsd.registry.catalog import Catalog
from xdsd.registry.kubernetes.facts import Name
from xdsd.registry.kubernetes.kinds import Kind
from xdsd.registry.kubernetes.programs import CLUSTER_LABEL
from xdsd.registry.kubernetes.state import ClusterState

A = ServiceKey("default", "a.default.svc.mesh.local")


def state_of(*objects: Any, **options: str) -> ClusterState:
    """A state that was told of these, and asked."""
    state = ClusterState(source="kubernetes", domain=DOMAIN, root="root", **options)
    put(state, *objects)
    return state


def put(state: ClusterState, *objects: Any) -> None:
    for obj in objects:
        state.put(Kind(obj["kind"]), obj)


def told(state: ClusterState) -> CatalogChange:
    """What the state says changed."""
    return state.take() or CatalogChange()


def endpoints(state: ClusterState) -> tuple[Endpoint, ...]:
    """The endpoints of the one service that is reported."""
    (found,) = told(state).services
    return found.endpoints


def test_an_endpoint_is_what_slice_pod_and_node_say() -> None:
    """Labels and identity are the pod's, the locality is the node's."""
    state = state_of(
        node("one", "r", "z"),
        pod("p", "10.0.0.1", {"app": "a"}, account="web"),
        endpoint_slice("s", "a", [backed_by("p", "10.0.0.1")]),
        service("a"),
        network="net",
    )
    assert endpoints(state) == (
        Endpoint("10.0.0.1", {}, {"app": "a"}, "r/z", 1, "net", "web", Health.HEALTHY, node="one"),
    )


def test_a_named_cluster_is_a_label() -> None:
    """Subsets choose clusters by it."""
    state = state_of(service("a"), endpoint_slice("s", "a", ["10.0.0.1"]), cluster="east")
    assert endpoints(state)[0].labels == {"topology.istio.io/cluster": "east"}


def test_the_network_of_the_root_namespace_is_everybodys() -> None:
    """Unless a pod says otherwise; and a change of it is everybody's too."""
    root: dict[str, Any] = {
        "kind": "Namespace",
        "metadata": named("root", labels={"topology.istio.io/network": "n1"}),
    }
    own = pod("p", "10.0.0.2", {"topology.istio.io/network": "own"})
    slices = endpoint_slice("s", "a", ["10.0.0.1", backed_by("p", "10.0.0.2")])
    state = state_of(service("a"), slices, own, root)
    assert [each.network for each in endpoints(state)] == ["n1", "own"]
    root["metadata"]["labels"]["topology.istio.io/network"] = "n2"
    put(state, root)
    assert [each.network for each in told(state).endpoints[A]] == ["n2", "own"]


def test_a_flip_changes_the_endpoints_alone() -> None:
    """The service is not said again, and other services are not looked at."""
    state = state_of(service("a"), service("b"), *(endpoint_slice(name, name, ["10.0.0.1"]) for name in "ab"))
    told(state)
    put(state, endpoint_slice("a", "a", ["10.0.0.1", "10.0.0.2"]))
    change = told(state)
    assert change == CatalogChange(endpoints={A: (Endpoint("10.0.0.1"), Endpoint("10.0.0.2"))})
    assert not state.pending


def test_what_means_nothing_says_nothing() -> None:
    """A node's or a pod's heartbeat is no change."""
    state = state_of(service("a"), node("one", "r", "z"), pod("p", "10.0.0.1"))
    told(state)
    beaten = pod("p", "10.0.0.1")
    beaten["status"]["startTime"] = "2026-01-02T03:04:05Z"
    put(state, beaten, node("one", "r", "z"), service("a"))
    assert not state.pending
    assert state.take() is None


def test_an_endpoint_waits_for_its_pod() -> None:
    """Without its labels and identity it would be in no subset, and nobody would trust it; that it waits is said."""
    state = state_of(service("a"), endpoint_slice("s", "a", [backed_by("p", "10.0.0.1")]))
    assert endpoints(state) == ()
    (waiting,) = state.take_problems()["EndpointSlice default/s pods"]
    assert waiting.reason is Reason.BROKEN_REFERENCE
    assert "waits for the pod default/p" in waiting.message
    put(state, pod("p", "10.0.0.1", {"app": "a"}))
    assert [each.labels for each in told(state).endpoints[A]] == [{"app": "a"}]
    assert state.take_problems()["EndpointSlice default/s pods"] == ()


def test_where_pods_may_not_be_read_nobody_waits_for_them() -> None:
    """Endpoints without labels are better than none."""
    state = state_of(service("a"), endpoint_slice("s", "a", [backed_by("p", "10.0.0.1")]))
    told(state)
    state.know_pods(False)
    assert told(state).endpoints[A] == (Endpoint("10.0.0.1"),)
    state.know_pods(True)
    assert told(state).endpoints[A] == ()


def test_a_node_that_moves_takes_its_pods_along() -> None:
    """Workloads and endpoints alike."""
    state = state_of(
        service("a"), pod("p", "10.0.0.1"), endpoint_slice("s", "a", [backed_by("p", "10.0.0.1")])
    )
    told(state)
    put(state, node("one", "r", "z"))
    change = told(state)
    assert [each.locality for each in change.endpoints[A]] == ["r/z"]
    assert [each.endpoint.locality for each in change.workloads] == ["r/z"]


def test_zones_of_slices_count_where_nodes_are_unknown() -> None:
    """They are all that is known then."""
    item = {"addresses": ["10.0.0.1"], "zone": "z", "nodeName": "gone"}
    assert endpoints(state_of(service("a"), endpoint_slice("s", "a", [item])))[0].locality == "/z"


def test_slices_say_where_named_ports_are() -> None:
    """Each its own, and one that a slice does not have is not served there."""
    ports = [{"name": "http", "port": 80, "targetPort": "web"}, {"name": "tcp", "port": 90, "targetPort": 90}]
    one = endpoint_slice(
        "s1", "a", ["10.0.0.1"], ports=[{"name": "http", "port": 8080}, {"name": "tcp", "port": 90}]
    )
    two = endpoint_slice("s2", "a", ["10.0.0.2"], ports=[{"name": "http", "port": 9090}])
    found = endpoints(state_of(service("a", ports=ports), one, two))
    assert [each.ports for each in found] == [{"http": 8080}, {"http": 9090, "tcp": NOT_SERVED}]


def test_an_endpoint_in_two_slices_counts_once() -> None:
    """While it moves it stands in both, and the healthy one counts; ports may also be spread over slices."""
    leaving = {"ready": False, "serving": True, "terminating": True}
    old = endpoint_slice("s1", "a", [{"addresses": ["10.0.0.1"], "conditions": leaving}])
    assert endpoints(state_of(service("a"), old, endpoint_slice("s2", "a", ["10.0.0.1"]))) == (
        Endpoint("10.0.0.1"),
    )
    ports = [{"name": "http", "port": 80}, {"name": "tcp", "port": 90}]
    one = endpoint_slice("s1", "a", ["10.0.0.1"], ports=[{"name": "http", "port": 8080}])
    two = endpoint_slice("s2", "a", ["10.0.0.1"], ports=[{"name": "tcp", "port": 90}])
    (found,) = endpoints(state_of(service("a", ports=ports), one, two))
    assert found.ports == {"http": 8080}


def test_one_address_may_be_two_programs() -> None:
    """On a node's own network they share it, each with a port of its own."""
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    slices = [
        endpoint_slice(f"s{port}", "a", ["10.0.0.1"], ports=[{"name": "http", "port": port}])
        for port in (80, 8080, 8081)
    ]
    found = endpoints(state_of(service("a", ports=ports), *slices))
    assert sorted(each.ports.get("http", 80) for each in found) == [80, 8080, 8081]


def test_a_pod_of_two_families_is_one_endpoint() -> None:
    """At its address of the service's first family; one that has only the other is called there."""
    four = endpoint_slice("s4", "a", [backed_by("p", "10.0.0.1")])
    six = endpoint_slice("s6", "a", [backed_by("p", "fd00::1"), backed_by("q", "fd00::2")], family="IPv6")
    pods = [pod("p", "10.0.0.1"), pod("q", "fd00::2")]
    for addresses, expected in (
        (["10.96.0.1", "fd00:96::1"], {"10.0.0.1", "fd00::2"}),
        (["fd00:96::1", "10.96.0.1"], {"fd00::1", "fd00::2"}),
    ):
        found = endpoints(state_of(service("a", clusterIPs=addresses), four, six, *pods))
        assert {each.address for each in found} == expected


def test_families_come_and_go() -> None:
    """What a slice of one family gives depends on the other's, whichever comes first."""
    six = endpoint_slice("s6", "a", [backed_by("p", "fd00::1")], family="IPv6")
    state = state_of(service("a", clusterIP="10.96.0.1"), pod("p", "10.0.0.1"), six)
    assert [each.address for each in endpoints(state)] == ["fd00::1"]
    put(state, endpoint_slice("s4", "a", [backed_by("p", "10.0.0.1")]))
    assert [each.address for each in told(state).endpoints[A]] == ["10.0.0.1"]
    state.drop(Kind.ENDPOINT_SLICE, Name("default", "s4"))
    assert [each.address for each in told(state).endpoints[A]] == ["fd00::1"]


def test_clusters_that_know_one_service_share_it() -> None:
    """Each gives its endpoints, by which subsets and networks tell them apart; what contradicts is a problem."""
    catalog = Catalog()
    for number, name in enumerate(("east", "west"), 1):
        old = service("a", clusterIP=f"10.96.{number}.1")
        old["metadata"]["creationTimestamp"] = f"2026-01-0{number}T00:00:00Z"
        state = state_of(
            old, endpoint_slice("s", "a", [f"10.{number}.0.1"]), cluster=name, network=f"net-{name}"
        )
        catalog.apply(f"kubernetes:{name}", told(state))
    assert {(each.address, each.network, each.labels[CLUSTER_LABEL]) for each in catalog.endpoints(A)} == {
        ("10.1.0.1", "net-east", "east"),
        ("10.2.0.1", "net-west", "west"),
    }
    described = catalog.service(A)
    assert described is not None
    assert described.addresses == ("10.96.1.1", "10.96.2.1")
    assert [each.reason for each in catalog.problems if each.reason is Reason.CONFLICT] == []
    state = state_of(service("a", ports=[{"name": "http", "port": 80, "appProtocol": "tcp"}]))
    catalog.apply(
        "kubernetes:late",
        CatalogChange(tuple(replace(each, created="2027") for each in told(state).services)),
    )
    assert [each.reason for each in catalog.problems if each.reason is Reason.CONFLICT] == [Reason.CONFLICT]


@pytest.mark.parametrize(
    ("said", "at", "expected"),
    [
        (["IPv6", "IPv4"], "10.0.0.1", "fd00::1"),
        (["IPv4", "IPv6"], "fd00::1", "10.0.0.1"),
        (None, "10.0.0.1", "10.0.0.1"),
        (None, "fd00::1", "fd00::1"),
    ],
)
def test_a_pod_of_a_headless_service_is_one_endpoint(said: Any, at: str, expected: str) -> None:
    """At its address of the family that the service names first; where it names none, at the pod's first."""
    four = endpoint_slice("s4", "a", [backed_by("p", "10.0.0.1")])
    six = endpoint_slice("s6", "a", [backed_by("p", "fd00::1")], family="IPv6")
    headless = service("a", clusterIP="None", **({"ipFamilies": said} if said else {}))
    assert [each.address for each in endpoints(state_of(headless, four, six, pod("p", at)))] == [expected]


def test_addresses_that_are_no_pods_stay_in_both_families() -> None:
    """Nobody says which two are one program."""
    four = endpoint_slice("s4", "a", ["10.0.0.1"])
    six = endpoint_slice("s6", "a", ["fd00::1"], family="IPv6")
    found = endpoints(state_of(service("a", clusterIP="None"), four, six))
    assert {each.address for each in found} == {"10.0.0.1", "fd00::1"}


def test_a_flip_of_two_families_builds_the_slices_of_its_pod_alone() -> None:
    """Whatever else the service has stays as it was made."""
    pods = [pod(f"p{number}", f"10.0.0.{number}") for number in range(1, 9)]
    slices = [
        endpoint_slice(
            f"{family}-{number}", "a", [backed_by(f"p{number}", f"{prefix}{number}")], family=family
        )
        for number in range(1, 9)
        for family, prefix in (("IPv4", "10.0.0."), ("IPv6", "fd00::"))
    ]
    state = state_of(service("a", clusterIP="10.96.0.1"), *pods, *slices)
    before = {each.address: each for each in endpoints(state)}
    assert set(before) == {f"10.0.0.{number}" for number in range(1, 9)}
    put(state, endpoint_slice("IPv4-1", "a", []))
    after = {each.address: each for each in told(state).endpoints[A]}
    assert set(after) == before.keys() - {"10.0.0.1"} | {"fd00::1"}
    assert all(after[address] is before[address] for address in after.keys() & before.keys())
    put(state, slices[0])
    assert {each.address for each in told(state).endpoints[A]} == set(before)


def test_a_slice_may_change_its_service() -> None:
    """Both services are told."""
    state = state_of(service("a"), service("b"), endpoint_slice("s", "a", ["10.0.0.1"]))
    told(state)
    put(state, endpoint_slice("s", "b", ["10.0.0.1"]))
    change = told(state)
    assert change.endpoints == {
        A: (),
        ServiceKey("default", "b.default.svc.mesh.local"): (Endpoint("10.0.0.1"),),
    }


def test_what_is_gone_is_removed() -> None:
    """A service with its endpoints, a workload with its pod."""
    state = state_of(service("a"), endpoint_slice("s", "a", ["10.0.0.1"]), pod("p", "10.0.0.1"))
    told(state)
    state.drop(Kind.SERVICE, Name("default", "a"))
    state.drop(Kind.POD, Name("default", "p"))
    assert told(state) == CatalogChange(
        removed_services=(A,), removed_workloads=(WorkloadKey("default", "p"),)
    )
    put(state, service("a"))
    assert endpoints(state) == (Endpoint("10.0.0.1"),)


def test_what_cannot_be_read_stays_as_it_was() -> None:
    """The problem names the source, the object and the place, and mending clears it."""
    state = state_of(service("a"))
    told(state)
    state.take_problems()
    put(state, {"kind": "Service", "metadata": named("a", "default")})
    assert not state.pending
    (problem,) = state.take_problems()["Service default/a"]
    assert str(problem) == "kubernetes: Service default/a spec: is missing"
    assert problem.object == ObjectRef("Service", "default", "a")
    put(state, service("a"))
    assert state.take_problems()["Service default/a"] == ()


def test_pods_are_workloads() -> None:
    """Which selectors of other sources may choose."""
    (found,) = told(state_of(pod("p", "10.0.0.1", {"app": "a"}, account="web"))).workloads
    assert found.key == WorkloadKey("default", "p")
    assert found.endpoint == Endpoint("10.0.0.1", labels={"app": "a"}, service_account="web", node="one")


def test_nodes_are_a_clusters_own() -> None:
    """Two clusters may name theirs alike; a slice that names one is believed before the pod."""
    item = {**backed_by("p", "10.0.0.1"), "nodeName": "two"}
    state = state_of(
        service("a"), pod("p", "10.0.0.1"), endpoint_slice("s", "a", [item, "10.0.0.2"]), cluster="east"
    )
    change = told(state)
    assert [each.node for each in change.services[0].endpoints] == ["east/two", ""]
    assert [each.endpoint.node for each in change.workloads] == ["east/one"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"ports": []}, "spec.ports: there are none, so proxies lead nobody to it"),
        ({"sessionAffinity": "ClientIP"}, "spec.sessionAffinity: ClientIP does not hold in the mesh"),
        ({"externalIPs": ["192.0.2.1"]}, "spec.externalIPs: who calls these addresses"),
        ({"trafficDistribution": "PreferMoon"}, "spec.trafficDistribution: 'PreferMoon' is not known here"),
        ({"internalTrafficPolicy": "Local", "trafficDistribution": "PreferClose"}, ""),
        (
            {"externalTrafficPolicy": "Local", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"},
            "",
        ),
    ],
)
def test_what_a_service_asks_for_in_vain_is_told(spec: Any, expected: str) -> None:
    """As a warning with its place; the rest of it is served."""
    state = state_of(service("a", **spec))
    found = state.take_problems().get("Service default/a", ())
    assert [each.severity for each in found] == ([Severity.WARNING] if expected else [])
    assert all(str(each).startswith(f"kubernetes: Service default/a {expected}") for each in found)
    assert [each.key for each in told(state).services] == [A]


def test_what_stays_as_it_was_is_the_same_value() -> None:
    """So that a change costs what changes, and of 50,000 endpoints there are not twice as many."""
    names = ("p", "q", "r")
    pods = [pod(name, f"10.0.0.{number}", {"app": "a"}) for number, name in enumerate(names)]
    behind = [backed_by(name, f"10.0.0.{number}") for number, name in enumerate(names)]
    state = state_of(service("a"), *pods, endpoint_slice("s", "a", behind), cluster="east")
    before = endpoints(state)
    put(state, endpoint_slice("s", "a", behind[1:]))
    assert all(map(operator.is_, told(state).endpoints[A], before[1:]))
    put(state, endpoint_slice("s", "a", behind), pod("q", "10.0.0.1", {"app": "b"}))
    after = told(state).endpoints[A]
    assert [new is old for new, old in zip(after, before, strict=True)] == [False, False, True]
    assert [each.labels["app"] for each in after] == ["a", "b", "a"]


def test_a_slice_is_found_by_all_it_names_now() -> None:
    """However often its endpoints were others in between, and where two of them share a node."""
    on = {"p": "one", "q": "one", "r": "two"}
    addresses = {name: f"10.0.0.{number}" for number, name in enumerate(on)}
    state = state_of(node("one", "r", "y"), node("two", "r", "y"), service("a"))
    put(state, *(pod(name, addresses[name], node=where) for name, where in on.items()))
    for behind in ("pqr", "pr", "q", "qr", "pq"):
        put(state, endpoint_slice("s", "a", [backed_by(name, addresses[name]) for name in behind]))
        told(state)
        for zone in ("x", "y"):
            put(state, node("one", "r", zone))
            found = told(state).endpoints[A]
            assert [each.locality for each in found if on[_pod_at(each, addresses)] == "one"] == [
                f"r/{zone}" for name in behind if on[name] == "one"
            ]
    put(state, pod("r", addresses["r"], {"v": "2"}, node="two"))
    assert told(state).endpoints == {}


def _pod_at(endpoint: Endpoint, addresses: dict[str, str]) -> str:
    return next(name for name, address in addresses.items() if address == endpoint.address)
