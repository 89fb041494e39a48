"""What is wrong with policies and tokens' rules, told where it is."""

import json
from typing import Any

import pytest

from tests.manifest.support import told

POLICY = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\n"
TOKENS = "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: a}\n"


def problems(head: str, spec: dict[str, Any]) -> list[str]:
    """Without lines; JSON is YAML."""
    return [line.partition(" ")[2] for line in told(f"{head}spec: {json.dumps(spec)}\n")]


def source(**fields: Any) -> dict[str, Any]:
    return {"rules": [{"from": [{"source": fields}]}]}


def operation(**fields: Any) -> dict[str, Any]:
    return {"rules": [{"to": [{"operation": fields}]}]}


def when(key: str, *values: str) -> dict[str, Any]:
    return {"rules": [{"when": [{"key": key, "values": list(values)}]}]}


FROM, TO, WHEN = "spec.rules[0].from[0].source", "spec.rules[0].to[0].operation", "spec.rules[0].when[0]"


@pytest.mark.parametrize(
    ("spec", "told_first"),
    [
        ({}, ""),
        ({"rules": [{}]}, ""),
        (source(principals=["*"], notPrincipals=["*/sa/a"]), ""),
        (
            source(principals=["spiffe://a/ns/b/sa/c"]),
            f"{FROM}.principals[0] InvalidValue: 'spiffe://a/ns/b/sa/c': write",
        ),
        (
            source(principals=["a*b"]),
            f"{FROM}.principals[0] InvalidValue: 'a*b': a wildcard may stand at one end only",
        ),
        (source(principals=[]), f"{FROM}.principals InvalidValue: is empty"),
        (source(), f"{FROM} MissingField: is empty; name whom it is for"),
        (
            source(ipBlocks=["10.0.0.0/33"]),
            f"{FROM}.ipBlocks[0] InvalidValue: '10.0.0.0/33' is no IP address or CIDR",
        ),
        (source(remoteIpBlocks=["host"]), f"{FROM}.remoteIpBlocks[0] InvalidValue: 'host' is no IP address"),
        (
            source(serviceAccounts=["a*"]),
            f"{FROM}.serviceAccounts[0] InvalidValue: 'a*': service accounts know no wildcard",
        ),
        (
            source(serviceAccounts=["a"], namespaces=["b"]),
            f"{FROM}.namespaces InvalidValue: cannot stand beside",
        ),
        (
            source(requestPrincipals=["https://a*"]),
            f"{FROM}.requestPrincipals[0] InvalidValue: 'https://a*': the wildcard",
        ),
        (operation(ports=["0"]), f"{TO}.ports[0] InvalidValue: '0' is no port between 1 and 65535"),
        (operation(ports=[80]), f"{TO}.ports[0] WrongType"),
        (operation(paths=["admin"]), f"{TO}.paths[0] InvalidValue: 'admin' is no path: begin it with / or *"),
        (operation(paths=["/a?b"]), f"{TO}.paths[0] InvalidValue: '/a?b' holds a query or fragment"),
        (operation(paths=["/a/{b}/{*}"]), f"{TO}.paths[0] InvalidValue: '/a/{{b}}/{{*}}' is no template"),
        (operation(paths=["/a/{**}/{*}"]), f"{TO}.paths[0] InvalidValue: '/a/{{**}}/{{*}}' is no template"),
        (operation(paths=["/a/{*}/{**}", "/b/*"]), ""),
        (operation(methods=["get"]), f"{TO}.methods[0] InvalidValue: 'get' is no method; write GET"),
        (when("request.header[a]", "b"), f"{WHEN}.key InvalidValue: 'request.header[a]' is no condition"),
        (when("request.headers", "b"), f"{WHEN}.key InvalidValue: 'request.headers' names nothing"),
        (
            when("destination.labels[a]", "b"),
            f"{WHEN}.key InvalidValue: 'destination.labels[a]' is no condition of this",
        ),
        (when("source.ip", "b"), f"{WHEN}.values[0] InvalidValue: 'b' is no IP address or CIDR range"),
        (when("destination.port", "99999"), f"{WHEN}.values[0] InvalidValue: '99999' is no port"),
        (when("connection.sni"), f"{WHEN}.values InvalidValue: is empty"),
        (when("request.auth.claims[a][b]", "c*"), ""),
        ({"action": "DENY"}, "spec.rules MissingField: is empty, so DENY never happens"),
        ({"action": "CUSTOM", "rules": [{}]}, "spec.provider MissingField: is missing; name who decides"),
        ({"provider": {"name": "a"}, "rules": [{}]}, "spec.provider InvalidValue: is for action CUSTOM"),
        (
            {"action": "CUSTOM", "provider": {"name": "a"}, **when("request.auth.claims[a]", "b")},
            f"{WHEN}.key NotSupported: request.auth.claims[a] is unknown when the provider is asked",
        ),
        (
            {"targetRefs": [{"kind": "Service", "name": "a"}]},
            "spec.targetRefs[0].kind NotSupported: 'core/Service' takes no policies here",
        ),
        (
            {"selector": {"matchLabels": {"a": "b"}}, "targetRef": {"kind": "Gateway", "name": "a"}},
            "spec.targetRef InvalidValue: selector is set too",
        ),
    ],
)
def test_what_is_wrong_with_a_policy_is_told(spec: dict[str, Any], told_first: str) -> None:
    """At its path, with what would be right."""
    found = problems(POLICY, spec)
    assert (found[0] if found else "").startswith(told_first)
    assert bool(found) is bool(told_first), found


def test_a_dry_run_is_true_or_false() -> None:
    """Another text is told, not taken for false."""
    head = POLICY.replace("{name: a}", '{name: a, annotations: {istio.io/dry-run: "yes"}}')
    assert problems(head, {}) == [
        "metadata.annotations[istio.io/dry-run] InvalidValue: 'yes' is neither true nor false"
    ]


SECRET = "c2VjcmV0LXRoYXQtbm9ib2R5LW1heS1zZWU"
PUBLIC = {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (json.dumps({"keys": [{"kty": "oct", "k": SECRET}]}), "symmetric"),
        (json.dumps({"keys": [PUBLIC, {"kty": "oct", "k": SECRET}]}), "symmetric"),
        (json.dumps({"keys": [PUBLIC, {**PUBLIC, "d": SECRET}]}), "private"),
        (json.dumps({"keys": [PUBLIC, {"kty": "AKP", "priv": SECRET}]}), "private"),
        (json.dumps({"keys": [PUBLIC], "other": {**PUBLIC, "d": SECRET}}), "private"),
        (json.dumps({"keys": [PUBLIC]})[:-1] + ', "keys": [' + json.dumps(PUBLIC) + "]}", ""),
        (f'{{"keys": [{{"kty": "EC", "d": "{SECRET}"}}], "keys": [{json.dumps(PUBLIC)}]}}', "private"),
        (f'{{"keys": [{{"kty": "EC", "d": "{SECRET}"', "is no JSON"),
        (json.dumps({"keys": [PUBLIC]}), ""),
    ],
)
def test_secret_keys_are_refused_and_not_repeated(text: str, what: str) -> None:
    """Wherever one stands in a set of keys, the object is refused, and nothing of the key is told."""
    found = problems(TOKENS, rule(jwks=text))
    assert len(found) == (1 if what else 0)
    assert all(what in each and SECRET not in each and each.startswith(RULE) for each in found)


def rule(**fields: Any) -> dict[str, Any]:
    return {"jwtRules": [{"issuer": "https://issuer.example", **fields}]}


RULE = "spec.jwtRules[0]"


@pytest.mark.parametrize(
    ("spec", "told_first"),
    [
        (rule(), ""),
        ({}, "spec.jwtRules MissingField: is empty; name an issuer"),
        ({"jwtRules": [{}]}, f"{RULE}.issuer MissingField: is missing; name the issuer, or jwksUri"),
        ({"jwtRules": [{"issuer": "me"}]}, f"{RULE}.jwksUri MissingField: is missing; 'me' is no URL"),
        (rule(issuer="a b"), f"{RULE}.issuer InvalidValue: 'a b' holds a blank"),
        (rule(jwksUri="ftp://a/b"), f"{RULE}.jwksUri InvalidValue: 'ftp://a/b' is no URL such as"),
        (rule(jwksUri="https://u:p@a/b"), f"{RULE}.jwksUri InvalidValue: 'https://u:p@a/b' holds a user"),
        (rule(jwks="{}"), f"{RULE}.jwks InvalidValue: is no set of keys"),
        (rule(jwks="x"), f"{RULE}.jwks InvalidValue: is no JSON"),
        (rule(jwks='{"keys": [{"kty": "EC"}]}'), f"{RULE}.jwks InvalidValue: "),
        (rule(jwks='{"keys": []}', jwksUri="https://a/b"), f"{RULE}.jwks InvalidValue"),
        (rule(audiences=["a", "a"]), f"{RULE}.audiences[1] InvalidValue: 'a' is listed twice"),
        (
            rule(outputPayloadToHeader="host"),
            f"{RULE}.outputPayloadToHeader InvalidValue: 'host' says how the request",
        ),
        (
            rule(outputClaimToHeaders=[{"header": "a", "claim": "b"}, {"header": "A", "claim": "c"}]),
            f"{RULE}.outputClaimToHeaders[1].header InvalidValue: 'a' is written already",
        ),
        (
            rule(fromHeaders=[{"name": "a b"}]),
            f"{RULE}.fromHeaders[0].name InvalidValue: 'a b' is no header name",
        ),
        (rule(timeout="0s"), f"{RULE}.timeout OutOfRange"),
    ],
)
def test_what_is_wrong_with_tokens_rules_is_told(spec: dict[str, Any], told_first: str) -> None:
    """At its path, with what would be right."""
    found = problems(TOKENS, spec)
    assert (found[0] if found else "").startswith(told_first)
    assert bool(found) is bool(told_first), found
