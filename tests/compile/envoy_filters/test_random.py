"""Patches that nobody thought of."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.compile.envoy_filters.patching import EXTENSIONS, HTTP, LUA, MANAGER, TCP
from tests.compile.worlds import Sandbox, gateway, proxy, router, service, virtual_service
from xdsd.compile.admissible import admissible
from xdsd.compile.envoy_filters.rules import violations
from xdsd.compile.layers.patched import Refused
from xdsd.manifest import parse_object
from xdsd.model.catalog import Endpoint, Protocol
from xdsd.model.intent import ApplyTo, PatchOperation
from xdsd.model.intent.envoy_filter import OPERATIONS
from xdsd.snapshot import TYPES

CLUSTER = "outbound|9080||a.default.svc.cluster.local"
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 1 << 33),
    st.text(max_size=4),
    st.sampled_from(["1s", "-1s", "/", [], {}]),
)
KEYS = st.sampled_from(
    [
        *(
            "name",
            "typed_config",
            "typedConfig",
            "@type",
            "filters",
            "match",
            "route",
            "routes",
            "domains",
            "cluster",
        ),
        *(
            "prefix",
            "connect_timeout",
            "type",
            "address",
            "filter_chains",
            "transport_socket",
            "load_assignment",
        ),
        *(
            "http_filters",
            "stat_prefix",
            "timeout",
            "inline_code",
            "direct_response",
            "status",
            "metadata",
            "x",
        ),
    ]
)
JSON = st.recursive(
    ODD, lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(KEYS, inner, max_size=3))
)


def config(*types: str) -> st.SearchStrategy[dict[str, Any]]:
    """A filter of one of these types, or something near it."""
    more = st.dictionaries(
        st.sampled_from(["inline_code", "stat_prefix", "cluster", "use_remote_address"]), ODD, max_size=2
    )
    typed = st.builds(lambda url, rest: {"@type": url, **rest}, st.sampled_from(types), more)
    return st.fixed_dictionaries(
        {"name": st.sampled_from(["x", HTTP, TCP, ""])}, optional={"typed_config": typed}
    )


ROUTER = f"{EXTENSIONS}.http.router.v3.Router"
ROUTE = st.sampled_from(
    [
        {"name": "new", "match": {"prefix": "/"}, "direct_response": {"status": 200}},
        {"match": {"path": "/x"}, "route": {"cluster": CLUSTER}},
        {"route": {"timeout": "1s"}},
        {"name": "default"},
        {},
    ]
)
HOST = st.sampled_from(
    [{"name": "h", "domains": ["*"]}, {"name": "h", "domains": ["h"]}, {"domains": ["a"]}, {"name": "h"}]
)
ADDRESS = {"socket_address": {"address": "127.0.0.1", "port_value": 1}}
SENSIBLE: dict[str, st.SearchStrategy[Any]] = {
    "LISTENER": st.sampled_from(
        [{"name": "l", "address": ADDRESS}, {"stat_prefix": "s"}, {"default_filter_chain": {}}]
    ),
    "FILTER_CHAIN": st.sampled_from(
        [{"name": "c"}, {"filter_chain_match": {"destination_port": 9080}}, {"filters": []}]
    ),
    "LISTENER_FILTER": config(f"{EXTENSIONS}.listener.tls_inspector.v3.TlsInspector", LUA),
    "NETWORK_FILTER": config(
        MANAGER, f"{EXTENSIONS}.network.tcp_proxy.v3.TcpProxy", f"{EXTENSIONS}.network.echo.v3.Echo"
    ),
    "HTTP_FILTER": config(LUA, ROUTER, f"{EXTENSIONS}.http.fault.v3.HTTPFault"),
    "ROUTE_CONFIGURATION": st.sampled_from(
        [{"internal_only_headers": ["x"]}, {"virtual_hosts": []}, {"name": "x"}]
    ),
    "VIRTUAL_HOST": HOST,
    "HTTP_ROUTE": ROUTE,
    "CLUSTER": st.sampled_from(
        [{"connect_timeout": "1s"}, {"name": "n", "type": "STATIC"}, {"type": "EDS"}, {"name": CLUSTER}]
    ),
    "EXTENSION_CONFIG": config(LUA, ROUTER),
    "BOOTSTRAP": st.sampled_from([{"stats_flush_interval": "1s"}, {"admin": {}}]),
}
NAMES = st.sampled_from(
    [HTTP, TCP, "x", "0.0.0.0_9080", "virtualInbound", "9080", "default", "envoy.filters.http.router"]
)
NUMBERS = st.sampled_from([9080, 9090, 15006, 8080, 1])
FILTER = st.fixed_dictionaries(
    {"name": NAMES}, optional={"subFilter": st.fixed_dictionaries({"name": NAMES})}
)
LISTENERS = st.fixed_dictionaries(
    {},
    optional={
        "name": NAMES,
        "portNumber": NUMBERS,
        "portName": st.sampled_from(["http", "TCP"]),
        "filterChain": st.fixed_dictionaries(
            {}, optional={"name": NAMES, "filter": FILTER, "destinationPort": NUMBERS}
        ),
        "listenerFilter": NAMES,
    },
)
ROUTES = st.fixed_dictionaries(
    {},
    optional={
        "name": NAMES,
        "portNumber": NUMBERS,
        "gateway": st.sampled_from(["default/edge", "x/y"]),
        "vhost": st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["a.default.svc.cluster.local:9080", "*:8080"]),
                "route": st.fixed_dictionaries(
                    {}, optional={"name": NAMES, "action": st.sampled_from(["ANY", "ROUTE"])}
                ),
            },
        ),
    },
)
CLUSTERS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.just(CLUSTER),
        "portNumber": NUMBERS,
        "service": st.just("a.default.svc.cluster.local"),
    },
)
CONTEXTS = st.sampled_from(["ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY"])


def _fit(listener: dict[str, Any], apply_to: str) -> None:
    """Leaves of a match what goes with what is patched."""
    chain = listener.get("filterChain", {})
    if apply_to != "LISTENER_FILTER":
        listener.pop("listenerFilter", None)
    if apply_to not in ("NETWORK_FILTER", "HTTP_FILTER"):
        chain.pop("filter", None)
    elif apply_to == "NETWORK_FILTER":
        chain.get("filter", {}).pop("subFilter", None)
    elif "subFilter" in chain.get("filter", {}):
        chain["filter"]["name"] = HTTP


@st.composite
def patches(draw: st.DrawFn) -> dict[str, Any]:
    """A patch that may well be admitted."""
    apply_to = draw(st.sampled_from(sorted(SENSIBLE)))
    allowed = sorted(OPERATIONS[ApplyTo(apply_to)])
    operation = draw(st.sampled_from(allowed or sorted(PatchOperation)))
    junk = st.dictionaries(KEYS, JSON, max_size=3)
    value = draw(junk if draw(st.integers(0, 9)) == 0 else SENSIBLE[apply_to])
    match: dict[str, Any] = {"context": draw(CONTEXTS)}
    if draw(st.booleans()):
        if apply_to in ("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE"):
            match["routeConfiguration"] = draw(ROUTES)
        elif apply_to == "CLUSTER":
            match["cluster"] = draw(CLUSTERS)
        elif apply_to not in ("EXTENSION_CONFIG", "BOOTSTRAP"):
            match["listener"] = draw(LISTENERS)
            _fit(match["listener"], apply_to)
    return {"applyTo": apply_to, "match": match, "patch": {"operation": operation, "value": value}}


def mesh() -> Sandbox:
    """HTTP and TCP services, a sidecar of both, a gateway."""
    box = Sandbox()
    box.put_service(service("a"), Endpoint("10.1.0.1"))
    box.put_service(service("b", port=9090, protocol=Protocol.TCP), Endpoint("10.1.0.1"))
    box.put_object(gateway("edge", 8080))
    box.put_object(virtual_service("v", "*", to="a", gateways=("edge",)))
    box.attach(proxy())
    box.attach(router())
    return box


QUICK = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


@QUICK
@given(st.lists(st.lists(patches(), min_size=1, max_size=3), min_size=1, max_size=3), st.data())
def test_no_patch_makes_the_compiler_fail(objects: list[list[dict[str, Any]]], data: st.DataObject) -> None:
    """Whatever is admitted compiles to messages that keep Envoy's rules; refusals at random change that in nothing, and
    without the objects all is as it was.
    """
    box = mesh()
    box.settle()
    before = {node: box.versions(node) for node in box.snapshot.assigned}
    admitted = 0
    for number, given_patches in enumerate(objects):
        spec = {"configPatches": given_patches}
        value = {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": {"name": f"f{number}"},
            "spec": json.loads(json.dumps(spec)),
        }
        obj = parse_object(value)
        if isinstance(obj, list) or admissible(obj):
            continue
        admitted += 1
        box.put_object(obj)
    for _ in range(3):
        box.settle()
        assert [fault.error for fault in box.compiler.faults()] == []
        list(box.compiler.problems())
        for node in before:
            served = box.versions(node)
            for type_url, name in served:
                assert list(violations(box.message(node, type_url, name))) == []
            if served and admitted:
                type_url, name = data.draw(st.sampled_from(sorted(served)))
                box.compiler.refuse(node, Refused(type_url, name, served[type_url, name]), "no")
    for number in range(len(objects)):
        box.drop_object("EnvoyFilter", f"f{number}")
    box.settle()
    assert {node: box.versions(node) for node in before} == before
    assert len(TYPES) >= 6


@QUICK
@given(st.sampled_from(sorted(SENSIBLE)), st.dictionaries(KEYS, JSON, max_size=4), st.booleans())
def test_no_value_makes_admission_fail(apply_to: str, value: dict[str, Any], whole: bool) -> None:
    """Any JSON is either a message or has problems that say where."""
    merges = "MERGE" if PatchOperation.MERGE in OPERATIONS[ApplyTo(apply_to)] else "ADD"
    operation = "ADD" if whole and PatchOperation.ADD in OPERATIONS[ApplyTo(apply_to)] else merges
    spec = {"configPatches": [{"applyTo": apply_to, "patch": {"operation": operation, "value": value}}]}
    obj = parse_object(
        {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": {"name": "f"},
            "spec": spec,
        }
    )
    if not isinstance(obj, list):
        for problem in admissible(obj):
            assert problem.path.startswith("spec.configPatches[0].patch.value")
            assert problem.message
