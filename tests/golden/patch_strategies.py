"""Random EnvoyFilters whose patches Envoy has nothing against by themselves, as YAML holds them."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

Values = dict[str, Any]


def _pick(choices: Sequence[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from(choices)


_TYPE = "type.googleapis.com/envoy.extensions.filters"
_MANAGER = "envoy.filters.network.http_connection_manager"
_LUA = {"@type": f"{_TYPE}.http.lua.v3.Lua", "default_source_code": {"inline_string": "-- nothing"}}
_CONNECTION_LIMIT = {
    "@type": f"{_TYPE}.network.connection_limit.v3.ConnectionLimit",
    "stat_prefix": "l",
    "max_connections": 5,
}
_INSPECTOR = {"@type": f"{_TYPE}.listener.tls_inspector.v3.TlsInspector"}
_DIRECT = {"name": "new", "match": {"path": "/new"}, "direct_response": {"status": 204}}
_CONTEXT = _pick(
    [{}, {"context": "GATEWAY"}, {"context": "SIDECAR_INBOUND"}, {"context": "SIDECAR_OUTBOUND"}]
)
_LISTENER = _pick([{}, {"listener": {"portNumber": 80}}, {"listener": {"name": "virtualInbound"}}])
_ROUTES = _pick(
    [
        {},
        {"routeConfiguration": {"portNumber": 80}},
        {"routeConfiguration": {"vhost": {"name": "a.default.svc.cluster.local:80"}}},
        {"routeConfiguration": {"vhost": {"route": {"action": "ROUTE"}}}},
    ]
)
_CLUSTERS = _pick(
    [
        {},
        {"cluster": {"service": "x.example.com"}},
        {"cluster": {"portNumber": 80}},
        {"cluster": {"subset": "v1"}},
    ]
)


def _at_filter(*names: str) -> st.SearchStrategy[Values]:
    def match(name: str) -> Values:
        return {"listener": {"filterChain": {"filter": {"name": _MANAGER, "subFilter": {"name": name}}}}}

    return _pick([match(name) for name in names])


def _patch(
    apply_to: str, match: st.SearchStrategy[Values], *choices: tuple[str, Any]
) -> st.SearchStrategy[Values]:
    def made(context: Values, found: Values, choice: tuple[str, Any]) -> Values:
        operation, value = choice
        patch = {"operation": operation, **({} if value is None else {"value": value})}
        return {"applyTo": apply_to, "match": {**context, **found}, "patch": patch}

    return st.builds(made, _CONTEXT, match, _pick(choices))


def _filter(name: str, config: Values) -> Values:
    return {"name": name, "typed_config": config}


_NOWHERE: st.SearchStrategy[Values] = st.just({})
PATCH = st.one_of(
    _patch(
        "CLUSTER",
        _CLUSTERS,
        ("MERGE", {"connect_timeout": "3s", "circuit_breakers": {"thresholds": [{"max_retries": 1}]}}),
        ("MERGE_AND_REPLACE_LIST", {"circuit_breakers": {"thresholds": [{"max_requests": 1}]}}),
        ("REMOVE", None),
    ),
    _patch(
        "CLUSTER",
        _NOWHERE,
        ("ADD", {"name": "added", "type": "STATIC", "connect_timeout": "1s"}),
        ("ADD", {"name": "PassthroughCluster", "type": "STATIC", "connect_timeout": "1s"}),
    ),
    _patch("LISTENER", _LISTENER, ("MERGE", {"per_connection_buffer_limit_bytes": 32768}), ("REMOVE", None)),
    _patch(
        "LISTENER_FILTER",
        _LISTENER,
        ("ADD", _filter("inspector", _INSPECTOR)),
        ("INSERT_FIRST", _filter("first", _INSPECTOR)),
    ),
    _patch("FILTER_CHAIN", _LISTENER, ("MERGE", {"transport_socket_connect_timeout": "5s"})),
    _patch(
        "NETWORK_FILTER",
        _pick([{"listener": {"filterChain": {"filter": {"name": "envoy.filters.network.tcp_proxy"}}}}]),
        ("INSERT_BEFORE", _filter("limit", _CONNECTION_LIMIT)),
        (
            "MERGE",
            {"typed_config": {"@type": f"{_TYPE}.network.tcp_proxy.v3.TcpProxy", "idle_timeout": "9s"}},
        ),
    ),
    _patch(
        "HTTP_FILTER",
        _at_filter("envoy.filters.http.router", "envoy.filters.http.cors", "nobody"),
        ("INSERT_BEFORE", _filter("lua", _LUA)),
        ("INSERT_FIRST", _filter("lua-first", _LUA)),
    ),
    _patch(
        "HTTP_FILTER",
        _at_filter("envoy.filters.http.cors", "envoy.filters.http.fault", "envoy.filters.http.grpc_web"),
        ("INSERT_AFTER", _filter("lua-after", _LUA)),
        ("REPLACE", _filter("lua-instead", _LUA)),
        ("REMOVE", None),
    ),
    _patch("ROUTE_CONFIGURATION", _ROUTES, ("MERGE", {"internal_only_headers": ["x-internal"]})),
    _patch(
        "VIRTUAL_HOST",
        _ROUTES,
        ("MERGE", {"response_headers_to_remove": ["x-powered-by"]}),
        ("ADD", {"name": "added", "domains": ["added.example.com"], "routes": [_DIRECT]}),
        ("ADD", {"name": "again", "domains": ["a", "x.example.com"], "routes": [_DIRECT]}),
        ("REMOVE", None),
    ),
    _patch(
        "HTTP_ROUTE",
        _ROUTES,
        ("ADD", _DIRECT),
        ("INSERT_FIRST", _DIRECT),
        ("MERGE", {"response_headers_to_remove": ["x-powered-by"]}),
        ("REMOVE", None),
    ),
    _patch("EXTENSION_CONFIG", _NOWHERE, ("ADD", _filter("extension", _LUA))),
)
ENVOY_FILTER: st.SearchStrategy[Values] = st.fixed_dictionaries(
    {"configPatches": st.lists(PATCH, min_size=1, max_size=4)},
    optional={
        "priority": _pick([-1, 7]),
        "workloadSelector": _pick([{"labels": {"app": "a"}}, {"labels": {"istio": "edge"}}]),
    },
)
