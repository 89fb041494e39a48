"""Bundles of other trust domains: read, written, joined, and refused."""

import json
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.ca.making import NOW, YEAR, issued, of_no_known_curve, root
from xdsd.ca.bundles import bundle_fault, read_bundle, write_bundle
from xdsd.ca.federation import Federation
from xdsd.ca.issuer import bundle, pem
from xdsd.ca.reading import Unreadable
from xdsd.model.federation import Declared, DeclaredBundle
from xdsd.model.key_source import FetchedKeys, KeySource
from xdsd.model.problem import ObjectRef, Problem, Reason

OURS, THEIRS, OTHERS = root(), root(domain="their.example"), root(domain="other.example")


def key(**more: Any) -> dict[str, Any]:
    """A key of a bundle that is right but for what is said."""
    (made,) = json.loads(write_bundle(THEIRS.chain))["keys"]
    return {**made, **more}


def bare(text: bytes) -> str:
    """The base64 of a PEM."""
    return "".join(text.decode().split("\n")[1:-2])


def test_a_bundle_is_read_as_it_was_written() -> None:
    """Of keys of any kind; others' keys beside them, as of tokens, are passed over."""
    strong = root(rsa.generate_private_key(65537, 2048))
    text = write_bundle([*THEIRS.chain, *strong.chain])
    assert read_bundle(text) == (*THEIRS.chain, *strong.chain)
    value = json.loads(text)
    assert [each["kty"] for each in value["keys"]] == ["EC", "RSA"]
    value["keys"].append({"use": "jwt-svid", "kty": "EC"})
    assert read_bundle(json.dumps(value)) == (*THEIRS.chain, *strong.chain)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is no JSON"),
        ("[]", "is no SPIFFE bundle"),
        ('{"keys": 1}', "is no SPIFFE bundle"),
        ('{"keys": []}', "has no key whose use is x509-svid"),
        (json.dumps({"keys": [key(use="jwt-svid")]}), "has no key whose use"),
        (json.dumps({"keys": [key(x5c=[])]}), "exactly one certificate"),
        (json.dumps({"keys": [key(x5c=["AAAA"])]}), "cannot be read"),
        (json.dumps({"keys": [key(x5c=["?"])]}), "cannot be read"),
        (json.dumps({"keys": [key(x5c=[bare(of_no_known_curve(THEIRS.certificate))])]}), "cannot be read"),
        (
            json.dumps({"keys": [key(x5c=[bare(pem(issued(OURS).certificate))])]}),
            "is no authority's",
        ),
    ],
)
def test_what_is_no_bundle_is_refused(text: str, why: str) -> None:
    """It is said why."""
    assert why in (bundle_fault(text) or "")


@given(st.text(max_size=80))
def test_any_text_is_a_bundle_or_is_refused(text: str) -> None:
    """Nothing else is raised."""
    with pytest.raises(Unreadable):
        read_bundle(text)


class Made:
    """A federation, and what it told."""

    def __init__(self, known: dict[str, str] | None = None) -> None:
        self.wanted: list[str] = []
        self.told = 0
        self.admitted: list[tuple[str, ...]] = []
        self.known = known or {}
        self.of = Federation(
            "cluster.local", structlog.get_logger(), self.want, self.tell, self.admitted.append
        )

    def want(self, sources: Any) -> dict[str, FetchedKeys]:
        found: list[KeySource] = list(sources)
        self.wanted = [each.url for each in found]
        return {url: FetchedKeys(self.known[url]) for url in self.wanted if url in self.known}

    def tell(self) -> None:
        self.told += 1


PEM = bundle(THEIRS.chain).decode()


def test_what_operators_declare_is_of_its_trust_domains() -> None:
    """Without one it is of the mesh's own, as it is under its name or an alias; several of one domain are joined."""
    made = Made()
    made.of.declare(
        Declared(
            ("old.example",),
            (
                DeclaredBundle(("their.example",), PEM),
                DeclaredBundle(("their.example", "other.example"), bundle(OTHERS.chain).decode()),
                DeclaredBundle((), bundle(OURS.chain).decode()),
                DeclaredBundle(("old.example",), bundle(OURS.chain).decode()),
            ),
        )
    )
    assert made.of.foreign() == {
        "other.example": bundle(OTHERS.chain),
        "their.example": bundle((*THEIRS.chain, *OTHERS.chain)),
    }
    assert made.of.own() == OURS.chain
    assert made.of.own_domains == ("cluster.local", "old.example")
    assert made.told == 1


def test_what_is_fetched_counts_until_it_is_declared_no_more() -> None:
    """An address that does not answer leaves what it said last."""
    url = "https://their.example/bundle"
    made = Made()
    made.of.declare(Declared((), (DeclaredBundle(("their.example",), "", url),)))
    assert made.wanted == [url]
    assert made.of.foreign() == {"their.example": b""}
    made.of.fetched(url, FetchedKeys(write_bundle(THEIRS.chain)))
    made.of.fetched(url, FetchedKeys("", "did not answer"))
    assert made.of.foreign() == {"their.example": bundle(THEIRS.chain)}
    made.of.declare(Declared())
    assert made.of.foreign() == {}
    again = Made({url: write_bundle(OTHERS.chain)})
    again.of.declare(Declared((), (DeclaredBundle(("their.example",), "", url),)))
    assert again.of.foreign() == {"their.example": bundle(OTHERS.chain)}


@pytest.mark.parametrize("text", ["x", PEM * 101, of_no_known_curve(THEIRS.certificate).decode(), "\ud800"])
def test_what_cannot_be_read_is_told_and_the_rest_counts(text: str) -> None:
    """Nothing that operators declare raises; what cannot be used makes nobody trusted, and others stay."""
    made = Made()
    with capture_logs() as logs:
        made.of.declare(
            Declared(
                (),
                (
                    DeclaredBundle(("bad.example",), text),
                    DeclaredBundle((), text),
                    DeclaredBundle(("other.example",), bundle(OTHERS.chain).decode()),
                ),
            )
        )
    assert {each["event"] for each in logs} == {"authorities are not trusted"}
    assert made.of.foreign() == {"bad.example": b"", "other.example": bundle(OTHERS.chain)}
    assert made.of.own() == ()


def test_an_alias_that_is_the_trust_domain_counts_once() -> None:
    """Proxies refuse two bundles of one domain."""
    made = Made()
    made.of.declare(Declared(("cluster.local", "old.example", "old.example")))
    assert made.of.own_domains == ("cluster.local", "old.example")


def test_what_others_bring_is_of_other_domains_alone() -> None:
    """Their peers are let in once they are trusted; authorities of our own domain are refused and told."""
    made = Made()
    with capture_logs() as logs:
        made.of.bring("peers", {"their.example": THEIRS.chain, "cluster.local": OTHERS.chain})
    assert [(each["source"], each["domain"]) for each in logs] == [("peers", "cluster.local")]
    assert made.of.foreign() == {"their.example": bundle(THEIRS.chain)}
    assert made.of.own() == ()
    assert (made.told, made.admitted) == (1, [("their.example",)])
    made.of.bring("peers", {"their.example": THEIRS.chain})
    assert made.told == 1
    made.of.bring("peers", {})
    assert (made.of.foreign(), made.admitted[-1]) == ({}, ())


CONFIG = ObjectRef("MeshConfig", "istio-system", "default")


def test_what_keeps_a_domain_out_is_a_problem_until_it_is_over() -> None:
    """An address that does not answer, what cannot be read, and what expired, each at its place."""
    told: list[tuple[Problem, ...]] = []
    old = root(domain="old.example", now=NOW - 20 * YEAR)
    made = Federation(
        "cluster.local",
        structlog.get_logger(),
        lambda _: {},
        report=lambda found: told.append(tuple(found)),
        now=lambda: NOW,
    )
    url = "https://their.example/bundle"
    declared = (
        DeclaredBundle((), bundle(OURS.chain).decode()),
        DeclaredBundle(("their.example",), "", url),
        DeclaredBundle(("bad.example",), "x"),
        DeclaredBundle(("old.example",), bundle(old.chain).decode()),
    )
    made.declare(Declared((), declared, CONFIG))
    assert [(each.path, each.object) for each in told[-1]] == [
        ("spec.caCertificates[2].pem", CONFIG),
        ("spec.caCertificates[3].pem", CONFIG),
    ]
    assert "of bad.example cannot be read: caCertificates holds no certificates" in told[-1][0].message
    assert "of old.example expired at " in told[-1][1].message
    made.fetched(url, FetchedKeys("", "it did not answer"))
    (first, *_) = told[-1]
    assert (first.path, first.reason) == ("spec.caCertificates[1].spiffeBundleUrl", Reason.UNAVAILABLE)
    assert first.message == (
        "the bundle of their.example cannot be fetched: it did not answer; "
        "until it can, nobody that it vouches for is let in"
    )
    made.fetched(url, FetchedKeys(write_bundle(THEIRS.chain)))
    assert [each.path for each in told[-1]] == ["spec.caCertificates[2].pem", "spec.caCertificates[3].pem"]
    made.fetched(url, FetchedKeys(write_bundle(THEIRS.chain), "it did not answer"))
    assert told[-1][0].message.endswith("what was seen last holds")
    made.declare(Declared())
    assert told[-1] == ()
