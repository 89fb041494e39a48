"""What is told of Telemetry and default providers that say something in vain."""

from typing import Any

import pytest

from xdsd.model.intent import MeshConfig, Telemetry
from xdsd.model.problem import ObjectRef
from xdsd.model.vain_telemetry import vain_defaults, vain_telemetry

REF = ObjectRef("Telemetry", "default", "a")
MESH = {
    "extensionProviders": [
        {"name": "zipkin", "zipkin": {"service": "z.example.com", "port": 1}},
        {"name": "file", "envoyFileAccessLog": {}},
        {"name": "prom", "prometheus": {}},
        {"name": "judge", "envoyExtAuthzGrpc": {"service": "j.example.com", "port": 1}},
    ]
}


def named(*names: str) -> dict[str, Any]:
    return {"providers": [{"name": name} for name in names]}


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"accessLogging": [named("envoy", "file")], "tracing": [named("zipkin")]}, []),
        ({"metrics": [named("prometheus", "prom")]}, []),
        (
            {"accessLogging": [{}, named("file", "nobody")]},
            [
                (
                    "spec.accessLogging[1].providers[1].name: the MeshConfig declares no provider 'nobody', so it is told"
                    " no access logs"
                )
            ],
        ),
        (
            {"accessLogging": [named("zipkin")]},
            [
                (
                    "spec.accessLogging[0].providers[0].name: the provider 'zipkin' is for something else, so it is told no"
                    " access logs"
                )
            ],
        ),
        (
            {"tracing": [named("judge")], "metrics": [named("file")]},
            [
                "spec.tracing[0].providers[0].name: the provider 'judge' is for something else, so it is told no spans",
                "spec.metrics[0].providers[0].name: the provider 'file' is for something else, so it is told no statistics",
            ],
        ),
        (
            {"tracing": [named("zipkin", "nobody")]},
            ["spec.tracing[0].providers[1]: has no effect: spans go to one provider, the first"],
        ),
        (
            {"accessLogging": [{"disabled": True, "filter": {"expression": "true"}}]},
            ["spec.accessLogging[0].filter: has no effect beside disabled"],
        ),
        (
            {"accessLogging": [{"filter": {"expression": "respones.code >= 400"}}]},
            [
                (
                    "spec.accessLogging[0].filter.expression: respones is no attribute that Envoy has, so what asks for it"
                    " is never logged"
                )
            ],
        ),
    ],
)
def test_a_provider_that_is_told_nothing_is_named(spec: dict[str, Any], told: list[str]) -> None:
    """With its place; those that need no declaration are known."""
    problems = vain_telemetry(Telemetry.model_validate(spec), REF, MeshConfig.model_validate(MESH))
    assert [f"{each.path}: {each.message}" for each in problems] == told


def test_default_providers_are_looked_at_too() -> None:
    """Unknown ones, those for something else, and a second one for spans."""
    defaults = {
        "accessLogging": ["envoy", "nobody"],
        "tracing": ["file", "zipkin"],
        "metrics": ["prometheus"],
    }
    spec = MeshConfig.model_validate({**MESH, "defaultProviders": defaults})
    assert [each.path for each in vain_defaults(spec, REF)] == [
        "spec.defaultProviders.accessLogging[1]",
        "spec.defaultProviders.tracing[0]",
        "spec.defaultProviders.tracing[1]",
    ]
