"""Values of AuthorizationPolicies that nothing has."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from xdsd.manifest import parse_object
from xdsd.model.intent import AuthorizationPolicy, PathNormalizationType
from xdsd.model.problem import ObjectRef, Reason, Severity
from xdsd.model.request_paths import normalized
from xdsd.model.vain_policies import Compared, vain_values

REF = ObjectRef("AuthorizationPolicy", "default", "some")
MESH = Compared(("cluster.local", "old.mesh"), ("cluster.local", "old.mesh", "their.example"))


def said(rule: dict[str, Any], compared: Compared = MESH) -> list[tuple[str, str]]:
    """The paths within the rule, and the messages, of what is said of it."""
    head = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": {"name": "some"}}
    obj = parse_object({**head, "spec": {"action": "DENY", "rules": [rule]}})
    assert not isinstance(obj, list), obj
    assert isinstance(obj.spec, AuthorizationPolicy)
    found = list(vain_values(obj.spec, REF, compared))
    for each in found:
        assert (each.reason, each.severity, each.object) == (Reason.UNREACHABLE_RULE, Severity.WARNING, REF)
    return [(each.path.removeprefix("spec.rules[0]."), each.message) for each in found]


def of_path(*paths: str, compared: Compared = MESH) -> list[str]:
    return [message for _, message in said({"to": [{"operation": {"paths": list(paths)}}]}, compared)]


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("/%68ello", "write /hello"),
        ("/x/../hello", "write /hello"),
        ("//hello", "write /hello"),
        ("/a//*", "write /a/*"),
        ("/a%2Fb*", "write /a/b*"),
        ("/a/./b", "write /a/b"),
        ("/a\\b", "write /a/b"),
        ("*//b", "not of it"),
        ("*/..", "not of it"),
        ("/%00", "400"),
    ],
)
def test_paths_that_proxies_never_leave_so(path: str, instead: str) -> None:
    """All four spellings of the first three are one path, and the rule compares with that."""
    (message,) = of_path(path)
    assert message.startswith(f"{path!r} is the path of no request: ")
    assert message.endswith(instead)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/hello",
        "*",
        "/a*",
        "*.js",
        "/a/.*",
        "/a/%2*",
        "/a/..b",
        "*/a",
        "*./a",
        "/a%20b",
        "/{*}/b",
        "/a/{**}",
        "/a/",
    ],
)
def test_paths_that_requests_have(path: str) -> None:
    """Also beginnings and ends that go on in a way that stays."""
    assert of_path(path) == []


@given(st.text("/.%a2fF65c\\ x~", max_size=12), st.sampled_from(PathNormalizationType), st.integers(0, 12))
def test_no_path_that_a_request_has_is_called_vain(rest: str, how: PathNormalizationType, cut: int) -> None:
    """Whatever was sent: what proxies made of it, its beginnings and its ends are compared with something."""
    assume(how is not PathNormalizationType.DEFAULT)
    made = normalized(f"/{rest}", how)
    assume(made is not None and made.startswith("/"))
    assert made is not None
    compared = Compared(MESH.own, MESH.believed, how)
    patterns = [made, f"{made[: cut + 1]}*", f"*{made[cut:]}"]
    assert of_path(*patterns, compared=compared) == []


def test_the_form_of_paths_is_the_meshs() -> None:
    """Where proxies leave paths as they are, every spelling is one."""
    untouched = Compared(MESH.own, MESH.believed, PathNormalizationType.NONE)
    assert of_path("//hello", "/%68ello", compared=untouched) == []
    base = Compared(MESH.own, MESH.believed, PathNormalizationType.BASE)
    assert of_path("//hello", "/a%2fb", compared=base) == []


@pytest.mark.parametrize(
    ("principal", "why"),
    [
        (
            "till",
            "names no trust domain: write DOMAIN/ns/NAMESPACE/sa/ACCOUNT, such as cluster.local/ns/default/sa/till",
        ),
        (
            "clustr.local/ns/default/sa/till",
            "is of the trust domain 'clustr.local', whose peers nobody lets in",
        ),
        ("clustr*", "is of no trust domain whose peers are let in"),
        ("cluster.local/default/till", "is no identity of the mesh"),
        ("old.mesh/default/*", "is no identity of the mesh"),
    ],
)
def test_principals_that_nobody_is(principal: str, why: str) -> None:
    """Without a trust domain, of one that nobody vouches for, or not of the form that the mesh's own have."""
    ((path, message),) = said({"from": [{"source": {"notPrincipals": [principal]}}]})
    assert path == "from[0].source.notPrincipals[0]"
    assert why in message
    ((path, message),) = said({"when": [{"key": "source.principal", "values": ["*", principal]}]})
    assert path == "when[0].values[1]"


@pytest.mark.parametrize(
    "principal",
    [
        "*",
        "cluster.local/ns/default/sa/till",
        "cluster.local/ns/def*",
        "cluster.local/*",
        "cluster.local/ns/a/sa/*",
        "clus*",
        "*/sa/till",
        "their.example/whatever/they/like",
    ],
)
def test_principals_that_somebody_may_be(principal: str) -> None:
    """Of the mesh and of those that it believes, who may have other forms."""
    assert said({"from": [{"source": {"principals": [principal]}}]}) == []


def test_cluster_local_is_the_meshs_own_whatever_that_is_called() -> None:
    """In principals, and not in trust domains."""
    named = Compared(("mesh.example",), ("mesh.example",))
    principal = "cluster.local/ns/default/sa/till"
    assert said({"from": [{"source": {"principals": [principal]}}]}, named) == []
    ((path, message),) = said({"from": [{"source": {"trustDomains": ["cluster.local"]}}]}, named)
    assert path == "from[0].source.trustDomains[0]"
    assert message.endswith("known are mesh.example")
    assert said({"from": [{"source": {"trustDomains": ["*.example", "mesh*", "*"]}}]}, named) == []


@pytest.mark.parametrize("principal", ["a/", "/", "/alice"])
def test_identities_of_no_token(principal: str) -> None:
    """An issuer and a subject are something."""
    ((path, message),) = said({"from": [{"source": {"requestPrincipals": [principal, "https://a/*", "*"]}}]})
    assert path == "from[0].source.requestPrincipals[0]"
    assert "write ISSUER/SUBJECT" in message
