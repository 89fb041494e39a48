"""The kinds as a Kubernetes API server is told of them: CustomResourceDefinitions with structural schemas. Pure.

A structural schema has one type a node, no definitions that are shared, and drops what it does not know. The last is turned
off in every message: a field that is misspelled reaches the daemon, which says so in the object's status, rather than
vanish without a word. What only the daemon can tell (rules between fields) it tells.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from xdsd.model.intent.kinds import KINDS, Kind
from xdsd.model.intent.schema import json_schema

Json = dict[str, Any]
_KEPT = ("enum", "maximum", "minimum", "maxLength", "minLength", "maxItems", "minItems", "maxProperties")
_LARGEST = 2**53
"""Numbers beyond are not exact in JSON, and bounds there bound nothing."""
_PRESERVE = "x-kubernetes-preserve-unknown-fields"


def definitions() -> Iterator[Json]:
    """One CustomResourceDefinition for each kind, by name."""
    for kind in sorted(KINDS.values(), key=lambda each: f"{each.plural}.{each.group}"):
        yield _definition(kind)


def _definition(kind: Kind) -> Json:
    names: Json = {
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
        "plural": kind.plural,
        "singular": kind.singular,
        "categories": ["xdsd"],
    }
    if kind.short_names:
        names["shortNames"] = list(kind.short_names)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": names,
            "versions": [_version(kind, version) for version in kind.versions],
        },
    }


def _version(kind: Kind, version: str) -> Json:
    preferred = version == kind.versions[0]
    spec = json_schema(kind.kind)["properties"]["spec"]
    return {
        "name": version,
        "served": True,
        "storage": preferred,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {
                "name": "Accepted",
                "type": "string",
                "jsonPath": '.status.conditions[?(@.type=="Accepted")].status',
            },
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                # Said once: all versions are the same.
                **({"description": spec.get("description", "")} if preferred else {}),
                "properties": {
                    "spec": structural(spec, described=preferred),
                    "status": {"type": "object", _PRESERVE: True},
                },
            }
        },
    }


def structural(schema: Mapping[str, Any], *, described: bool = True) -> Json:
    """A schema of ours as a structural one; without descriptions unless ``described``."""
    found = schema.get("type")
    types = [each for each in (found if isinstance(found, list) else [found]) if each not in (None, "null")]
    made: Json = {"type": types[0]} if len(types) == 1 else {_PRESERVE: True}
    if isinstance(found, list) and "null" in found:
        made["nullable"] = True
    if described and schema.get("description"):
        made["description"] = schema["description"]
    made.update({key: schema[key] for key in _KEPT if key in schema and not _too_large(schema[key])})
    if made.get("type") == "array":
        made["items"] = structural(schema["items"], described=described)
    elif made.get("type") == "object":
        made.update(_object(schema, described=described))
    return made


def _object(schema: Mapping[str, Any], *, described: bool) -> Json:
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping) and values:
        return {"additionalProperties": structural(values, described=described)}
    made: Json = {_PRESERVE: True}
    properties = schema.get("properties")
    if properties:
        made["properties"] = {
            name: structural(each, described=described) for name, each in properties.items()
        }
    if schema.get("required"):
        made["required"] = list(schema["required"])
    return made


def _too_large(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) > _LARGEST
