"""Random AuthorizationPolicies and RequestAuthentications, as YAML holds them."""

import json
from typing import Any

from hypothesis import strategies as st

Values = dict[str, Any]

_pick = st.sampled_from
_WHOM = _pick(
    [
        {},
        {"selector": {"matchLabels": {"app": "a"}}},
        {"selector": {"matchLabels": {"istio": "edge"}}},
        {"targetRefs": [{"group": "networking.istio.io", "kind": "Gateway", "name": "edge"}]},
    ]
)


def _some(choices: dict[str, list[list[str]]]) -> st.SearchStrategy[Values]:
    return st.fixed_dictionaries(
        {}, optional={name: _pick(values) for name, values in choices.items()}
    ).filter(bool)


_SOURCE = _some(
    {
        "principals": [["cluster.local/ns/default/sa/a"], ["*/sa/b", "*"]],
        "notPrincipals": [["*/sa/old"]],
        "requestPrincipals": [["https://issuer.example/*"], ["*"]],
        "namespaces": [["default"], ["team-*"]],
        "notNamespaces": [["attic"]],
        "ipBlocks": [["10.0.0.0/8", "fd00::1"]],
        "notRemoteIpBlocks": [["192.0.2.1"]],
    }
)
_OPERATION = _some(
    {
        "hosts": [["*.example.com"], ["a", "A:80"]],
        "ports": [["80"], ["9080", "443"]],
        "notPorts": [["1"]],
        "methods": [["GET", "HEAD"]],
        "paths": [["/a*"], ["*.html", "/b/{*}/c", "/d/{**}"]],
        "notPaths": [["/secret"]],
    }
)
_CONDITION = _pick(
    [
        {"key": "request.headers[X-User]", "values": ["admin*", "*"]},
        {"key": "request.auth.claims[groups][team]", "notValues": ["red"]},
        {"key": "source.ip", "values": ["10.0.0.0/8"]},
        {"key": "destination.port", "values": ["80"]},
        {"key": "connection.sni", "notValues": ["*.example.com"]},
    ]
)
_RULE = st.fixed_dictionaries(
    {},
    optional={
        "from": st.lists(st.builds(lambda each: {"source": each}, _SOURCE), min_size=1, max_size=2),
        "to": st.lists(st.builds(lambda each: {"operation": each}, _OPERATION), min_size=1, max_size=2),
        "when": st.lists(_CONDITION, min_size=1, max_size=2),
    },
)
AUTHORIZATION_POLICY: st.SearchStrategy[Values] = st.builds(
    lambda whom, action, rules: {**whom, **action, "rules": rules},
    _WHOM,
    _pick([{}, {"action": "ALLOW"}, {"action": "DENY"}, {"action": "AUDIT"}]),
    st.lists(_RULE, min_size=1, max_size=3),
)
_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "kid": "1",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
_KEYS = json.dumps({"keys": [_KEY]})
_JWT_RULE = st.fixed_dictionaries(
    {"issuer": _pick(["https://issuer.example", "b@example.com"]), "jwks": st.just(_KEYS)},
    optional={
        "audiences": _pick([["books"], ["a", "b"]]),
        "fromHeaders": _pick([[{"name": "X-Token", "prefix": "Token "}]]),
        "fromParams": _pick([["token"]]),
        "fromCookies": _pick([["session"]]),
        "outputPayloadToHeader": _pick(["x-payload"]),
        "outputClaimToHeaders": _pick([[{"header": "x-sub", "claim": "sub"}]]),
        "forwardOriginalToken": st.booleans(),
    },
)
REQUEST_AUTHENTICATION: st.SearchStrategy[Values] = st.builds(
    lambda whom, rules: {**whom, "jwtRules": rules},
    _WHOM,
    st.lists(_JWT_RULE, min_size=1, max_size=2, unique_by=lambda rule: rule["issuer"]),
)
