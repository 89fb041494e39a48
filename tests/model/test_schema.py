"""The JSON Schema of a kind describes its objects leaf by leaf."""

import json
import re
from typing import Any

import pytest

from xdsd.model.intent.kinds import KINDS
from xdsd.model.intent.schema import field_lines, json_schema


def _leaves(schema: dict[str, Any], path: str) -> dict[str, dict[str, Any]]:
    if schema.get("properties"):
        inner = schema["properties"].items()
        return {
            leaf: each for name, below in inner for leaf, each in _leaves(below, f"{path}.{name}").items()
        }
    if "items" in schema:
        return _leaves(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        return _leaves(schema["additionalProperties"], f"{path}{{}}")
    return {path: schema}


@pytest.mark.parametrize("kind", KINDS)
def test_schema_and_fields_agree(kind: str) -> None:
    """Each leaf is in both, of the same type, and refused in both or in neither."""
    leaves = _leaves(json_schema(kind)["properties"]["spec"], "spec")
    lines = {line.path: line for line in field_lines(kind)}
    assert set(leaves) == set(lines)
    for path, line in lines.items():
        drawn = leaves[path]
        type_ = drawn["type"] if isinstance(drawn["type"], str) else drawn["type"][0]
        assert line.type.startswith(type_), path
        assert drawn.get("x-xdsd-supported", True) is line.supported, path
        if "|" in line.type:
            assert drawn["enum"] == line.type.removeprefix("string ").split("|"), path


@pytest.mark.parametrize("kind", KINDS)
def test_schema_is_plain_json_that_stands_alone(kind: str) -> None:
    """Editors need no second file: nothing is referenced, everything is described."""
    text = json.dumps(json_schema(kind))
    assert "$ref" not in text
    assert "$defs" not in text
    assert json_schema(kind)["properties"]["apiVersion"]["enum"] == list(KINDS[kind].api_versions)


def test_every_field_is_described() -> None:
    """A field without a description would help nobody."""

    def check(schema: dict[str, Any], path: str) -> None:
        for name, below in schema.get("properties", {}).items():
            assert below.get("description"), f"{path}.{name}"
            check(below, f"{path}.{name}")
            check(below.get("items", {}), f"{path}.{name}[]")

    for kind in KINDS:
        check(json_schema(kind)["properties"]["spec"], kind)


def test_limits_are_in_the_schema() -> None:
    """Ranges, lengths, required fields, exclusive fields and nulls are told to editors."""
    route = json_schema("VirtualService")["properties"]["spec"]["properties"]["http"]["items"]
    assert route["properties"]["route"]["items"]["required"] == ["destination"]
    assert route["properties"]["fault"]["properties"]["abort"]["properties"]["httpStatus"]["minimum"] == 200
    assert {"not": {"required": ["mirror", "mirrors"]}} in route["allOf"]
    assert route["properties"]["mirrorPercent"]["type"] == ["integer", "null"]
    timeout = route["properties"]["timeout"]["pattern"]
    assert re.search(timeout, "1h30m")
    assert not re.search(timeout, "5")
    entry = json_schema("ServiceEntry")["properties"]["spec"]["properties"]
    assert entry["hosts"]["maxItems"] == 256
    assert "DYNAMIC_DNS" in entry["resolution"]["enum"]
    assert "not" not in entry["resolution"]
    servers = json_schema("Gateway")["properties"]["spec"]["properties"]["servers"]["items"]["properties"]
    assert "UDP" in servers["port"]["properties"]["protocol"]["not"]["enum"]
