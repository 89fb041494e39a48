"""Telemetry, and the providers it names, as users write them, and what is wrong with them."""

import pytest

from tests.manifest.support import told

HEAD = "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: a}\nspec: "
MESH = "apiVersion: mesh.xdsd.io/v1\nkind: MeshConfig\nmetadata: {name: default}\nspec: {extensionProviders: [%s]}"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            "{selector: {matchLabels: {a: b}}, targetRef: {kind: Gateway, name: a}}",
            "4 spec.targetRef InvalidValue: selector is set too; at most one of selector, targetRef, targetRefs may be set",
        ),
        (
            "{targetRefs: [{group: '', kind: Service, name: a}]}",
            (
                "4 spec.targetRefs[0].kind NotSupported: 'core/Service' takes no policies here; write kind Gateway of"
                " networking.istio.io or gateway.networking.k8s.io, or a selector"
            ),
        ),
        ("{accessLogging: [{providers: [{}]}]}", "4 spec.accessLogging[0].providers[0].name MissingField"),
        (
            "{accessLogging: [{providers: [{name: a}, {name: a}]}]}",
            "4 spec.accessLogging[0].providers[1].name InvalidValue: 'a' is listed twice",
        ),
        (
            "{accessLogging: [{filter: {expression: response.code =}}]}",
            (
                "4 spec.accessLogging[0].filter.expression InvalidValue: 'response.code =' is no expression of CEL: nothing"
                " begins with '=', at character 15"
            ),
        ),
        (
            "{accessLogging: [{match: {mode: BOTH}}]}",
            "4 spec.accessLogging[0].match.mode InvalidValue: 'BOTH'",
        ),
        (
            "{tracing: [{randomSamplingPercentage: 100.5}]}",
            "4 spec.tracing[0].randomSamplingPercentage OutOfRange: 100.5 is above 100",
        ),
        (
            "{tracing: [{randomSamplingPercentage: -1}]}",
            "4 spec.tracing[0].randomSamplingPercentage OutOfRange: -1",
        ),
        (
            "{tracing: [{customTags: {a: {}}}]}",
            "4 spec.tracing[0].customTags[a] MissingField: is empty; give literal, environment, header or formatter",
        ),
        (
            "{tracing: [{customTags: {a: {literal: {value: b}, header: {name: c}}}}]}",
            (
                "4 spec.tracing[0].customTags[a].header InvalidValue: literal is set too; at most one of literal,"
                " environment, header, formatter may be set"
            ),
        ),
        (
            "{tracing: [{customTags: {a: {formatter: {value: '%NO_SUCH%'}}}}]}",
            "4 spec.tracing[0].customTags[a].formatter.value InvalidValue: '%NO_SUCH%' holds %NO_SUCH%, which is no command",
        ),
        (
            "{tracing: [{customTags: {a: {header: {name: 'x y'}}}}]}",
            "4 spec.tracing[0].customTags[a].header.name InvalidValue: 'x y' is no header name",
        ),
        (
            "{metrics: [{overrides: [{disabled: true}]}]}",
            "4 spec.metrics[0].overrides[0].disabled NotSupported: not supported yet: Envoy without Istio's filter",
        ),
        (
            "{metrics: [{reportingInterval: 5s}]}",
            "4 spec.metrics[0].reportingInterval NotSupported: not supported yet: Envoy counts connections",
        ),
        ("{metrics: [{overrides: [{tagOverrides: {a: {operation: UPSERT}}}]}]}", "NotSupported"),
    ],
)
def test_a_mistake_is_told_where_it_is(spec: str, problem: str) -> None:
    """Each line names the field and what is right."""
    assert any(problem in line for line in told(HEAD + spec)), told(HEAD + spec)


@pytest.mark.parametrize(
    ("provider", "problem"),
    [
        ("{name: a}", "extensionProviders[0] MissingField: is empty; give one of envoyExtAuthzHttp"),
        (
            "{name: a, zipkin: {service: b.c, port: 1}, prometheus: {}}",
            "extensionProviders[0].prometheus InvalidValue: zipkin is set too",
        ),
        ("{name: a, zipkin: {service: b.c, port: 0}}", "zipkin.port OutOfRange: 0 is below 1"),
        ("{name: a, zipkin: {service: 'b c', port: 1}}", "zipkin.service InvalidValue: 'b c' is no service"),
        (
            "{name: a, zipkin: {service: b.c, port: 1, path: spans}}",
            "zipkin.path InvalidValue: 'spans' is no path",
        ),
        (
            "{name: a, envoyFileAccessLog: {logFormat: {text: a, labels: {b: c}}}}",
            "logFormat.labels InvalidValue: text is set too",
        ),
        (
            "{name: a, envoyFileAccessLog: {logFormat: {labels: {b: {c: '%NO%'}}}}}",
            "logFormat.labels InvalidValue: '%NO%' holds %NO%",
        ),
        (
            "{name: a, envoyOtelAls: {service: b.c, port: 1, logFormat: {labels: {b: {c: [d, 1]}}}}}",
            "logFormat.labels InvalidValue: holds 1, and there are texts, lists and maps alone; write it as a text",
        ),
        (
            "{name: a, envoyFileAccessLog: {logFormat: {labels: {b: " + "[" * 17 + "]" * 17 + "}}}}",
            "logFormat.labels InvalidValue: is nested more than 16 deep",
        ),
        (
            "{name: a, zipkin: {service: b.c, port: 1, timeout: 2000000h}}",
            "zipkin.timeout OutOfRange: 7200000000s is above 4294967295s",
        ),
        (
            "{name: a, opentelemetry: {service: b.c, port: 1, http: {path: /a}, grpc: {}}}",
            "opentelemetry.grpc InvalidValue: http is set too",
        ),
        (
            "{name: a, opentelemetry: {service: b.c, port: 1, http: {path: /a, headers: [{name: b, envName: C}]}}}",
            "headers[0].envName NotSupported",
        ),
        (
            "{name: a, lightstep: {service: b.c, port: 1}}",
            "lightstep NotSupported: not supported yet: Envoy has no such",
        ),
        (
            "{name: a, stackdriver: {debug: true}}",
            "stackdriver NotSupported: not supported yet: it is a filter",
        ),
    ],
)
def test_a_mistake_in_a_provider_is_told(provider: str, problem: str) -> None:
    """Providers are told of by their place, and those that no Envoy carries by what there is instead."""
    lines = told(MESH % provider)
    assert any(problem in line for line in lines), lines
