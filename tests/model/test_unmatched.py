"""Matches that no request fits."""

from typing import Any

import pytest

from xdsd.model.intent import VirtualService
from xdsd.model.problem import ObjectRef, Reason, Severity
from xdsd.model.unmatched import unmatched_rules

REF = ObjectRef("VirtualService", "shop", "v")
ROUTE = [{"destination": {"host": "cart"}}]


def told(match: dict[str, Any], **spec: Any) -> list[tuple[str, str]]:
    whole = {"hosts": ["cart"], "http": [{"match": [match], "route": ROUTE}], **spec}
    found = list(unmatched_rules(VirtualService.model_validate(whole), REF))
    assert all(each.reason is Reason.UNREACHABLE_RULE for each in found)
    assert all((each.object, each.severity) == (REF, Severity.WARNING) for each in found)
    return [(each.path.removeprefix("spec.http[0].match[0]."), each.message) for each in found]


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        (
            {"exact": "/e?x=1"},
            "paths are compared without what a question mark begins; give queryParams for that",
        ),
        ({"prefix": "/g#f"}, "clients do not send what a # begins; leave it out"),
        ({"exact": "noslash"}, "paths begin with a slash; write /noslash"),
        ({"prefix": "noslash"}, "paths begin with a slash; write /noslash"),
    ],
)
def test_paths_that_nobody_sends(uri: dict[str, str], why: str) -> None:
    """Queries, fragments and missing slashes are told with what to write."""
    assert told({"uri": uri}) == [("uri", f"no request matches: {why}")]


@pytest.mark.parametrize("uri", [{"exact": "/"}, {"exact": "*"}, {"prefix": "/a"}, {"regex": "a[?]b"}])
def test_paths_that_somebody_may_send(uri: dict[str, str]) -> None:
    """The star is that of OPTIONS; expressions are not judged."""
    assert told({"uri": uri}) == []


def test_methods_have_a_case() -> None:
    """Small letters are another method than the one that everybody knows; names that nobody knows are left alone."""
    why = "no request matches: methods are compared letter by letter; write GET"
    assert told({"method": {"exact": "get"}}) == [("method", why)]
    assert told({"method": {"exact": "GET"}}) == []
    assert told({"method": {"exact": "purge"}}) == []
    assert told({"method": {"regex": "get|GET"}}) == []


@pytest.mark.parametrize(
    ("authority", "spec", "fits"),
    [
        ("other", {}, False),
        ("cart", {}, True),
        ("cart:8080", {}, True),
        ("cart.shop.svc", {}, True),
        ("cart.shop.svc.cluster.local", {}, True),
        ("cart.shop.svc.cluster.local.", {}, True),
        ("car", {}, False),
        ("10.0.0.1:80", {}, True),
        ("[::1]:80", {}, True),
        ("cart", {"gateways": ["edge"]}, False),
        ("10.0.0.1", {"gateways": ["edge"]}, False),
        ("A.example.com", {"hosts": ["*.example.com"], "gateways": ["edge"]}, True),
        ("example.com", {"hosts": ["*.example.com"], "gateways": ["edge"]}, False),
        ("x.org", {"hosts": ["*"], "gateways": ["edge"]}, True),
        ("[::1]:80", {"hosts": ["::1"], "gateways": ["edge"]}, True),
        ("other", {"hosts": []}, True),
    ],
)
def test_authorities_are_of_the_hosts(authority: str, spec: dict[str, Any], fits: bool) -> None:
    """Sidecars know services by shorter names and by addresses too; a delegate's hosts are those of its roots."""
    why = f"no request matches: {authority} is none of spec.hosts, by which requests come here; add it there"
    assert told({"authority": {"exact": authority}}, **spec) == ([] if fits else [("authority", why)])


def test_other_forms_of_authorities_are_not_judged() -> None:
    """A prefix or an expression may fit some host."""
    assert told({"authority": {"prefix": "other"}}) == []
