"""What holds for every field of every kind, whatever it is for."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.manifest.support import FULL, written_leaves
from xdsd.manifest import object_to_dict, parse_manifest, parse_object
from xdsd.model.intent.kinds import KINDS
from xdsd.model.intent.schema import FieldLine, field_lines
from xdsd.model.problem import Problem, Reason

SAMPLE = {
    "AuthorizationPolicy": {"rules": [{"to": [{"operation": {"methods": ["GET"]}}]}]},
    "DestinationRule": {"host": "a", "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}},
    "EnvoyFilter": {
        "configPatches": [
            {"applyTo": "CLUSTER", "patch": {"operation": "MERGE", "value": {"connect_timeout": "1s"}}}
        ]
    },
    "Gateway": {"servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]},
    "HealthCheck": {"host": "a", "tcp": {}},
    "Inspection": {"hosts": ["a.example.com"]},
    "Peer": {"trustDomain": "east.example"},
    "PeerAuthentication": {"selector": {"matchLabels": {"a": "b"}}, "mtls": {"mode": "STRICT"}},
    "MeshConfig": {"connectTimeout": "5s"},
    "ProxyConfig": {"concurrency": 2},
    "RateLimit": {"local": [{"limit": {"requests": 1, "unit": "SECOND"}}]},
    "RequestAuthentication": {"jwtRules": [{"issuer": "https://issuer.example"}]},
    "Residency": {"regions": ["eu"]},
    "ServiceEntry": {"hosts": ["a.example.com"], "ports": [{"number": 80, "name": "http"}]},
    "Sidecar": {"egress": [{"hosts": ["*/*"]}]},
    "Telemetry": {"accessLogging": [{"providers": [{"name": "envoy"}]}]},
    "VirtualService": {"hosts": ["a"], "http": [{"route": [{"destination": {"host": "a"}}]}]},
    "WorkloadEntry": {"address": "192.0.2.1"},
    "WorkloadGroup": {"template": {}, "probe": {"tcpSocket": {"port": 80}}},
}


UNWRITTEN = ("mirror_percent", "jwks_uri", "targetRefs[].namespace", "targetRef.namespace")
"""Leaves that no object has as it is written: another spelling, and one that may only be empty."""


def _object(kind: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": KINDS[kind].preferred, "kind": kind, "metadata": {"name": "x"}, "spec": spec}


def _steps(path: str) -> list[str]:
    return path.removeprefix("spec.").replace("[]", ".[]").replace("{}", ".{}").split(".")


def _with(value: Any, steps: list[str], leaf: Any) -> Any:
    """``value`` with ``leaf`` set at these steps, first entries of lists and a key ``k`` of maps on the way."""
    if not steps:
        return leaf
    first, *rest = steps
    if first == "[]":
        old = value if isinstance(value, list) and value else [None]
        return [_with(old[0], rest, leaf), *old[1:]]
    key = "k" if first == "{}" else first
    old_map = value if isinstance(value, dict) else {}
    return {**old_map, key: _with(old_map.get(key), rest, leaf)}


def _written(path: str) -> str:
    return path.replace("[]", "[0]").replace("{}", "[k]")


def _set(line: FieldLine, leaf: Any) -> tuple[str, list[Problem]]:
    spec = _with(copy.deepcopy(SAMPLE[line.kind]), _steps(line.path), leaf)
    found = parse_object(_object(line.kind, spec))
    return _written(line.path), found if isinstance(found, list) else []


def _some(line: FieldLine) -> Any:
    if line.type.startswith("string "):
        return line.type.removeprefix("string ").split("|")[0]
    return {"s": "1s", "i": 1, "n": 1.5, "b": True, "o": {"a": 1}}[line.type[0]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_of_each_kind_is_valid(kind: str) -> None:
    """The tests below start from objects that hold."""
    assert not isinstance(parse_object(_object(kind, SAMPLE[kind])), list)


@pytest.mark.parametrize("kind", KINDS)
def test_every_refused_leaf_is_told_when_it_is_set(kind: str) -> None:
    """No leaf that is not compiled is ignored, whatever its value."""
    unheard = []
    for line in field_lines(kind):
        path, problems = _set(line, _some(line))
        refused = any(each.path == path and each.reason is Reason.NOT_SUPPORTED for each in problems)
        if refused is line.supported:
            unheard.append((line.path, [str(each) for each in problems]))
    assert unheard == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "leaf", [{}, [], [[]], {"a": 1}, "", 1.5, True, 5, "x y", None, float("nan")], ids=str
)
def test_a_leaf_of_another_type_is_told_at_its_path(kind: str, leaf: Any) -> None:
    """A map, a list or a scalar of another type is a problem of that leaf, and nothing is converted."""
    accepted = {
        "string": (str,),
        "integer": (int,),
        "integer(int32)": (int,),
        "number(double)": (int, float),
        "boolean": (bool,),
        "string(byte)": (str,),
        "object": (dict,),
    }
    quiet = []
    for line in field_lines(kind):
        path, problems = _set(line, leaf)
        fits = type(leaf) in accepted[line.type.split(" ")[0]] or leaf is None
        told = [each for each in problems if each.path == path and each.reason is Reason.WRONG_TYPE]
        if not fits and not told:
            quiet.append((path, [str(each) for each in problems]))
    assert quiet == []


def _maps(value: Any, path: str = "spec") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield path, value
        for name, each in value.items():
            yield from _maps(each, f"{path}.{name}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _maps(each, f"{path}[{index}]")


@pytest.mark.parametrize("path", FULL, ids=lambda path: path.stem)
def test_an_unknown_field_is_told_wherever_it_is(path: Any) -> None:
    """Every message of a full object refuses a field that it does not have; maps take any key that is valid.

    The value of an EnvoyFilter's patch is a message of Envoy's, which the compiler knows.
    """
    keyed = (
        "labels",
        "selector",
        "matchLabels",
        "portLevelMtls",
        "sourceLabels",
        "ports",
        "headers",
        "withoutHeaders",
        "queryParams",
        "set",
        "add",
        "metadata",
        "includeAdditionalHeadersInCheck",
        "to",
        "environmentVariables",
        "proxyMetadata",
        "runtimeValues",
        "annotations",
        "networks",
        "customTags",
    )
    for item in parse_manifest(path.read_bytes(), path.name).objects:
        for place, _ in list(_maps(object_to_dict(item.object)["spec"])):
            copied = object_to_dict(item.object)
            next(each for where, each in _maps(copied["spec"]) if where == place)["zzz"] = "1"
            found = parse_object(copied)
            if place.rpartition(".")[2] not in keyed and ".patch.value" not in place:
                assert isinstance(found, list), place
                assert any(
                    each.reason is Reason.UNKNOWN_FIELD and each.path == f"{place}.zzz" for each in found
                ) or any(
                    key in place
                    for key in (
                        "headers.",
                        "withoutHeaders.",
                        "queryParams.",
                        "portLevelMtls.",
                        "networks.",
                        "customTags.",
                    )
                ), place


def _is_at(leaf: str, line: FieldLine) -> bool:
    return leaf == line.path or (line.type == "object" and leaf.startswith(f"{line.path}."))


def test_the_full_objects_set_every_leaf_that_is_compiled() -> None:
    """What is called supported is accepted by at least one example."""
    written = set()
    for path in FULL:
        for item in parse_manifest(path.read_bytes(), path.name).objects:
            spec = object_to_dict(item.object)["spec"]
            written |= {(item.object.kind, leaf) for leaf in written_leaves(spec)}
    missing = []
    for line in field_lines():
        if line.supported and not line.path.endswith(UNWRITTEN):
            prefix, braces, rest = line.path.partition("{}")
            found = any(
                kind == line.kind
                and (
                    _is_at(leaf, line)
                    if not braces
                    else leaf.startswith(f"{prefix}.") and leaf.endswith(rest)
                )
                for kind, leaf in written
            )
            if not found:
                missing.append((line.kind, line.path))
    assert missing == []
