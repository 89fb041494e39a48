"""Layers with EnvoyFilters: what is shared, what an edit costs, what is told, and what is done about refusals."""

from dataclasses import replace
from typing import Any

import pytest

from tests.compile.envoy_filters.patching import (
    HTTP,
    LUA,
    TYPES,
    at_filter,
    envoy_filter,
    lua,
    manager_of,
    names,
)
from tests.compile.worlds import Sandbox, gateway, proxy, router, service, virtual_service
from xdsd.compile.layers.patched import Refused
from xdsd.model.catalog import Endpoint
from xdsd.model.intent import EnvoyFilter, Object
from xdsd.model.mesh import Interception
from xdsd.model.problem import Reason
from xdsd.snapshot import CLUSTER, EXTENSION, LISTENER, ROUTE
from xdsd.snapshot import TYPES as ALL_TYPES

REVIEWS = "outbound|9080||reviews.default.svc.cluster.local"
RATINGS = "outbound|9080||ratings.default.svc.cluster.local"


def patch(apply_to: str, operation: str, value: Any = None, **match: Any) -> dict[str, Any]:
    change = {"operation": operation, **({} if value is None else {"value": value})}
    return {"applyTo": apply_to, "match": match, "patch": change}


def slow(name: str, seconds: int = 1, context: str = "ANY") -> dict[str, Any]:
    """A patch of one cluster."""
    value = {"connect_timeout": f"{seconds}s"}
    return patch("CLUSTER", "MERGE", value, context=context, cluster={"name": name})


class Mesh(Sandbox):
    """Two services, a gateway in front of one, two sidecars of reviews, one of ratings and one elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.put_service(service("reviews"), Endpoint("10.1.0.1"), Endpoint("10.1.0.2"))
        self.put_service(service("ratings"), Endpoint("10.1.0.3"))
        self.put_object(gateway("edge", 8080))
        self.put_object(virtual_service("v", "*", to="reviews", gateways=("edge",)))
        self.one = self.attach(proxy("10.1.0.1", name="reviews-1"))
        self.two = self.attach(proxy("10.1.0.2", name="reviews-2"))
        self.ratings = self.attach(proxy("10.1.0.3", name="ratings-1"))
        self.other = self.attach(proxy("10.9.0.1", name="x", namespace="other"))
        self.edge = self.attach(router())
        self.settle()
        self.compiler.encoded.clear()

    def put(self, obj: Object[EnvoyFilter]) -> int:
        """Applies an object; how many resources were made."""
        self.compiler.encoded.clear()
        self.put_object(obj)
        self.settle()
        assert self.compiler.faults() == []
        return sum(self.compiler.encoded.values())

    def told(self) -> list[tuple[str, str, Reason]]:
        """Object, path and reason of each problem."""
        return [
            (str(each.object), each.path, each.reason)
            for each in self.compiler.problems()
            if each.object and each.object.kind == "EnvoyFilter"
        ]

    def refuses(self, node_id: str, type_url: str, name: str, words: str = "no") -> None:
        """A proxy refuses what it is served now."""
        version = self.versions(node_id)[type_url, name]
        self.compiler.refuse(node_id, Refused(type_url, name, version), words)
        self.settle()

    def filters(self, node_id: str, listener: str, chain: int | None = None) -> list[str]:
        """The HTTP filters that a proxy runs."""
        message = self.message(node_id, LISTENER, listener)
        found = message.default_filter_chain if chain is None else message.filter_chains[chain]
        return names(manager_of(found.filters[-1]).http_filters)


@pytest.fixture
def mesh() -> Mesh:
    return Mesh()


def test_whoever_has_no_patches_shares_layers_as_before(mesh: Mesh) -> None:
    """Other namespaces, and sides that no patch is for, keep their layers; and all do once the object is gone."""
    before = dict(mesh.snapshot.assigned)
    mesh.put(envoy_filter(slow(REVIEWS, context="SIDECAR_OUTBOUND")))
    after = mesh.snapshot.assigned
    assert after[mesh.other] == before[mesh.other]
    assert after[mesh.edge] == before[mesh.edge]
    assert after[mesh.one][0] != before[mesh.one][0]
    assert after[mesh.one][1] == before[mesh.one][1]
    assert after[mesh.one][0] == after[mesh.two][0] == after[mesh.ratings][0]
    mesh.drop_object("EnvoyFilter", "f")
    mesh.settle()
    assert dict(mesh.snapshot.assigned) == before


def test_a_resource_is_patched_once_for_however_many_proxies(mesh: Mesh) -> None:
    """Three sidecars share one patched cluster, which gateways have in a form of their own; nothing else is made."""
    assert mesh.put(envoy_filter(slow(REVIEWS))) == 2
    for node in (mesh.one, mesh.two, mesh.ratings, mesh.edge):
        assert mesh.message(node, CLUSTER, REVIEWS).connect_timeout.seconds == 1
    assert mesh.message(mesh.one, CLUSTER, RATINGS).connect_timeout.seconds != 1
    assert mesh.message(mesh.other, CLUSTER, REVIEWS).connect_timeout.seconds != 1


def test_an_edit_makes_what_its_patch_may_touch_and_nothing_else(mesh: Mesh) -> None:
    """One value of one patch: one resource. What leaves the patch as it was: none."""
    mesh.put(envoy_filter(slow(REVIEWS), slow(RATINGS)))
    layers = dict(mesh.snapshot.assigned)
    assert mesh.put(envoy_filter(slow(REVIEWS), slow(RATINGS, 2))) == 1
    assert mesh.message(mesh.one, CLUSTER, RATINGS).connect_timeout.seconds == 2
    assert dict(mesh.snapshot.assigned) == layers
    assert mesh.put(envoy_filter(slow(REVIEWS), slow(RATINGS, 2), priority=3)) == 0


def test_a_change_of_the_mesh_reaches_what_is_patched(mesh: Mesh) -> None:
    """A service that comes is patched like those that were there, one that goes leaves nothing behind."""
    value = {"connect_timeout": "1s"}
    mesh.put(envoy_filter(patch("CLUSTER", "MERGE", value, cluster={"portNumber": 9080})))
    mesh.put_service(service("details"), Endpoint("10.1.0.4"))
    mesh.settle()
    name = "outbound|9080||details.default.svc.cluster.local"
    assert mesh.message(mesh.one, CLUSTER, name).connect_timeout.seconds == 1
    mesh.drop_service("details")
    mesh.settle()
    assert name not in mesh.names(mesh.one, CLUSTER)


def test_both_sides_of_a_sidecar_are_patched(mesh: Mesh) -> None:
    """A filter on the way in stands in the workload's listener, one on the way out in those of its view."""
    mesh.put(
        envoy_filter(
            patch("HTTP_FILTER", "ADD", lua("in"), context="SIDECAR_INBOUND", listener={"portNumber": 9080}),
            patch("HTTP_FILTER", "ADD", lua("out"), context="SIDECAR_OUTBOUND"),
            patch("HTTP_FILTER", "ADD", lua("edge"), context="GATEWAY"),
        )
    )
    assert "in" in mesh.filters(mesh.one, "virtualInbound", 1)
    assert "out" in mesh.filters(mesh.one, "0.0.0.0_9080", 0)
    assert "edge" in mesh.filters(mesh.edge, "0.0.0.0_8080")
    assert mesh.told() == []


def test_a_sidecar_without_redirection_has_both_sides_in_one_layer() -> None:
    """Its listeners out are patched as outbound ones, though they are its workload's own."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"), Endpoint("10.1.0.1"))
    node = mesh.attach(replace(proxy("10.1.0.1", interception=Interception.NONE), bind="127.0.0.9"))
    mesh.put_object(
        envoy_filter(
            patch("LISTENER", "MERGE", {"stat_prefix": "in"}, context="SIDECAR_INBOUND"),
            patch("LISTENER", "MERGE", {"stat_prefix": "out"}, context="SIDECAR_OUTBOUND"),
        )
    )
    mesh.settle()
    found = {name: mesh.message(node, LISTENER, name).stat_prefix for name in mesh.names(node, LISTENER)}
    assert found == {"10.1.0.1_9080": "in", "127.0.0.9_9080": "out"}


def test_routes_of_sidecars_and_gateways_are_patched(mesh: Mesh) -> None:
    """A virtual host is found by its name, and by the Gateway that it is served for."""
    value = {"route": {"timeout": "9s"}}
    host = {"name": "reviews.default.svc.cluster.local:9080"}
    mesh.put(
        envoy_filter(
            patch("HTTP_ROUTE", "MERGE", value, routeConfiguration={"name": "9080", "vhost": host}),
            patch(
                "HTTP_ROUTE",
                "MERGE",
                value,
                routeConfiguration={"gateway": "default/edge", "portName": "http"},
            ),
        )
    )
    hosts = {each.name: each for each in mesh.message(mesh.one, ROUTE, "9080").virtual_hosts}
    assert hosts[host["name"]].routes[0].route.timeout.seconds == 9
    assert hosts["ratings.default.svc.cluster.local:9080"].routes[0].route.timeout.seconds == 0
    assert mesh.message(mesh.edge, ROUTE, "http.8080").virtual_hosts[0].routes[0].route.timeout.seconds == 9
    assert mesh.told() == []


def test_ports_are_found_by_their_names(mesh: Mesh) -> None:
    """The name of a service's port, in any case, stands for the listeners of its number, on every side."""
    changes = [
        patch("LISTENER_FILTER", "ADD", {"name": "x"}, context=context, listener={"portName": "HTTP"})
        for context in ("SIDECAR_OUTBOUND", "GATEWAY")
    ]
    inside = patch("HTTP_FILTER", "ADD", lua("x"), context="SIDECAR_INBOUND", listener={"portName": "http"})
    mesh.put(envoy_filter(*changes, inside))
    assert names(mesh.message(mesh.one, LISTENER, "0.0.0.0_9080").listener_filters)[-1] == "x"
    assert names(mesh.message(mesh.edge, LISTENER, "0.0.0.0_8080").listener_filters) == ["x"]
    assert "x" in mesh.filters(mesh.one, "virtualInbound", 1)
    mesh.put(
        envoy_filter(
            patch("LISTENER_FILTER", "ADD", {"name": "x"}, context="GATEWAY", listener={"portName": "grpc"})
        )
    )
    assert mesh.told() == [("EnvoyFilter default/f", "spec.configPatches[0]", Reason.BROKEN_REFERENCE)]


def test_resources_are_removed(mesh: Mesh) -> None:
    """A listener or cluster that a patch removes is served to none of its proxies."""
    gone = patch("CLUSTER", "REMOVE", cluster={"name": REVIEWS})
    mesh.put(envoy_filter(gone, patch("LISTENER", "REMOVE", context="GATEWAY")))
    assert REVIEWS not in mesh.names(mesh.one, CLUSTER)
    assert RATINGS in mesh.names(mesh.one, CLUSTER)
    assert mesh.names(mesh.edge, LISTENER) == set()
    mesh.drop_object("EnvoyFilter", "f")
    mesh.settle()
    assert REVIEWS in mesh.names(mesh.one, CLUSTER)
    assert mesh.names(mesh.edge, LISTENER) == {"0.0.0.0_8080"}


def test_resources_are_added_once(mesh: Mesh) -> None:
    """Meant for any side, to the outbound one or a gateway; to the inbound side where it is named. Taken names are told."""
    here = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 9999}}}
    extension = {"name": "ext", "typed_config": {"@type": LUA}}
    static = {"type": "STATIC", "connect_timeout": "1s"}
    mesh.put(
        envoy_filter(
            patch("CLUSTER", "ADD", {"name": "new", **static}),
            patch("CLUSTER", "ADD", {"name": "own", **static}, context="SIDECAR_INBOUND"),
            patch("LISTENER", "ADD", {"name": "l", **here}, context="SIDECAR_OUTBOUND"),
            patch("EXTENSION_CONFIG", "ADD", extension),
            patch("CLUSTER", "ADD", {"name": REVIEWS, **static}),
            patch("CLUSTER", "ADD", {"name": "new", **static}, context="SIDECAR_INBOUND"),
        )
    )
    outbound, inbound = (mesh.snapshot.layers[layer] for layer in mesh.snapshot.assigned[mesh.one][:2])
    assert {"new"} == {"new", "own"} & set(outbound.resources(CLUSTER))
    assert {"own"} == {"new", "own"} & set(inbound.resources(CLUSTER))
    assert set(outbound.resources(EXTENSION)) == {"ext"}
    assert "l" in mesh.names(mesh.one, LISTENER)
    assert "new" in mesh.names(mesh.edge, CLUSTER)
    assert "ext" in mesh.names(mesh.edge, EXTENSION)
    for taken in (4, 5):
        path = f"spec.configPatches[{taken}].patch.value.name"
        assert ("EnvoyFilter default/f", path, Reason.CONFLICT) in mesh.told()
    assert mesh.message(mesh.one, CLUSTER, REVIEWS).type == 3
    for layer in mesh.snapshot.assigned[mesh.one]:
        for type_url in ALL_TYPES:
            for name in mesh.snapshot.layers[layer].resources(type_url):
                holders = [
                    each
                    for each in mesh.snapshot.assigned[mesh.one]
                    if mesh.snapshot.layers[each].get(type_url, name)
                ]
                assert len(holders) == 1, name


def test_patches_in_vain_are_told(mesh: Mesh) -> None:
    """What changes nothing of any proxy that it is for is a warning, until it does; for waypoints it always is."""
    mesh.put(
        envoy_filter(
            slow("outbound|80||none"),
            slow(REVIEWS),
            patch("HTTP_FILTER", "INSERT_BEFORE", lua("x"), **at_filter(HTTP, "missing")),
            {**slow(REVIEWS), "match": {"context": "WAYPOINT", "waypoint": {}}},
            slow(REVIEWS) | {"match": {"proxy": {"metadata": {"A": "b"}}, "cluster": {"name": REVIEWS}}},
        )
    )
    assert mesh.told() == [
        ("EnvoyFilter default/f", f"spec.configPatches[{place}]", Reason.BROKEN_REFERENCE)
        for place in (0, 2, 3)
    ]
    mesh.put(envoy_filter(slow(REVIEWS)))
    assert mesh.told() == []


def test_targets_that_only_waypoints_have_are_told(mesh: Mesh) -> None:
    """A Service or a GatewayClass is no gateway that runs here."""
    mesh.put(envoy_filter(slow(REVIEWS), targetRefs=[{"group": "", "kind": "Service", "name": "reviews"}]))
    assert mesh.told() == [("EnvoyFilter default/f", "spec.targetRefs", Reason.BROKEN_REFERENCE)]


def test_what_breaks_envoys_rules_is_left_out_before_a_proxy_sees_it(mesh: Mesh) -> None:
    """A merge whose result is no valid message any more is blamed; the other object's patch is applied."""
    half = {"load_assignment": {"endpoints": [{"priority": 900}]}}
    bad = patch("CLUSTER", "MERGE", {"health_checks": []} | half, cluster={"name": REVIEWS})
    mesh.put(envoy_filter(slow(REVIEWS), name="good", created="2026-01-02"))
    socket = {"transport_socket": {"typed_config": {"@type": f"{TYPES}/google.protobuf.Empty"}}}
    mesh.put(envoy_filter(bad | {"patch": {"operation": "MERGE", "value": socket}}, name="bad"))
    assert mesh.message(mesh.one, CLUSTER, REVIEWS).connect_timeout.seconds == 1
    assert not mesh.message(mesh.one, CLUSTER, REVIEWS).HasField("transport_socket")
    (problem,) = [each for each in mesh.compiler.problems() if each.reason is Reason.REJECTED_BY_PROXY]
    assert str(problem.object) == "EnvoyFilter default/bad"
    assert "transport_socket.name is empty" in problem.message


@pytest.mark.parametrize(("name", "domain"), [("h", "REVIEWS"), ("allow_any", "h.example.com")])
def test_a_virtual_host_that_clashes_is_left_out(mesh: Mesh, name: str, domain: str) -> None:
    """Envoy would refuse all routes for a domain or a name that two virtual hosts have."""
    before = mesh.versions(mesh.one)
    host = {"name": name, "domains": [domain]}
    mesh.put(envoy_filter(patch("VIRTUAL_HOST", "ADD", host, context="SIDECAR_OUTBOUND")))
    assert mesh.versions(mesh.one)[ROUTE, "9080"] == before[ROUTE, "9080"]
    assert mesh.told() == [("EnvoyFilter default/f", "spec.configPatches[0]", Reason.REJECTED_BY_PROXY)]
    mesh.put(envoy_filter(patch("VIRTUAL_HOST", "ADD", {"name": "h", "domains": ["h.example.com"]})))
    assert mesh.versions(mesh.one)[ROUTE, "9080"] != before[ROUTE, "9080"]
    assert mesh.told() == []


def test_a_refused_patch_is_left_out_for_the_proxy_that_refused_it(mesh: Mesh) -> None:
    """That proxy gets the resource without it; its twin, other resources and other objects keep their patches."""
    mesh.put(envoy_filter(slow(RATINGS), slow(REVIEWS, 3), name="both", created="2026-01-01"))
    mesh.put(
        envoy_filter(
            patch("CLUSTER", "MERGE", {"alt_stat_name": "x"}, cluster={"name": REVIEWS}),
            name="new",
            created="2026-02-01",
        )
    )
    mesh.refuses(mesh.one, CLUSTER, REVIEWS, "this will not do")
    cluster = mesh.message(mesh.one, CLUSTER, REVIEWS)
    assert (cluster.connect_timeout.seconds, cluster.alt_stat_name != "x") == (3, True)
    assert mesh.message(mesh.one, CLUSTER, RATINGS).connect_timeout.seconds == 1
    assert mesh.message(mesh.two, CLUSTER, REVIEWS).alt_stat_name == "x"
    (problem,) = mesh.compiler.problems()
    assert (str(problem.object), problem.path) == ("EnvoyFilter default/new", "spec.configPatches[0]")
    assert "reviews-1.default" in problem.message
    assert "this will not do" in problem.message
    # The twin refuses the same, and they share their layers again.
    mesh.refuses(mesh.two, CLUSTER, REVIEWS, "me neither")
    assert mesh.snapshot.assigned[mesh.one] == mesh.snapshot.assigned[mesh.two]
    assert len(list(mesh.compiler.problems())) == 1


def test_who_is_to_blame_is_found_out(mesh: Mesh) -> None:
    """What is left out next is another object, then more of them, until the proxy refuses no more."""
    for name in ("a", "b", "c"):
        value = {"metadata": {"filter_metadata": {name: {"here": True}}}}
        mesh.put(
            envoy_filter(patch("CLUSTER", "MERGE", value, cluster={"name": REVIEWS}), name=name, created=name)
        )

    def applied() -> str:
        return "".join(
            sorted(set(mesh.message(mesh.one, CLUSTER, REVIEWS).metadata.filter_metadata) & {*"abc"})
        )

    seen = [applied()]
    for _ in range(6):
        mesh.refuses(mesh.one, CLUSTER, REVIEWS)
        seen.append(applied())
    assert seen == ["abc", "ab", "ac", "bc", "a", "", ""]


def test_a_mended_object_is_offered_again_and_the_past_forgotten(mesh: Mesh) -> None:
    """Its content is another one; the layers are those that every proxy without refusals has."""
    mesh.put(envoy_filter(slow(REVIEWS)))
    layers = dict(mesh.snapshot.assigned)
    mesh.refuses(mesh.one, CLUSTER, REVIEWS)
    assert mesh.snapshot.assigned != layers
    mesh.put(envoy_filter(slow(REVIEWS, 2)))
    assert mesh.message(mesh.one, CLUSTER, REVIEWS).connect_timeout.seconds == 2
    assert dict(mesh.snapshot.assigned) == layers
    assert mesh.told() == []


def test_a_proxy_that_begins_anew_is_offered_all_again(mesh: Mesh) -> None:
    """It may be another Envoy by now; one that is gone leaves no problem behind."""
    mesh.put(envoy_filter(slow(REVIEWS)))
    mesh.refuses(mesh.one, CLUSTER, REVIEWS)
    mesh.compiler.forgive(mesh.one)
    mesh.settle()
    assert mesh.message(mesh.one, CLUSTER, REVIEWS).connect_timeout.seconds == 1
    assert mesh.told() == []
    mesh.refuses(mesh.one, CLUSTER, REVIEWS)
    assert mesh.told() != []
    mesh.compiler.detach(mesh.one)
    mesh.settle()
    assert mesh.told() == []


def test_added_resources_that_are_refused_are_left_out(mesh: Mesh) -> None:
    """There is nothing to serve in their place."""
    here = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 9999}}}
    extension = {"name": "ext", "typed_config": {"@type": LUA}}
    mesh.put(
        envoy_filter(
            patch("LISTENER", "ADD", {"name": "l", **here}, context="GATEWAY"),
            patch("EXTENSION_CONFIG", "ADD", extension),
        )
    )
    mesh.refuses(mesh.edge, LISTENER, "l", "port in use")
    mesh.refuses(mesh.edge, EXTENSION, "ext")
    assert "l" not in mesh.names(mesh.edge, LISTENER)
    assert "ext" not in mesh.names(mesh.edge, EXTENSION)
    assert [reason for *_, reason in mesh.told()] == [Reason.REJECTED_BY_PROXY] * 2


def test_a_refusal_of_what_no_patch_touched_changes_nothing(mesh: Mesh) -> None:
    """It is nobody's patch that is to blame, and no layer moves."""
    mesh.put(envoy_filter(slow(REVIEWS)))
    before = dict(mesh.snapshot.assigned)
    mesh.refuses(mesh.one, CLUSTER, RATINGS)
    mesh.refuses(mesh.other, CLUSTER, RATINGS)
    assert dict(mesh.snapshot.assigned) == before
    assert mesh.told() == []


def test_only_the_newest_refusals_of_a_proxy_are_remembered(mesh: Mesh) -> None:
    """However often a proxy refuses, it costs a bounded amount."""
    mesh.put(envoy_filter(slow(REVIEWS)))
    for number in range(500):
        mesh.compiler.refuse(mesh.one, Refused(CLUSTER, REVIEWS, str(number)), "no")
    assert len(mesh.compiler.graph.peek(("refusals", mesh.one))) == 64
    assert mesh.compiler.graph.peek(("refused-by", CLUSTER, REVIEWS, "0")) is None
