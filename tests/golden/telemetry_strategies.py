"""Random Telemetry, and the providers that it names, as YAML holds them."""

from typing import Any

from hypothesis import strategies as st

Values = dict[str, Any]

_pick = st.sampled_from
_NAMES = ("envoy", "file", "als", "tcp-als", "otel-als", "zipkin", "otel", "dog", "sky", "nobody")
_TO = _pick(
    [
        {"service": "a.default.svc.cluster.local", "port": 80},
        {"service": "b", "port": 9080},
        {"service": "other/b.other.svc.cluster.local", "port": 443},
        {"service": "x.example.com", "port": 9080},
    ]
)


def _kinds(to: Values) -> dict[str, Values]:
    return {
        "file": {"envoyFileAccessLog": {"path": "/dev/null", "logFormat": {"labels": {"a": "%PROTOCOL%"}}}},
        "als": {"envoyHttpAls": {**to, "additionalRequestHeadersToLog": ["x-a"]}},
        "tcp-als": {"envoyTcpAls": to},
        "otel-als": {
            "envoyOtelAls": {**to, "logFormat": {"text": "a", "labels": {"b": {"c": ["%PROTOCOL%", 1]}}}}
        },
        "zipkin": {"zipkin": to},
        "otel": {
            "opentelemetry": {**to, "http": {"path": "/v1/traces"}, "resourceDetectors": {"environment": {}}}
        },
        "dog": {"datadog": to},
        "sky": {"skywalking": to},
    }


PROVIDERS = st.lists(
    st.tuples(_pick(_NAMES[1:-1]), _TO).map(lambda found: {"name": found[0], **_kinds(found[1])[found[0]]}),
    max_size=6,
    unique_by=lambda provider: provider["name"],
)
DEFAULT_PROVIDERS = st.fixed_dictionaries(
    {},
    optional={"accessLogging": _pick([["envoy"], ["als", "file"]]), "tracing": _pick([["zipkin"], ["otel"]])},
)
_NAMED = st.lists(_pick(_NAMES).map(lambda name: {"name": name}), max_size=2, unique_by=str)
_MATCH = st.fixed_dictionaries({}, optional={"mode": _pick(["CLIENT", "SERVER", "CLIENT_AND_SERVER"])})
_LOGGING = st.fixed_dictionaries(
    {},
    optional={
        "match": _MATCH,
        "providers": _NAMED,
        "disabled": st.booleans(),
        "filter": _pick([{"expression": "response.code >= 400"}, {"expression": "connection.mtls"}, {}]),
    },
)
_TRACING = st.fixed_dictionaries(
    {},
    optional={
        "match": _MATCH,
        "providers": _NAMED,
        "randomSamplingPercentage": _pick([0, 0.5, 100]),
        "disableSpanReporting": st.booleans(),
        "enableIstioTags": st.booleans(),
        "disableContextPropagation": st.booleans(),
        "useRequestIdForTraceSampling": st.booleans(),
        "customTags": _pick(
            [
                {"a": {"literal": {"value": "1"}}, "b": {"environment": {"name": "B"}}},
                {"c": {"header": {"name": "x-c"}}, "istio.namespace": {"formatter": {"value": "%PROTOCOL%"}}},
            ]
        ),
    },
)
_WHOM = _pick(
    [
        {},
        {"selector": {"matchLabels": {"app": "a"}}},
        {"selector": {"matchLabels": {"istio": "edge"}}},
        {"targetRefs": [{"group": "networking.istio.io", "kind": "Gateway", "name": "edge"}]},
    ]
)
TELEMETRY = st.builds(
    lambda whom, rest: {**whom, **rest},
    _WHOM,
    st.fixed_dictionaries(
        {},
        optional={
            "accessLogging": st.lists(_LOGGING, min_size=1, max_size=3),
            "tracing": st.lists(_TRACING, min_size=1, max_size=2),
            "metrics": _pick([[{"providers": [{"name": "prometheus"}]}]]),
        },
    ),
)
