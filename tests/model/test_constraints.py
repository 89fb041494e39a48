"""The schemas are at least as strict as the published ones, and no stricter about nulls."""

from pathlib import Path
from typing import Any

import pytest

from xdsd.model.intent.kinds import KINDS
from xdsd.model.intent.schema import json_schema

PUBLISHED = [
    tuple(line.split("\t"))
    for line in (Path(__file__).parent / "data" / "constraints.tsv").read_text().splitlines()
]


def _at(schema: dict[str, Any], path: str) -> dict[str, Any]:
    for step in path.replace("[]", ".[]").replace("{}", ".{}").split("."):
        if step == "[]":
            schema = schema["items"]
        elif step == "{}":
            schema = schema["additionalProperties"]
        else:
            schema = schema.get("properties", schema)[step]
    return schema


def _holds(schema: dict[str, Any], rule: str, value: str) -> bool:
    if rule == "required":
        return value in schema["required"]
    if rule == "nullable":
        return isinstance(schema["type"], list) and "null" in schema["type"]
    if rule == "oneOf":
        names = value.split("|")
        pairs = [{first, second} for index, first in enumerate(names) for second in names[index + 1 :]]
        excluded = [set(each["not"]["required"]) for each in schema["allOf"]]
        return all(pair in excluded for pair in pairs)
    if rule in ("minimum", "minItems"):
        least: float = schema.get(rule, schema.get("exclusiveMinimum", float("-inf")))
        return least >= float(value)
    most: float = schema.get(rule, schema.get("exclusiveMaximum", float("inf")))
    return most <= float(value)


@pytest.mark.parametrize("kind", KINDS)
def test_published_constraints_hold(kind: str) -> None:
    """Ranges, lengths, required and exclusive fields are as published or narrower; what may be null may be null."""
    properties = json_schema(kind)["properties"]
    broken = [
        (path, rule, value)
        for owner, path, rule, value in PUBLISHED
        if owner == kind and not _holds(_at(properties, path), rule, value)
    ]
    assert broken == []
