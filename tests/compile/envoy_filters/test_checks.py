"""What is wrong with the values of patches, at which path, before any proxy has them."""

import time
from typing import Any

import pytest

from tests.compile.envoy_filters.patching import EXTENSIONS, LUA, TYPES, envoy_filter, lua
from tests.golden import files
from tests.golden.mesh import compile_case, message, read_case
from xdsd.compile.admissible import admissible
from xdsd.compile.envoy_filters.rules import violations
from xdsd.compile.envoy_filters.types import message_type
from xdsd.manifest import parse_object

FAULT = f"{EXTENSIONS}.http.fault.v3.HTTPFault"
WASM = f"{EXTENSIONS}.http.wasm.v3.Wasm"
AT = "spec.configPatches[0].patch.value"


def told(apply_to: str, operation: str, value: dict[str, Any]) -> list[str]:
    """``PATH: MESSAGE`` of each problem of a patch's value, the path below the value."""
    change: dict[str, Any] = {"operation": operation, "value": value}
    problems = admissible(envoy_filter({"applyTo": apply_to, "patch": change}))
    assert all(problem.path.startswith(AT) for problem in problems), problems
    return [f"{problem.path.removeprefix(AT)}: {problem.message}" for problem in problems]


GOOD: list[tuple[str, str, dict[str, Any]]] = [
    ("HTTP_FILTER", "ADD", lua("x", "code")),
    ("HTTP_FILTER", "ADD", {"name": "x", "typedConfig": {"@type": LUA, "inlineCode": "code"}}),
    ("HTTP_FILTER", "ADD", {"name": "x", "typed_config": {"@type": FAULT, "abort": {"http_status": 503}}}),
    ("CLUSTER", "MERGE", {"connect_timeout": "0.5s"}),
    ("CLUSTER", "MERGE", {"metadata": {"filter_metadata": {"a": {"b": [1, None, {"c": "d"}]}}}}),
    ("CLUSTER", "MERGE", {"per_connection_buffer_limit_bytes": 32768, "lb_policy": 1}),
    ("HTTP_ROUTE", "MERGE", {"route": {"timeout": "2s"}}),
    (
        "VIRTUAL_HOST",
        "MERGE",
        {"typed_per_filter_config": {"x": {"@type": f"{LUA}PerRoute", "disabled": True}}},
    ),
    (
        "HTTP_FILTER",
        "ADD",
        {
            "name": "wasm",
            "typed_config": {
                "@type": f"{TYPES}/udpa.type.v1.TypedStruct",
                "type_url": WASM,
                "value": {"config": {"vm_config": {"code": {"local": {"inline_string": "x"}}}}},
            },
        },
    ),
    (
        "HTTP_FILTER",
        "ADD",
        {
            "name": "wasm",
            "typed_config": {
                "@type": WASM,
                "config": {"configuration": {"@type": f"{TYPES}/google.protobuf.StringValue", "value": "{}"}},
            },
        },
    ),
]

BAD: list[tuple[str, str, dict[str, Any], list[str]]] = [
    (
        "HTTP_FILTER",
        "ADD",
        {"name": "x", "typed_config": {"@type": LUA, "inlinecode": "code"}},
        [".typed_config.inlinecode: unknown field; did you mean inline_code?"],
    ),
    (
        "HTTP_FILTER",
        "ADD",
        {"name": "x", "typed_config": {"@type": f"{EXTENSIONS}.http.luna.v3.Luna"}},
        [
            (
                ".typed_config.@type: envoy.extensions.filters.http.luna.v3.Luna"
                " is no message of Envoy's API that this daemon knows"
            )
        ],
    ),
    (
        "HTTP_FILTER",
        "ADD",
        {"name": "x", "typed_config": {"inline_code": "code"}},
        [".typed_config.@type: say which message this is: type.googleapis.com/NAME"],
    ),
    (
        "HTTP_FILTER",
        "ADD",
        {
            "name": "x",
            "typed_config": {"@type": f"{TYPES}/envoy.config.filter.http.lua.v2.Lua", "inline_code": "c"},
        },
        [
            (
                ".typed_config.@type: envoy.config.filter.http.lua.v2.Lua is of an API version"
                " that no proxy knows any more; use v3"
            )
        ],
    ),
    (
        "HTTP_FILTER",
        "ADD",
        {"name": "", "typed_config": {"@type": FAULT, "abort": {"httpStatus": 900}}},
        [".name: is empty", ".typed_config.abort.httpStatus: 900 is out of range: at least 200, below 600"],
    ),
    (
        "HTTP_FILTER",
        "ADD",
        {
            "name": "x",
            "typed_config": {
                "@type": f"{TYPES}/udpa.type.v1.TypedStruct",
                "type_url": WASM,
                "value": {"confg": {}},
            },
        },
        [".typed_config.value.confg: unknown field; did you mean config?"],
    ),
    (
        "CLUSTER",
        "ADD",
        {"name": "a", "type": "STRICT_DN", "connect_timeout": "5", "hosts": []},
        [
            ".type: 'STRICT_DN' is no value of this field; did you mean STRICT_DNS?",
            ".connect_timeout: '5' is no duration; write seconds, such as 1.5s",
            ".hosts: unknown field",
        ],
    ),
    ("CLUSTER", "ADD", {"type": "STATIC"}, [".name: is empty"]),
    ("LISTENER", "ADD", {"stat_prefix": "x"}, [".name: is missing; what is added needs a name"]),
    (
        "CLUSTER",
        "MERGE",
        {"per_connection_buffer_limit_bytes": "many"},
        [".per_connection_buffer_limit_bytes: 'many' is no number that this field can hold"],
    ),
    ("CLUSTER", "MERGE", {"name": 5}, [".name: 5 is not text; put it in quotes"]),
    (
        "CLUSTER",
        "MERGE",
        {"ignore_health_on_host_removal": "yes"},
        [".ignore_health_on_host_removal: 'yes' is not true or false"],
    ),
    (
        "CLUSTER",
        "MERGE",
        {
            "health_checks": [
                {"timeout": "1s", "interval": "1s", "healthy_threshold": 1, "unhealthy_threshold": 1}
            ]
        },
        [
            (
                ".health_checks[0]: is incomplete; give one of http_health_check, tcp_health_check, grpc_health_check,"
                " custom_health_check"
            )
        ],
    ),
    ("CLUSTER", "MERGE", {"health_checks": {}}, [".health_checks: a map is not a list"]),
    ("CLUSTER", "MERGE", {"load_assignment": []}, [".load_assignment: a list is not a map of fields"]),
    (
        "CLUSTER",
        "MERGE",
        {"metadata": {"filter_metadata": {"a": 7}}},
        [".metadata.filter_metadata[a]: 7 is not a map"],
    ),
    (
        "HTTP_ROUTE",
        "ADD",
        {"match": {"prefix": "/", "path": "/x"}, "route": {"cluster": "a"}},
        [".match.path: prefix is set too, and of these there can be only one"],
    ),
    (
        "HTTP_ROUTE",
        "ADD",
        {"route": {"timeout": "2s"}},
        [
            ".match: is missing",
            (
                ".route: is incomplete; give one of cluster, cluster_header, weighted_clusters, cluster_specifier_plugin,"
                " inline_cluster_specifier_plugin"
            ),
        ],
    ),
    (
        "VIRTUAL_HOST",
        "ADD",
        {"name": "a", "domains": [], "request_headers_to_add": [{"header": {"key": "x", "value": "1\n"}}]},
        [".domains: is empty", ".request_headers_to_add[0].header.value: '1\\n' is no header value"],
    ),
    (
        "VIRTUAL_HOST",
        "MERGE",
        {"typed_per_filter_config": {"envoy.filters.http.lua": {"@type": f"{LUA}PerRoute", "nam": "x"}}},
        [".typed_per_filter_config[envoy.filters.http.lua].nam: unknown field; did you mean name?"],
    ),
]


@pytest.mark.parametrize(("apply_to", "operation", "value"), GOOD)
def test_values_that_are_messages(apply_to: str, operation: str, value: dict[str, Any]) -> None:
    """In either spelling of names, with messages in Anys and Structs; what is merged may lack what it is merged into."""
    assert told(apply_to, operation, value) == []


@pytest.mark.parametrize(("apply_to", "operation", "value", "problems"), BAD)
def test_values_that_are_no_messages(
    apply_to: str, operation: str, value: dict[str, Any], problems: list[str]
) -> None:
    """Every mistake is told at its path, in the spelling that was used."""
    assert told(apply_to, operation, value) == problems


def test_nothing_of_ours_breaks_a_rule() -> None:
    """The rules that are held against results hold for everything that we compile, so none of them is too strict."""
    for file in files.inputs():
        for resources in compile_case(read_case(file)).resources.values():
            for resource in resources:
                assert list(violations(message(resource))) == [], resource.name


def test_deep_nesting_is_refused() -> None:
    """However deep a message may nest, looking at it ends."""
    value: dict[str, Any] = {"any_match": True}
    for _ in range(70):
        value = {"not_match": value}
    tap = f"{EXTENSIONS}.http.tap.v3.Tap"
    config = {"@type": tap, "common_config": {"static_config": {"match": value}}}
    (problem,) = told("HTTP_FILTER", "ADD", {"name": "x", "typed_config": config})
    assert problem.endswith("is nested too deeply")


def test_endless_nesting_is_refused_by_the_model() -> None:
    """What nests a thousand deep is no value at all."""
    value: dict[str, Any] = {}
    for _ in range(1_000):
        value = {"a": value}
    change = {"applyTo": "CLUSTER", "patch": {"operation": "MERGE", "value": value}}
    found = parse_object(
        {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": {"name": "f"},
            "spec": {"configPatches": [change]},
        }
    )
    assert isinstance(found, list)
    assert [(each.path, each.message) for each in found] == [
        ("spec.configPatches[0].patch.value", "is nested more than 100 deep")
    ]


@pytest.mark.alone
def test_many_mistakes_are_told_quickly() -> None:
    """A large value with a mistake in each entry costs seconds to nobody."""
    hosts = [{"name": f"h{number}", "domains": 5, "unknown": 1} for number in range(2_000)]
    started = time.thread_time()
    problems = told("ROUTE_CONFIGURATION", "MERGE", {"virtual_hosts": hosts})
    assert len(problems) == 1_000
    assert time.thread_time() - started < 5


@pytest.mark.parametrize(
    "name",
    [
        "os.path",
        "envoy",
        "envoy..x",
        "envoy.extensions",
        "../envoy.x.y",
        "envoy.x.y" * 50,
        "xdsd.model.mesh.Role",
    ],
)
def test_only_messages_of_the_api_are_types(name: str) -> None:
    """Whatever a type URL says, nothing but packages of messages is looked into."""
    assert message_type(f"{TYPES}/{name}") is None


def test_types_within_types_are_found() -> None:
    """A message that is declared inside of another has a name too."""
    found = message_type(f"{TYPES}/envoy.config.route.v3.RouteAction.HashPolicy")
    assert found is not None
    assert found.DESCRIPTOR.name == "HashPolicy"
