"""What Consul says, as services and endpoints of the mesh."""

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.registry.consul.entries import SOURCE, body, check, entry, reading
from xdsd.model.catalog import Endpoint, Health, Location, Port, Protocol, Resolution, Service, ServiceKey
from xdsd.model.problem import ObjectRef, Reason, Severity
from xdsd.registry.base import CatalogChange
from xdsd.registry.catalog import Catalog
from xdsd.registry.consul import ConsulOptions, Hosts, Warned
from xdsd.registry.consul.answers import InstanceKey, Malformed, read_names, read_troubled
from xdsd.registry.consul.facts import read_facts
from xdsd.registry.consul.services import Reader

WEB_1 = InstanceKey("n1", "web-1")


def only(*entries: Any, options: ConsulOptions | None = None) -> Endpoint:
    """The one endpoint that comes of these, of which nothing is wrong."""
    found = reading(*entries, options=options)
    assert found.problems == ()
    assert found.service is not None
    (endpoint,) = found.service.endpoints
    return endpoint


def service(*entries: Any, options: ConsulOptions | None = None) -> Service:
    found = reading(*entries, options=options)
    assert found.service is not None
    return found.service


def test_an_instance_becomes_an_endpoint() -> None:
    """A whole entry, with all that counts of it."""
    found = reading(
        entry(
            node={"Meta": {"region": "eu", "zone": "eu-1"}},
            Tags=["version=v1", "canary", "env:prod", "team=not this"],
            Meta={"protocol": "http", "team": "shop", "service-account": "web", "tls-mode": "istio"},
            Weights={"Passing": 7, "Warning": 1},
        )
    )
    labels = {
        "version": "v1",
        "canary": "true",
        "env": "prod",
        "team": "shop",
        "protocol": "http",
        "service-account": "web",
        "tls-mode": "istio",
        "security.istio.io/tlsMode": "istio",
    }
    endpoint = Endpoint(
        "10.0.0.1", {"http": 8080}, labels, locality="eu/eu-1", weight=7, service_account="web"
    )
    assert found.service == Service(
        "default",
        "web.service.consul",
        (Port(8080, "http", Protocol.HTTP, 8080, made_up=True),),
        resolution=Resolution.STATIC,
        location=Location.MESH_INTERNAL,
        endpoints=(endpoint,),
        source=SOURCE,
    )
    assert found.problems == ()


def test_hosts_by_setting() -> None:
    """Consul's own form, or that of the mesh, in the namespace that the source is for."""
    mesh = ConsulOptions(hosts=Hosts.MESH, mesh_namespace="shop")
    assert service(entry(), options=mesh).key == ServiceKey("shop", "web.shop.svc.mesh.local")
    assert service(entry()).key == ServiceKey("default", "web.service.consul")


def test_names_of_datacenters() -> None:
    """A service has the name of its datacenter too where that is said, or that one alone; the common one is regional."""
    reader = Reader(ConsulOptions(datacenter="DC2"), "mesh.local", SOURCE)
    both = reader.named("web", service(entry(), options=reader.options))
    assert [(each.hostname, each.regional) for each in both] == [
        ("web.service.consul", True),
        ("web.service.dc2.consul", False),
    ]
    assert both[0].endpoints == both[1].endpoints != ()
    alone = replace(reader, options=ConsulOptions(datacenter="dc2", hosts=Hosts.DATACENTER))
    (only_one,) = alone.named("web", service(entry(), options=alone.options))
    assert (only_one.hostname, only_one.regional) == ("web.service.dc2.consul", False)
    mesh = ConsulOptions(datacenter="dc2", hosts=Hosts.MESH)
    assert service(entry(), options=mesh).regional
    assert not service(entry()).regional


@pytest.mark.parametrize("name", ["a.b", "a b", "-a", "a" * 64, "ü", "a/b", "a?b"])
def test_a_name_that_makes_no_host_is_told(name: str) -> None:
    """The service is left out, and its problem names it."""
    found = reading(entry(), name=name)
    assert found.service is None
    (problem,) = found.problems
    assert problem.reason is Reason.INVALID_VALUE
    assert problem.object == ObjectRef("ConsulService", "default", name)
    assert "makes no host name" in str(problem)
    assert str(problem).startswith(SOURCE)


@pytest.mark.parametrize(
    ("statuses", "warned", "health", "weight"),
    [
        ([], Warned.HEALTHY, Health.HEALTHY, 5),
        (["passing", "passing"], Warned.HEALTHY, Health.HEALTHY, 5),
        (["passing", "warning"], Warned.HEALTHY, Health.HEALTHY, 2),
        (["passing", "warning"], Warned.UNHEALTHY, Health.UNHEALTHY, 5),
        (["warning", "critical"], Warned.HEALTHY, Health.UNHEALTHY, 5),
        (["maintenance"], Warned.HEALTHY, Health.DRAINING, 5),
    ],
)
def test_checks_say_how_an_instance_is(
    statuses: list[str], warned: Warned, health: Health, weight: int
) -> None:
    """The worst check counts; one that warns weighs what Consul says, or is out by setting."""
    weights = {"Passing": 5, "Warning": 2}
    checks = [check(status) for status in statuses]
    endpoint = only(entry(checks=checks, Weights=weights), options=ConsulOptions(warning=warned))
    assert (endpoint.health, endpoint.weight) == (health, weight)


@pytest.mark.parametrize("ident", ["_node_maintenance", "_service_maintenance:web-1"])
def test_maintenance_drains(ident: str) -> None:
    """Consul says maintenance as a critical check of a name of its own: requests that run may end."""
    assert only(entry(checks=[check("critical", ident)])).health is Health.DRAINING


def test_a_weight_of_nothing_is_out() -> None:
    """An instance that warns and then weighs 0 gets nothing."""
    endpoint = only(entry(checks=[check("warning")], Weights={"Passing": 5, "Warning": 0}))
    assert endpoint.health is Health.UNHEALTHY


def test_an_unknown_word_of_a_check_is_no_good_sign() -> None:
    """It is told, and the instance is out."""
    for word, shown in (("dizzy", "'dizzy'"), ([], "'[]'"), (None, "'None'")):
        found = reading(entry(checks=[{"CheckID": "alive", "Status": word}]))
        assert found.service is not None
        assert found.service.endpoints[0].health is Health.UNHEALTHY
        assert f"{shown}, which is none of passing, warning and critical" in str(found.problems[0])


@pytest.mark.parametrize(
    ("address", "fields", "meant"),
    [
        (("service", "node"), {}, ("10.0.0.1", 8080)),
        (("service", "node"), {"Address": ""}, ("10.1.0.1", 8080)),
        (("node",), {}, ("10.1.0.1", 8080)),
        (("wan", "service"), {}, ("198.51.100.9", 8080)),
        (
            ("wan",),
            {"TaggedAddresses": {"wan": {"Address": "198.51.100.1", "Port": 443}}},
            ("198.51.100.1", 443),
        ),
        (("lan_ipv6", "service"), {}, ("10.0.0.1", 8080)),
    ],
)
def test_addresses_by_choice(
    address: tuple[str, ...], fields: dict[str, Any], meant: tuple[str, int]
) -> None:
    """The first that there is, of the instance or of its node; a tagged address may have its own port."""
    node = {"TaggedAddresses": {"wan": "198.51.100.9"}}
    endpoint = only(entry(node=node, **fields), options=ConsulOptions(address=address))
    assert (endpoint.address, endpoint.ports["port"]) == meant


def test_an_address_may_be_a_name() -> None:
    """Then the service is one that proxies look up."""
    assert service(entry(Address="db.example.com")).resolution is Resolution.DNS


def test_localities() -> None:
    """An instance's own before its node's; the datacenter is the region that nobody named."""
    assert only(entry()).locality == "dc1"
    assert only(entry(node={"Meta": {"zone": "z1", "subzone": "r7"}})).locality == "dc1/z1/r7"
    named = entry(node={"Meta": {"region": "eu"}}, Meta={"region": "us", "zone": "us-1"})
    assert only(named).locality == "us/us-1"
    newer = entry(node={"Locality": {"Region": "eu", "Zone": "eu-2"}})
    assert only(newer).locality == "eu/eu-2"


def test_networks() -> None:
    """By meta of the instance, of its node, or for the whole source."""
    options = ConsulOptions(network="east")
    assert only(entry(), options=options).network == "east"
    assert only(entry(node={"Meta": {"network": "dmz"}}), options=options).network == "dmz"
    assert only(entry(Meta={"network": "edge"}), options=options).network == "edge"


def test_sidecars_of_consul_are_left_out() -> None:
    """Instances with a kind are proxies and gateways of Consul's own mesh."""
    found = reading(entry(), entry("web-1-sidecar-proxy", Kind="connect-proxy", Address="10.0.0.9"))
    assert found.service is not None
    assert [each.address for each in found.service.endpoints] == ["10.0.0.1"]
    assert reading(entry(Kind="mesh-gateway")).service is None


def test_one_port_for_a_service() -> None:
    """That of its instances, of their meta, or of the source; instances say where they listen themselves."""
    apart = [entry("web-1", Port=8080), entry("web-2", Port=9090, CreateIndex=11)]
    found = reading(*apart)
    assert found.service is not None
    assert found.service.ports[0].number == 8080
    assert [each.ports for each in found.service.endpoints] == [{"port": 8080}, {"port": 9090}]
    (problem,) = found.problems
    assert problem.severity is Severity.WARNING
    assert "listen on the ports 8080, 9090, and the service is called at 8080" in problem.message
    assert reading(*apart, options=ConsulOptions(port=80)).problems == ()
    assert service(*apart, options=ConsulOptions(port=80)).ports[0].number == 80
    assert service(entry(Meta={"service-port": "81"}), options=ConsulOptions(port=80)).ports[0].number == 81


def test_two_consuls_that_call_a_service_at_different_ports() -> None:
    """It is told between them as within one: each port takes only its own calls."""
    catalog = Catalog()
    for source, port in (("consul:east", 80), ("consul:west", 8080)):
        part = replace(service(entry(Port=port, Address=f"10.0.0.{port}")), source=source)
        catalog.apply(source, CatalogChange(services=(part,)))
    (problem,) = catalog.problems
    assert "consul:west says port 8080 (unnamed, AUTO), and consul:east says port 80" in problem.message
    assert problem.object == ObjectRef("Service", "default", "web.service.consul")


def test_an_instance_without_a_port_has_no_endpoint() -> None:
    """Nothing can be called there; the service is there where something else names its port, and a warning else."""
    found = reading(entry(Port=0), entry("web-2", Port=0))
    assert found.service is None
    (problem,) = found.problems
    assert (problem.severity, problem.path) == (Severity.WARNING, "Service.Port")
    assert "no instance has a port, so nobody can call the service, and it is left out" in problem.message
    declared = reading(entry(Port=0, Meta={"service-port": "80"}))
    assert declared.service is not None
    assert (declared.service.endpoints, declared.problems) == ((), ())
    assert reading(entry(Port=0), entry("web-2")).problems == ()
    assert reading(entry(Port=0, Kind="connect-proxy")).problems == ()


@pytest.mark.parametrize(
    ("meta", "options", "protocol"),
    [
        ({}, ConsulOptions(), Protocol.AUTO),
        ({}, ConsulOptions(protocol=Protocol.TCP), Protocol.TCP),
        ({"protocol": "grpc"}, ConsulOptions(protocol=Protocol.TCP), Protocol.GRPC),
        ({"protocol": "HTTP2"}, ConsulOptions(), Protocol.HTTP2),
    ],
)
def test_protocols(meta: dict[str, str], options: ConsulOptions, protocol: Protocol) -> None:
    """By meta, else by setting, else it is found out."""
    assert service(entry(Meta=meta), options=options).ports[0].protocol is protocol


def test_a_tag_says_what_meta_does_not() -> None:
    """A protocol may stand in a tag."""
    assert service(entry(Tags=["protocol=grpc"])).ports[0] == Port(
        8080, "grpc", Protocol.GRPC, 8080, made_up=True
    )


def test_what_instances_contradict_each_other_in() -> None:
    """The oldest one's word holds, and it is told."""
    found = reading(
        entry("web-1", CreateIndex=20, Meta={"protocol": "tcp"}),
        entry("web-2", CreateIndex=10, Meta={"protocol": "http"}),
    )
    assert found.service is not None
    assert found.service.ports[0].protocol is Protocol.HTTP
    (problem,) = found.problems
    assert "'http' is the oldest one's, and holds" in problem.message


@pytest.mark.parametrize(
    ("meta", "path", "said"),
    [
        ({"protocol": "carrier-pigeon"}, "Service.Meta.protocol", "is no protocol, so it is found out"),
        ({"protocol": "AUTO"}, "Service.Meta.protocol", "is no protocol"),
        ({"service-port": "http"}, "Service.Meta.service-port", "is no port: write a number"),
        ({"service-port": "70000"}, "Service.Meta.service-port", "is no port"),
    ],
)
def test_mistakes_in_meta(meta: dict[str, str], path: str, said: str) -> None:
    """They are told, and the service is served without them."""
    found = reading(entry(Meta=meta))
    assert found.service is not None
    (problem,) = found.problems
    assert problem.path == path
    assert said in problem.message


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        (entry("web-2", Port=70000), "n1/web-2.Service.Port"),
        (entry("web-2", Port="http"), "n1/web-2.Service.Port"),
        (entry("web-2", Address="10.0.0.300"), "n1/web-2.Service.Address"),
        (entry("web-2", Address="no such place!"), "n1/web-2.Service.Address"),
        (entry("web-2", Address="", node={"Address": ""}), "n1/web-2.Service.Address"),
        (entry("web-2", Address=7), "n1/web-2.Service.Address"),
        (entry("web-2", Weights={"Passing": -1}), "n1/web-2.Service.Weights.Passing"),
        (entry("web-2", Weights=[1]), "n1/web-2.Service.Weights"),
        (entry("web-2", Meta={"a": 1}), "n1/web-2.Service.Meta.a"),
        (entry("web-2", Tags="v1"), "n1/web-2.Service.Tags"),
        (entry("web-2", checks="passing"), "n1/web-2.Checks"),
        (entry("web-2", TaggedAddresses={"lan": 1}), "n1/web-2.Service.TaggedAddresses.lan"),
        ({"Node": None, "Service": {"ID": "web-2"}}, "[1]"),
        (None, "[1]"),
    ],
)
def test_a_wrong_instance_hurts_no_other(wrong: Any, path: str) -> None:
    """It is left out, with a problem that names it and the field."""
    found = reading(entry(), wrong)
    assert found.service is not None
    assert [each.address for each in found.service.endpoints] == ["10.0.0.1"]
    (problem,) = found.problems
    assert (problem.path, problem.severity) == (path, Severity.ERROR)


def test_an_instance_that_becomes_wrong_stays_as_it_was() -> None:
    """Until it is right again."""
    known = reading(entry()).entries
    found = reading(entry(Address="no such place!"), known=known)
    assert found.entries == known
    assert found.service is not None
    assert [each.address for each in found.service.endpoints] == ["10.0.0.1"]
    assert len(found.problems) == 1


def test_a_service_of_wrong_instances_alone_stays_as_it_was() -> None:
    """Even of what cannot be read at all."""
    was = reading(entry())
    assert was.service is not None
    found = reading(entry(Port="?"), known=was.entries, port=was.service.ports[0])
    assert found.service == was.service
    assert len(found.problems) == 1


def test_the_order_of_an_answer_does_not_matter() -> None:
    """Consul gives none."""
    entries = [entry(f"web-{number}", Address=f"10.0.0.{number}") for number in range(1, 6)]
    assert service(*entries) == service(*reversed(entries))


def test_a_plain_place_has_no_slash() -> None:
    """It would say another locality."""
    found = reading(entry(Meta={"region": "eu/west"}))
    assert found.service is not None
    assert found.service.endpoints[0].locality == "dc1"
    assert "has a slash" in found.problems[0].message


def test_names_are_one_in_every_case() -> None:
    """To Consul too."""
    assert read_names(b'{"Web": [], "web": [], "db": []}') == {"web", "db"}


@pytest.mark.parametrize("answer", [b"", b"[", b"[]", b"null", b"7", b'"a"', b"\xff", b"[" * 100_000])
def test_lists_of_services_that_are_none(answer: bytes) -> None:
    """They are refused as a whole."""
    with pytest.raises(Malformed):
        read_names(answer)


@pytest.mark.parametrize("answer", [b"", b'[{"Node":', b"{}", b"null", b"\xff"])
def test_lists_of_instances_that_are_none(answer: bytes) -> None:
    """They are refused as a whole."""
    with pytest.raises(Malformed):
        list(read_facts(answer, ConsulOptions()))
    with pytest.raises(Malformed):
        read_troubled(answer)


_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ID", "Address", "Port", "Status", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
_wrong_fields = st.dictionaries(
    st.sampled_from(
        [
            "ID",
            "Service",
            "Kind",
            "Port",
            "Address",
            "Tags",
            "Meta",
            "Weights",
            "TaggedAddresses",
            "Locality",
            "CreateIndex",
        ]
    ),
    _json,
    max_size=3,
)
_wrong_nodes = st.dictionaries(
    st.sampled_from(["Node", "Address", "Datacenter", "TaggedAddresses", "Meta", "Locality"]),
    _json,
    max_size=2,
)
_any_entries = st.lists(
    _json
    | st.builds(
        lambda fields, node, checks: entry(node=node, checks=checks, **{"ID": "web-1", **fields}),
        _wrong_fields.map(lambda fields: {name: value for name, value in fields.items() if name != "ID"}),
        _wrong_nodes,
        _json,
    ),
    max_size=4,
)


@settings(deadline=None, max_examples=60)
@given(entries=_any_entries)
def test_anything_is_an_answer(entries: list[Any]) -> None:
    """Whatever stands in a list is served or told, a right instance beside it is served, and the catalog takes it."""
    right = entry("right", node={"Node": "n0"}, Address="10.9.0.1")
    found = reading(right, *entries, known={WEB_1: Endpoint("10.0.0.1", {"port": 1})})
    assert found.service is not None
    assert "10.9.0.1" in {each.address for each in found.service.endpoints}
    catalog = Catalog()
    catalog.apply(SOURCE, CatalogChange(services=(found.service,)))
    assert "10.9.0.1" in {each.address for each in catalog.endpoints(found.service.key)}
    for problem in found.problems:
        assert problem.message
        assert problem.object == ObjectRef("ConsulService", "default", "web")


@settings(deadline=None)
@given(content=st.binary(max_size=200) | _json.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    """Nothing but Malformed leaves."""
    for read in (read_names, read_troubled, lambda each: list(read_facts(each, ConsulOptions()))):
        with contextlib.suppress(Malformed):
            assert read(content) is not None


def test_bodies_are_json() -> None:
    """What these tests feed is what Consul sends."""
    assert json.loads(body([entry()]))[0]["Service"]["ID"] == "web-1"
