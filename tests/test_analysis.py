"""What is told of objects that no daemon has, as values."""

from tests.compile.worlds import destination_rule, gateway, service, sidecar, virtual_service
from xdsd.analysis import Subject, analyze_objects, merged
from xdsd.model.catalog import Endpoint
from xdsd.model.intent import MeshConfig, Metadata, Object, ProxyConfig, Sidecar, VirtualService
from xdsd.model.mesh import MeshSettings
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.registry.base import CatalogChange

REF = ObjectRef("VirtualService", "default", "r")


def machines(*names: str) -> CatalogChange:
    services = tuple(service(name) for name in names)
    return CatalogChange(services, endpoints={each.key: (Endpoint("10.0.0.1"),) for each in services})


def test_nothing_is_found_in_nothing() -> None:
    """Neither without objects nor with those that are right."""
    assert analyze_objects(Subject(())) == ()
    rule = destination_rule("reviews", "reviews", {"v1": {"version": "v1"}})
    assert analyze_objects(Subject((rule,), machines("reviews"))) == ()


def test_hosts_that_nothing_declares_are_told_where_something_does() -> None:
    """Without any declaration nobody knows; with a machine list the host is missing, and is told once."""
    routed = virtual_service("r", "reviews", to="ratings")
    assert analyze_objects(Subject((routed,))) == ()
    assert analyze_objects(Subject((routed,), machines("reviews", "ratings"))) == ()
    (missing,) = analyze_objects(Subject((routed,), machines("reviews")))
    assert (missing.object, missing.reason) == (REF, Reason.BROKEN_REFERENCE)
    assert missing.path == "spec.http[0].route[0].destination.host"


def test_objects_are_compiled_for_those_whom_they_are_for() -> None:
    """A gateway without any proxy, and a Sidecar that lets nothing in, are looked at as proxies would see them."""
    behind = virtual_service("r", "shop.example.com", to="shop", gateways=("edge",))
    found = analyze_objects(
        Subject((gateway("edge", 8080, ("other.example.com",)), behind), machines("shop"))
    )
    assert [problem.path for problem in found] == ["spec.gateways[0]", "spec.hosts[0]"]
    alone = sidecar("s", egress=("./nothing.default.svc.cluster.local",))
    assert {problem.object for problem in analyze_objects(Subject((alone,), machines("shop")))} == {alone.ref}


def test_what_leads_to_an_admin_page_is_told_once() -> None:
    """By the port that the MeshConfig among the objects says."""
    listener = {"port": {"number": 80, "name": "http"}, "defaultEndpoint": "127.0.0.1:15999"}
    spec = Sidecar.model_validate({"ingress": [listener], "egress": [{"hosts": ["*/*"]}]})
    exposing = Object("networking.istio.io/v1", "Sidecar", Metadata("default", "s"), spec)
    assert analyze_objects(Subject((exposing,))) == ()
    moved = MeshConfig.model_validate({"defaultConfig": {"proxyAdminPort": 15999}})
    config = Object("mesh.xdsd.io/v1", "MeshConfig", Metadata("istio-system", "default"), moved)
    found = [each for each in analyze_objects(Subject((exposing, config))) if each.object == exposing.ref]
    assert [each.path for each in found] == ["spec.ingress[0].defaultEndpoint"]


def test_what_two_groups_tell_of_a_field_is_told_once() -> None:
    """The first group's words; each group keeps all of its own, and what is of no object stays."""

    def problem(message: str, path: str = "spec", ref: ObjectRef | None = REF) -> Problem:
        return Problem(Reason.CONFLICT, message, ref, path, severity=Severity.WARNING)

    first = [problem("one"), problem("two")]
    second = [problem("three"), problem("four", "spec.hosts[0]"), problem("five", ref=None)]
    assert [each.message for each in merged(first, second, second)] == ["one", "two", "four", "five"]


def test_all_that_is_odd_about_objects_is_told_once() -> None:
    """A subset that nobody defines, a host that two objects route, a rule that nothing reaches, labels that nobody has."""
    older, newer = (
        virtual_service("a", "reviews", to="reviews"),
        virtual_service("b", "reviews", to="reviews"),
    )
    rule = {"route": [{"destination": {"host": "reviews", "subset": "v9"}}]}
    spec = VirtualService.model_validate({"hosts": ["ratings"], "http": [rule, rule]})
    odd = Object("networking.istio.io/v1", "VirtualService", Metadata("default", "c"), spec)
    alone = Sidecar.model_validate(
        {"workloadSelector": {"labels": {"app": "nobody"}}, "egress": [{"hosts": ["./*"]}]}
    )
    selecting = Object("networking.istio.io/v1", "Sidecar", Metadata("default", "s"), alone)
    found = analyze_objects(Subject((older, newer, odd, selecting), machines("reviews", "ratings")))
    assert [(each.object and each.object.name, each.reason, each.path) for each in found] == [
        ("s", Reason.BROKEN_REFERENCE, "spec.workloadSelector.labels"),
        ("b", Reason.CONFLICT, "spec.hosts[0]"),
        ("c", Reason.BROKEN_REFERENCE, "spec.http[0].route[0].destination.subset"),
        ("c", Reason.UNREACHABLE_RULE, "spec.http[1]"),
        ("c", Reason.BROKEN_REFERENCE, "spec.http[1].route[0].destination.subset"),
    ]


def test_a_mesh_config_is_looked_at_where_it_is() -> None:
    """Of another place it counts for nobody; a ProxyConfig says nothing of proxies that are only imagined."""
    config = Object(
        "mesh.xdsd.io/v1", "MeshConfig", Metadata("istio-system", "default"), MeshConfig(access_log_file="")
    )
    start = Object(
        "networking.istio.io/v1beta1", "ProxyConfig", Metadata("default", "p"), ProxyConfig(concurrency=2)
    )
    assert analyze_objects(Subject((config, start), machines("reviews"))) == ()
    (found,) = analyze_objects(Subject((config,), machines("reviews"), MeshSettings(root_namespace="meshes")))
    assert (found.object, found.path) == (config.ref, "metadata.namespace")
    assert found.severity is Severity.ERROR
