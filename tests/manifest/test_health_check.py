"""HealthChecks as users write them, and what is wrong with them."""

import pytest

from tests.manifest.support import told

HEAD = "apiVersion: policy.xdsd.io/v1\nkind: HealthCheck\nmetadata: {name: a}\nspec: "


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("{tcp: {}}", "4 spec.host MissingField: is missing"),
        ("{host: a}", "4 spec MissingField: says nothing to ask; give http, tcp or grpc"),
        (
            "{host: a, tcp: {}, grpc: {}}",
            "4 spec.grpc InvalidValue: tcp is set too; at most one of http, tcp, grpc may be set",
        ),
        (
            "{host: '*.example.com', tcp: {}}",
            "4 spec.host InvalidValue: '*.example.com' may not hold a wildcard",
        ),
        ("{host: a, http: {}}", "4 spec.http.path MissingField: is missing"),
        (
            "{host: a, http: {path: healthz}}",
            "4 spec.http.path InvalidValue: 'healthz' is no path: it begins with / and has printable ASCII without spaces",
        ),
        (
            "{host: a, http: {path: /, method: CONNECT}}",
            "4 spec.http.method InvalidValue: 'CONNECT' asks nothing; write GET, HEAD or another method",
        ),
        (
            "{host: a, http: {path: /, headers: {Host: b}}}",
            "4 spec.http.headers[Host] InvalidValue: is written as host, beside headers",
        ),
        (
            "{host: a, http: {path: /, headers: {':path': b}}}",
            "4 spec.http.headers[:path] InvalidValue: ':path' is no header name",
        ),
        (
            "{host: a, http: {path: /, expectedStatuses: [600]}}",
            "4 spec.http.expectedStatuses[0] OutOfRange: 600 is above 599",
        ),
        ("{host: a, tcp: {send: {}}}", "4 spec.tcp.send MissingField: is empty; give text or binary"),
        (
            "{host: a, tcp: {receive: [{text: a, binary: AAE=}]}}",
            "4 spec.tcp.receive[0].binary InvalidValue: text is set too; at most one of text, binary may be set",
        ),
        (
            "{host: a, tcp: {}, interval: 50ms}",
            "4 spec.interval InvalidValue: is below 100ms, the shortest pause between checks",
        ),
        ("{host: a, tcp: {}, timeout: 0s}", "4 spec.timeout OutOfRange: 0s is below 0.001s"),
        ("{host: a, tcp: {}, unhealthyThreshold: 0}", "4 spec.unhealthyThreshold OutOfRange: 0 is below 1"),
        ("{host: a, tcp: {}, minHealthPercent: 101}", "4 spec.minHealthPercent OutOfRange: 101 is above 100"),
        (
            "{host: a, tcp: {}, port: {}}",
            "4 spec.port.number MissingField: is missing; name a port by its number",
        ),
        ("{host: a, tcp: {}, endpointPort: 0}", "4 spec.endpointPort OutOfRange: 0 is below 1"),
        (
            "{host: a, tcp: {}, exportTo: ['*', b]}",
            "4 spec.exportTo[0] InvalidValue: '*' means everyone, so it stands alone",
        ),
        (
            "{host: a, tcp: {}, exportTo: [b], workloadSelector: {matchLabels: {a: b}}}",
            "4 spec.exportTo[0] InvalidValue: 'b' is not this namespace, and a check with workloadSelector stays in its own",
        ),
    ],
)
def test_a_mistake_is_told_at_its_place(spec: str, problem: str) -> None:
    """One problem, with line, path, reason and what would be right."""
    assert told(HEAD + spec) == [problem]


def test_a_long_payload_is_refused() -> None:
    """Envoy would keep all of it for every endpoint."""
    (problem,) = told(HEAD + "{host: a, tcp: {send: {text: " + "a" * 4097 + "}}}")
    assert problem == "4 spec.tcp.send InvalidValue: is 4097 bytes long, which is above 4096"
