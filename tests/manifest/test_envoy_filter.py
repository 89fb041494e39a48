"""EnvoyFilters as they are written: what goes with what, told at its path."""

from typing import Any

import pytest
import yaml

from xdsd.manifest import object_to_dict, parse_object
from xdsd.model.intent import Object

HTTP = "envoy.filters.network.http_connection_manager"


def told(spec: str) -> list[str]:
    """``PATH REASON: MESSAGE`` of each problem of a spec in YAML, paths below the first patch."""
    value: dict[str, Any] = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "f"},
        "spec": yaml.safe_load(spec),
    }
    found = parse_object(value)
    problems = found if isinstance(found, list) else []
    return [
        f"{each.path.removeprefix('spec').removeprefix('.configPatches[0]')} {each.reason}: {each.message}"
        for each in problems
    ]


def one(patch: str) -> list[str]:
    """The same of an object with one patch."""
    return told(f"configPatches: [{patch}]")


@pytest.mark.parametrize(
    ("patch", "problems"),
    [
        ("{applyTo: CLUSTER, patch: {operation: MERGE, value: {}}}", []),
        ("{applyTo: CLUSTER, patch: {operation: REMOVE}}", []),
        (
            "{patch: {operation: MERGE, value: {}}}",
            [".applyTo MissingField: is missing; say what is changed, such as HTTP_FILTER or CLUSTER"],
        ),
        ("{applyTo: CLUSTER}", [".patch MissingField: is missing; say what changes"]),
        (
            "{applyTo: CLUSTER, patch: {value: {}}}",
            [".patch.operation MissingField: is missing; say how the patch is applied, such as MERGE or ADD"],
        ),
        (
            "{applyTo: CLUSTER, patch: {operation: ADD}}",
            [".patch.value MissingField: is missing; ADD needs one"],
        ),
        (
            "{applyTo: CLUSTER, patch: {operation: MERGE, value: {a: 'x\x7f'}}}".replace(
                "\x7f", "\\x7f"
            ).replace("'", '"'),
            [".patch.value InvalidValue: holds the character U+007F, which no file can hold"],
        ),
        (
            "{applyTo: CLUSTER, patch: {operation: REPLACE, value: {}}}",
            [
                (
                    ".patch.operation InvalidValue: REPLACE has no effect on CLUSTER; use MERGE, ADD, REMOVE, INSERT_BEFORE,"
                    " INSERT_AFTER, INSERT_FIRST, MERGE_AND_REPLACE_LIST"
                )
            ],
        ),
        (
            "{applyTo: HTTP_FILTER, patch: {operation: MERGE_AND_REPLACE_LIST, value: {}}}",
            [
                (
                    ".patch.operation InvalidValue: MERGE_AND_REPLACE_LIST has no effect on HTTP_FILTER; use MERGE, ADD,"
                    " REMOVE, INSERT_BEFORE, INSERT_AFTER, INSERT_FIRST, REPLACE"
                )
            ],
        ),
        (
            "{applyTo: CLUSTER, patch: {operation: ADD, value: {}, filterClass: AUTHN}}",
            [".patch.filterClass InvalidValue: has a meaning for ADD to HTTP_FILTER only"],
        ),
        (
            "{applyTo: CLUSTER, match: {listener: {name: a}}, patch: {operation: REMOVE}}",
            [".match.listener InvalidValue: is no match for CLUSTER; it takes cluster"],
        ),
        (
            "{applyTo: BOOTSTRAP, match: {cluster: {name: a}}, patch: {operation: MERGE, value: {}}}",
            [".match.cluster InvalidValue: is no match for BOOTSTRAP; it takes context and proxy alone"],
        ),
        (
            "{applyTo: CLUSTER, match: {cluster: {}, listener: {}}, patch: {operation: REMOVE}}",
            [
                (
                    ".match.cluster InvalidValue: listener is set too; at most one of listener, routeConfiguration, cluster,"
                    " waypoint may be set"
                )
            ],
        ),
        (
            "{applyTo: CLUSTER, match: {waypoint: {}}, patch: {operation: REMOVE}}",
            [".match.context InvalidValue: context WAYPOINT and the match waypoint go together"],
        ),
        (
            "{applyTo: HTTP_FILTER, patch: {operation: REMOVE}}",
            [
                ".match.listener.filterChain.filter.subFilter.name MissingField: is missing; say which filter to remove"
            ],
        ),
        (
            "{applyTo: LISTENER_FILTER, patch: {operation: REPLACE, value: {}}}",
            [".match.listener.listenerFilter MissingField: is missing; say which filter to replace"],
        ),
        (
            "{applyTo: LISTENER, match: {listener: {listenerFilter: a}}, patch: {operation: REMOVE}}",
            [".match.listener.listenerFilter InvalidValue: has no effect on LISTENER"],
        ),
        (
            "{applyTo: LISTENER, match: {listener: {filterChain: {filter: {name: a}}}}, patch: {operation: REMOVE}}",
            [".match.listener.filterChain.filter InvalidValue: has no effect on LISTENER"],
        ),
        (
            (
                "{applyTo: HTTP_FILTER, match: {listener: {filterChain: {filter: {name: a, subFilter: {name: b}}}}},"
                " patch: {operation: REMOVE}}"
            ),
            [f".match.listener.filterChain.filter.subFilter InvalidValue: only {HTTP} has filters within"],
        ),
        (
            "{applyTo: EXTENSION_CONFIG, patch: {operation: ADD, value: {}}}",
            [".patch.value.name MissingField: is missing; an extension config is known by its name"],
        ),
        (
            "{applyTo: CLUSTER, match: {proxy: {proxyVersion: '('}}, patch: {operation: REMOVE}}",
            [".match.proxy.proxyVersion InvalidValue: '(' is no RE2 expression: missing ): ("],
        ),
        (
            "{applyTo: CLUSTER, patch: {operation: MERGE, value: []}}",
            [".patch.value WrongType: a list is not a map of fields"],
        ),
    ],
)
def test_patches(patch: str, problems: list[str]) -> None:
    """Whatever would be without effect is refused where it stands."""
    assert one(patch) == problems


def test_whole_objects() -> None:
    """An object needs patches, and is for proxies by labels or by reference."""
    assert told("{}") == [".configPatches MissingField: is missing; give at least one patch"]
    patches = "configPatches: [{applyTo: CLUSTER, patch: {operation: REMOVE}}]"
    both = f"{patches}\nworkloadSelector: {{labels: {{a: b}}}}\ntargetRefs: [{{kind: Gateway, name: a}}]"
    (problem,) = told(both)
    assert "at most one of workloadSelector, targetRefs" in problem
    (elsewhere,) = told(f"{patches}\ntargetRefs: [{{kind: Gateway, name: a, namespace: b}}]")
    assert elsewhere.startswith(".targetRefs[0].namespace InvalidValue")


def test_an_empty_value_is_kept() -> None:
    """What is stored is read again: a message without fields is not the same as none."""
    patch = {"applyTo": "CLUSTER", "patch": {"operation": "MERGE", "value": {}}}
    value = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "f"},
        "spec": {"configPatches": [patch]},
    }
    found = parse_object(value)
    assert isinstance(found, Object)
    assert parse_object(object_to_dict(found)) == found
