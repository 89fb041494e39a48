"""The kinds as an API server is told of them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from xdsd.manifest import object_to_dict, parse_manifest
from xdsd.model.intent import KINDS
from xdsd.model.intent.crds import definitions, structural

SAMPLES = Path(__file__).parents[1] / "manifest" / "data"
FOUND = {each["spec"]["names"]["kind"]: each for each in definitions()}


def nodes(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield path, schema
    for name, each in schema.get("properties", {}).items():
        yield from nodes(each, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if word in schema:
            yield from nodes(schema[word], f"{path}.{word}")


def test_every_kind_has_a_definition_with_all_its_versions() -> None:
    """One version is stored, all are served, and the status is a resource of its own."""
    assert FOUND.keys() == KINDS.keys()
    for name, kind in KINDS.items():
        spec = FOUND[name]["spec"]
        assert FOUND[name]["metadata"]["name"] == f"{kind.plural}.{kind.group}"
        assert [each["name"] for each in spec["versions"] if each["served"]] == list(kind.versions)
        assert [each["name"] for each in spec["versions"] if each["storage"]] == [kind.versions[0]]
        assert all(each["subresources"] == {"status": {}} for each in spec["versions"])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_schemas_are_structural_and_drop_nothing(kind: str) -> None:
    """Each node has one type or keeps what it is given; no message loses a field that it does not know."""
    for version in FOUND[kind]["spec"]["versions"]:
        root = version["schema"]["openAPIV3Schema"]
        for path, node in nodes(root["properties"]["spec"], "spec"):
            keeps = node.get("x-kubernetes-preserve-unknown-fields") is True
            assert isinstance(node.get("type"), str) or keeps, path
            assert not {"$ref", "anyOf", "oneOf", "not", "allOf", "const"} & node.keys(), path
            if node.get("type") == "object":
                assert keeps != ("additionalProperties" in node), path
            if node.get("type") == "array":
                assert "items" in node, path


def test_null_bounds_and_descriptions_are_as_an_api_server_writes_them() -> None:
    """Null is a word of its own there, and a bound that JSON cannot hold is none."""
    schema = {"type": ["integer", "null"], "maximum": 2**64 - 1, "minimum": 0, "description": "So many."}
    assert structural(schema) == {
        "type": "integer",
        "nullable": True,
        "minimum": 0,
        "description": "So many.",
    }
    assert "description" not in structural(schema, described=False)


TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def refused(schema: Mapping[str, Any], value: Any, path: str = "spec") -> Iterator[str]:
    """Why an API server would refuse a value, by the words that our schemas have."""
    if value is None:
        if not schema.get("nullable"):
            yield f"{path}: null"
        return
    kind = schema.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (kind != "boolean" and isinstance(value, bool))):
        yield f"{path}: {value!r} is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    sizes = {"minLength": 1, "maxLength": -1, "minItems": 1, "maxItems": -1, "maxProperties": -1}
    for word, sign in {**sizes, "minimum": 1, "maximum": -1}.items():
        size = len(value) if word in sizes and word in schema else value
        if word in schema and (size - schema[word]) * sign < 0:
            yield f"{path}: {value!r} against {word} {schema[word]}"
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from refused(schema["items"], each, f"{path}[{index}]")
    if isinstance(value, dict):
        yield from (f"{path}: without {name}" for name in schema.get("required", ()) if name not in value)
        for name, each in value.items():
            inner = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            yield from refused(inner, each, f"{path}.{name}") if inner else ()


def test_what_is_wrong_is_refused() -> None:
    """The checks of these tests see what they are for."""
    spec = FOUND["DestinationRule"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert next(refused(spec, {"trafficPolicy": {"tls": {"mode": "ODD"}}})) == "spec: without host"
    assert (
        len(list(refused(spec, {"host": 7, "subsets": {}, "trafficPolicy": {"tls": {"mode": "ODD"}}}))) == 3
    )


@pytest.mark.parametrize(
    "file", sorted(SAMPLES.glob("*/*.yaml")), ids=lambda file: f"{file.parent.name}/{file.name}"
)
def test_what_the_daemon_takes_an_api_server_takes_too(file: Path) -> None:
    """Every sample that is right, by the schema of each version; as it is written, and as the daemon would write it."""
    parsed = parse_manifest(file.read_bytes(), file.name)
    written = [each for each in yaml.safe_load_all(file.read_text()) if isinstance(each, dict)]
    right = {each.object.ref[2] for each in parsed.objects}
    objects = [object_to_dict(each.object) for each in parsed.objects]
    objects += [each for each in written if each.get("metadata", {}).get("name") in right]
    for each in objects:
        definition = FOUND.get(each["kind"])
        if definition is None or definition["spec"]["group"] != each["apiVersion"].rpartition("/")[0]:
            continue
        for version in definition["spec"]["versions"]:
            found = list(
                refused(version["schema"]["openAPIV3Schema"]["properties"]["spec"], each.get("spec", {}))
            )
            assert found == [], f"{each['kind']} {each['metadata']['name']}"
