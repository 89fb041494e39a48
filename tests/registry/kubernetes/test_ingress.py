"""Ingress objects as Gateways and VirtualServices: what requests they lead where, and what is told of mistakes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from xdsd.analysis import Subject, analyze_objects
from xdsd.manifest import parse_object
from xdsd.model.intent import Gateway, VirtualService
from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.registry.base import AnyObject
from xdsd.registry.kubernetes.facts import Name
from xdsd.registry.kubernetes.ingress import CONTROLLER, SELECTOR, IngressClass, ingress, ingress_class
from xdsd.registry.kubernetes.ingress_objects import Meaning, balancer_status, class_of, gateway_name, meaning
from xdsd.registry.kubernetes.ingress_state import IngressState

OURS = IngressClass("xdsd", is_default=True, selector=(("istio", "ingressgateway"),))
PORTS = {(Name("shop", "web"), "http"): 8080}


def to(service: str, port: int | str = 80) -> dict[str, Any]:
    number = {"number": port} if isinstance(port, int) else {"name": port}
    return {"service": {"name": service, "port": number}}


def path(text: str, service: str, kind: str = "Prefix", port: int | str = 80) -> dict[str, Any]:
    return {"path": text, "pathType": kind, "backend": to(service, port)}


def made(
    name: str, hosts: Mapping[str, Sequence[dict[str, Any]]], *, created: int = 0, **spec: Any
) -> dict[str, Any]:
    """An Ingress as an API server sends it; the host ``*`` is left out there."""
    rules = [
        {**({"host": host} if host != "*" else {}), "http": {"paths": list(paths)}}
        for host, paths in hosts.items()
    ]
    created_at = f"2026-01-01T00:00:{created:02}Z"
    metadata = {"name": name, "namespace": "shop", "creationTimestamp": created_at}
    return {"kind": "Ingress", "metadata": metadata, "spec": {"rules": rules, **spec}}


def means(*objects: dict[str, Any]) -> Meaning:
    return meaning(
        [ingress(each)[0] for each in objects],
        [OURS],
        "cluster.local",
        lambda service, name: PORTS.get((service, name)),
    )


def answer(found: Meaning, host: str, target: str) -> str:
    """Which service a gateway sends a request to, or the status that it answers with."""
    services = [each.spec for each in found.objects if isinstance(each.spec, VirtualService)]
    chosen = max(
        (each for each in services if _covers(each.hosts[0], host)),
        key=lambda each: (not each.hosts[0].startswith("*"), len(each.hosts[0])),
        default=None,
    )
    for rule in chosen.http if chosen else ():
        if rule.match and not any(_matches(each, host, target) for each in rule.match):
            continue
        if rule.direct_response is not None:
            return str(rule.direct_response.status)
        return rule.route[0].destination.host.partition(".")[0]
    return "404"


def _covers(pattern: str, host: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*") else host == pattern


def _matches(match: Any, host: str, target: str) -> bool:
    if match.authority is not None and not re.fullmatch(match.authority.regex, host):
        return False
    uri = match.uri
    return target == uri.exact if uri.exact is not None else target.startswith(uri.prefix)


def test_an_ingress_is_a_gateway_and_a_route_of_its_host() -> None:
    """Named after it, of its namespace and age, and noted with it."""
    found = means(made("web", {"shop.example": [path("/", "web")]}))
    gateway, route = found.objects
    assert isinstance(gateway.spec, Gateway)
    assert gateway.metadata.name == gateway_name("web")
    assert dict(gateway.spec.selector) == {"istio": "ingressgateway"}
    assert [(each.port.number, each.hosts) for each in gateway.spec.servers] == [(80, ("shop.example",))]
    assert route.spec.gateways == (f"shop/{gateway.metadata.name}",)
    assert route.spec.http[0].route[0].destination.host == "web.shop.svc.cluster.local"
    assert {each.metadata.annotations["xdsd.io/ingress"] for each in found.objects} == {"shop/web"}
    assert {each.metadata.creation_timestamp for each in found.objects} == {"2026-01-01T00:00:00Z"}
    assert found.problems == {}


def test_certificates_open_https_for_their_hosts() -> None:
    """Each Secret a server; without hosts it is for all."""
    tls = [{"hosts": ["shop.example"], "secretName": "shop-tls"}, {"secretName": "rest"}]
    (gateway, _) = means(made("web", {"shop.example": [path("/", "web")]}, tls=tls)).objects
    servers = [(each.port.number, each.hosts, each.tls.credential_name) for each in gateway.spec.servers[1:]]
    assert servers == [(443, ("shop.example",), "shop-tls"), (443, ("*",), "rest")]


def test_the_published_examples_of_paths() -> None:
    """Those of the documentation of Ingress, by type, path and request."""
    table = [
        ("Prefix", "/", "/anything", True),
        ("Exact", "/foo", "/foo", True),
        ("Exact", "/foo", "/bar", False),
        ("Exact", "/foo", "/foo/", False),
        ("Exact", "/foo/", "/foo", False),
        ("Prefix", "/foo", "/foo", True),
        ("Prefix", "/foo", "/foo/", True),
        ("Prefix", "/foo/", "/foo", True),
        ("Prefix", "/foo/", "/foo/", True),
        ("Prefix", "/aaa/bb", "/aaa/bbb", False),
        ("Prefix", "/aaa/bbb", "/aaa/bbb", True),
        ("Prefix", "/aaa/bbb/", "/aaa/bbb", True),
        ("Prefix", "/aaa/bbb", "/aaa/bbb/", True),
        ("Prefix", "/aaa/bbb", "/aaa/bbb/ccc", True),
        ("Prefix", "/aaa/bbb", "/aaa/bbbxyz", False),
        ("ImplementationSpecific", "/a", "/a", True),
        ("ImplementationSpecific", "/a", "/a/b", False),
        ("ImplementationSpecific", "/a/*", "/a/b", True),
        ("ImplementationSpecific", "/a.*", "/ab", True),
        ("ImplementationSpecific", "/*", "/x", True),
    ]
    for kind, text, target, taken in table:
        found = means(made("web", {"h.example": [path(text, "web", kind)]}))
        assert (answer(found, "h.example", target) == "web") is taken, (kind, text, target)


def test_the_longest_path_counts_then_the_exact_one_whoever_has_it() -> None:
    """Among all objects of a host."""
    found = means(
        made("old", {"h.example": [path("/", "root"), path("/a", "prefix")]}),
        made("new", {"h.example": [path("/a/b", "longer"), path("/a", "exact", "Exact")]}, created=1),
    )
    assert [answer(found, "h.example", each) for each in ("/a", "/a/c", "/a/b/c", "/x")] == [
        "exact",
        "prefix",
        "longer",
        "root",
    ]
    assert found.problems == {}


def test_of_one_path_of_two_objects_the_older_ones_counts() -> None:
    """The other is told, with the object that stands before it."""
    found = means(
        made("new", {"h.example": [path("/a/", "new")]}, created=2),
        made("old", {"h.example": [path("/a", "old")]}, created=1),
    )
    assert answer(found, "h.example", "/a/x") == "old"
    (problem,) = found.problems[Name("shop", "new")]
    assert (problem.reason, problem.path) == (Reason.CONFLICT, "spec.rules[0].http.paths[0]")
    assert "Ingress shop/old" in problem.message


def test_a_wildcard_stands_for_one_label() -> None:
    """Deeper names go to the default backend, as do hosts and paths that nobody has."""
    found = means(
        made("web", {"*.example": [path("/a", "web")], "b.example": [path("/", "own")]}),
        made("rest", {}, defaultBackend=to("rest"), created=1),
    )
    assert answer(found, "a.example", "/a") == "web"
    assert (
        answer(found, "a.example:8080", "/a") == "rest"
    )  # Envoy takes the port off before it chooses the host
    assert answer(found, "b.example", "/a") == "own"
    assert answer(found, "x.a.example", "/a") == "rest"
    assert answer(found, "a.example", "/b") == "rest"
    assert answer(found, "other", "/a") == "rest"


def test_there_is_one_default_backend_for_all() -> None:
    """The oldest; others are told."""
    found = means(
        made("new", {}, defaultBackend=to("new"), created=2), made("old", {}, defaultBackend=to("old"))
    )
    assert answer(found, "any", "/") == "old"
    (problem,) = found.problems[Name("shop", "new")]
    assert problem.path == "spec.defaultBackend"


def test_a_backend_that_cannot_be_used_answers_503_and_lets_no_other_path_take_its_requests() -> None:
    """A port that no service has, a resource, nothing at all."""
    resource = {"path": "/r", "pathType": "Prefix", "backend": {"resource": {"kind": "Bucket", "name": "b"}}}
    paths = [path("/", "root"), path("/n", "web", port="http"), path("/x", "web", port="none"), resource]
    obj = made("web", {"h.example": paths})
    found = means(obj)
    told = [answer(found, "h.example", each) for each in ("/n", "/x", "/r", "/y")]
    assert told == ["web", "503", "503", "root"]
    (problem,) = found.problems[Name("shop", "web")]
    assert (problem.reason, problem.path) == (
        Reason.BROKEN_REFERENCE,
        "spec.rules[0].http.paths[2].backend.service.port.name",
    )
    (remark,) = ingress(obj)[1]
    assert (remark.path, remark.reason) == (
        "spec.rules[0].http.paths[3].backend.resource",
        Reason.NOT_SUPPORTED,
    )


def test_only_ingresses_of_our_classes_are_served() -> None:
    """By name, by the older annotation, or by the default; another controller's are its own."""
    edge = ingress_class(
        {
            "metadata": {"name": "edge", "annotations": {SELECTOR: "istio=edge, tier=front"}},
            "spec": {"controller": CONTROLLER},
        }
    )
    assert edge == IngressClass("edge", is_default=False, selector=(("istio", "edge"), ("tier", "front")))
    other = {"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}}
    assert ingress_class(other) is None
    classes = [OURS, edge]
    plain = made("web", {})
    assert class_of(ingress(plain)[0], classes) == OURS
    assert class_of(ingress(plain)[0], [edge]) is None
    assert class_of(ingress(made("web", {}, ingressClassName="edge"))[0], classes) == edge
    assert class_of(ingress(made("web", {}, ingressClassName="nginx"))[0], classes) is None
    plain["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "edge"}
    assert class_of(ingress(plain)[0], classes) == edge


def test_oddities_are_remarks_and_never_hurt_the_rest() -> None:
    """Of whatever form."""
    odd = made(
        "web", {"h.example": [path("/", "web")]}, tls=[{"hosts": ["a"]}, 7], defaultBackend={"service": 3}
    )
    odd["spec"]["rules"] += [None, {"host": "x", "http": None}, {"http": {"paths": [{"path": "/q"}]}}]
    read, remarks = ingress(odd)
    assert [each.path for each in remarks] == [
        "spec.defaultBackend.service",
        "spec.rules[3].http.paths[0].pathType",
        "spec.rules[3].http.paths[0].backend.service",
        "spec.tls[0].secretName",
    ]
    found = meaning([read], [OURS], "cluster.local", lambda *_: None)
    assert answer(found, "h.example", "/") == "web"
    assert answer(found, "other", "/q") == "503"


def test_the_addresses_of_gateways_are_written_once() -> None:
    """As addresses or names, in one order."""
    wanted = {
        "loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}, {"hostname": "lb.example"}]}
    }
    assert balancer_status({}, ["lb.example", "fd00::1", "10.0.0.1"]) == wanted
    assert balancer_status(wanted, ["10.0.0.1", "lb.example", "fd00::1"]) is None
    assert balancer_status({}, []) is None
    assert balancer_status(wanted, []) == {"loadBalancer": {"ingress": []}}


HOSTS = ["a.example", "*.example", "*"]
ELEMENTS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3).map(lambda each: "/" + "/".join(each))
TARGETS = st.tuples(ELEMENTS, st.sampled_from(["", "/"])).map(
    lambda each: (each[0] + each[1]).replace("//", "/")
)
RULES = st.lists(st.tuples(st.sampled_from(HOSTS), TARGETS, st.sampled_from(["Exact", "Prefix"])), max_size=6)


def by_the_book(objects: Sequence[Any], default: str, host: str, target: str) -> str:
    """What the documentation says: the host that is meant, the longest path, exact before prefix, the older first."""
    rules = [(each, kind, text, service) for one in objects for each, text, kind, service in one]
    known = {each for each, *_ in rules}
    label = host.partition(".")[0]
    chosen = next((each for each in (host, host.replace(label, "*", 1)) if each in known), "*")
    if chosen == "*" and "*.example" in known and host.endswith(".example"):
        return default  # a deeper name than the wildcard's
    best: tuple[int, bool] | None = None
    found = default
    for each, kind, text, service in rules:
        bare = text.rstrip("/")
        taken = target == text if kind == "Exact" else target == bare or target.startswith(f"{bare}/")
        rank = (len(text if kind == "Exact" else bare or "/"), kind == "Exact")
        if each == chosen and taken and (best is None or rank > best):
            best, found = rank, service
    return found


@given(
    st.lists(RULES, max_size=3),
    st.booleans(),
    st.sampled_from(["a.example", "b.example", "x.y.example", "other"]),
    TARGETS,
)
def test_requests_go_where_the_documentation_says(
    rules: list[list[tuple[str, str, str]]], default: bool, host: str, target: str
) -> None:
    """Whatever several objects say of the same hosts and paths."""
    book, objects = [], []
    for number, each in enumerate(rules):
        named = [(*rule, f"s{number}{index}") for index, rule in enumerate(each)]
        book.append(named)
        obj = made(f"i{number}", {}, created=number)
        obj["spec"]["rules"] = [
            {
                **({"host": where} if where != "*" else {}),
                "http": {"paths": [path(text, service, kind)]},
            }
            for where, text, kind, service in named
        ]
        objects.append(obj)
    if default:
        objects.append(made("rest", {}, created=9, defaultBackend=to("rest")))
    found = means(*reversed(objects))
    assert answer(found, host, target) == by_the_book(book, "rest" if default else "404", host, target)
    shadowed = sum(map(len, found.problems.values()))
    distinct = {
        (where, kind, text if kind == "Exact" else text.rstrip("/"))
        for each in rules
        for where, text, kind in each
    }
    assert shadowed <= sum(map(len, rules)) - len(distinct)


CLASS = {"metadata": {"name": "xdsd"}, "spec": {"controller": CONTROLLER}}
STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.none() | st.tuples(TARGETS, st.booleans()), st.booleans()),
    max_size=12,
)


@given(STEPS)
def test_steps_add_up_to_what_all_of_them_mean_at_the_end(
    steps: list[tuple[str, tuple[str, bool] | None, bool]],
) -> None:
    """However Ingresses and their class come and go, and whenever it is asked."""
    state = IngressState("kubernetes:east", "cluster.local", lambda *_: None)
    objects: dict[str, dict[str, Any]] = {}
    told: dict[ObjectRef, AnyObject] = {}
    problems: dict[str, Sequence[Problem]] = {}

    def ask() -> None:
        change = state.take()
        for ref in change.removed if change else ():
            del told[ref]
        told.update((each.ref, each) for each in (change.upserts if change else ()))
        problems.update(state.take_problems())

    state.put("ingressclasses", CLASS)
    for name, what, asked in steps:
        if what is None:
            objects.pop(name, None)
            state.drop("ingresses", Name("shop", name))
        else:
            target, ours = what
            obj = made(
                name, {"h.example": [path(target, name)]}, ingressClassName="xdsd" if ours else "nginx"
            )
            objects[name] = obj
            state.put("ingresses", obj)
        if asked:
            ask()
    ask()
    fresh = meaning(
        [ingress(each)[0] for each in objects.values()],
        [IngressClass("xdsd", is_default=False, selector=OURS.selector)],
        "cluster.local",
        lambda *_: None,
    )
    assert told == {each.ref: each for each in fresh.objects}
    assert sum(map(len, problems.values())) == sum(map(len, fresh.problems.values()))
    assert all(each.file == "kubernetes:east" for group in problems.values() for each in group)
    state.drop("ingressclasses", Name("", "xdsd"))
    ask()
    assert told == {}


def test_what_ingresses_mean_is_right_as_if_somebody_had_written_it() -> None:
    """Compiled for a gateway that they select, beside the services that they name, nothing is wrong or odd."""
    tls = [{"hosts": ["shop.example"], "secretName": "shop-tls"}]
    one = made("a.b", {"shop.example": [path("/", "web"), path("/a", "web", "Exact")]}, tls=tls)
    other = made(
        "c",
        {"*.shop.example": [path("/x/*", "web", "ImplementationSpecific")]},
        defaultBackend=to("web"),
        created=1,
    )
    found = means(one, other)
    assert found.problems == {}
    entry = parse_object(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "hosts": ["web.shop.svc.cluster.local"],
                "location": "MESH_INTERNAL",
                "resolution": "STATIC",
                "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
                "endpoints": [{"address": "10.0.0.1"}],
            },
        }
    )
    assert not isinstance(entry, list)
    told = [str(each) for each in analyze_objects(Subject([*found.objects, entry]))]
    assert [each for each in told if "shop-tls" not in each] == []
