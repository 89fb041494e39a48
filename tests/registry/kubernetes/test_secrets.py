"""Secrets of a cluster: which are read, by which rights, and what is said of those that cannot be used."""

import base64
from collections.abc import Mapping
from typing import Any

from tests.contracts.registry import running
from tests.lab.eventually import eventually
from tests.registry.kubernetes.cluster import DOMAIN
from tests.registry.kubernetes.unruly import only, refusal, unruly_server
from xdsd.model.credential import CredentialName
from xdsd.model.problem import Severity
from xdsd.registry.kubernetes import Cluster
from xdsd.registry.kubernetes.collection import secrets_of
from xdsd.registry.kubernetes.facts import Name
from xdsd.registry.kubernetes.registry import KubernetesRegistry
from xdsd.registry.kubernetes.secrets import SecretState

EAST = "kubernetes:east"
HIDDEN = "very hidden"


def secret(name: str, kind: str = "kubernetes.io/tls", **data: str) -> dict[str, Any]:
    held = {key.replace("_", "."): base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {"kind": "Secret", "type": kind, "metadata": {"name": name, "namespace": "edge"}, "data": held}


class Taken:
    """Who is given secrets: keeps them, and refuses an empty certificate."""

    def __init__(self) -> None:
        self.held: dict[CredentialName, Mapping[str, bytes]] = {}

    def put(self, source: str, name: CredentialName, data: Mapping[str, bytes]) -> None:
        assert source == EAST
        if not data.get("tls.crt") and not data.get("cert"):
            raise ValueError("there is no certificate")
        self.held[name] = data

    def drop(self, source: str, name: CredentialName) -> None:
        self.held.pop(name, None)


def test_secrets_are_handed_on_and_taken_back() -> None:
    """Both types that there are, with all that they hold."""
    taken = Taken()
    state = SecretState(EAST, taken)
    state.put(secret("shop", tls_crt="c", tls_key="k"), named=True)
    state.put(secret("till", "Opaque", cert="c", key="k", cacert="a"), named=True)
    assert taken.held[CredentialName("edge", "shop")] == {"tls.crt": b"c", "tls.key": b"k"}
    assert len(taken.held) == 2
    assert state.names("edge", "shop") == {Name("edge", "shop")}
    assert state.names("edge", "") == {Name("edge", "shop"), Name("edge", "till")}
    state.drop(Name("edge", "shop"))
    assert list(taken.held) == [CredentialName("edge", "till")]


def test_what_cannot_be_used_is_told_without_a_word_of_what_it_holds() -> None:
    """By its name, with the reason; what it was holds."""
    taken = Taken()
    state = SecretState(EAST, taken)
    state.put(secret("shop", tls_crt="c", tls_key="k"), named=True)
    odd = secret("shop")
    odd["data"] = {"tls.crt": HIDDEN}
    for wrong in (odd, secret("shop", "helm.sh/release", release=HIDDEN), secret("shop", tls_key=HIDDEN)):
        state.put(wrong, named=True)
        (problem,) = (each for group in state.take_problems().values() for each in group)
        assert (problem.file, problem.object, problem.severity) == (
            EAST,
            ("Secret", "edge", "shop"),
            Severity.ERROR,
        )
        assert HIDDEN not in str(problem)
    assert taken.held[CredentialName("edge", "shop")]["tls.crt"] == b"c"
    state.put(secret("shop", tls_crt="old", tls_key="k"), named=True)
    assert [each for group in state.take_problems().values() for each in group] == []


def test_in_a_namespace_that_is_given_whole_what_is_no_credential_is_not_meant() -> None:
    """Releases, tokens and passwords are not read, and are no problem; what becomes one of them is given no more."""
    taken = Taken()
    state = SecretState(EAST, taken)
    state.put(secret("release", "helm.sh/release.v1", release="x"), named=False)
    state.put(secret("password", "Opaque", password="x"), named=False)
    state.put(secret("shop", tls_crt="c", tls_key="k"), named=False)
    assert list(taken.held) == [CredentialName("edge", "shop")]
    state.put(secret("shop", "Opaque", password="x"), named=False)
    assert taken.held == {}
    assert [each for group in state.take_problems().values() for each in group] == []


def test_what_a_whole_namespace_gives_is_not_asked_for_by_name() -> None:
    """Each namespace or Secret once."""
    found = [(each.namespace, each.name) for each in secrets_of(("a/x", "b/x", "a/*", "b/x", "b/y"))]
    assert found == [("a", ""), ("b", "x"), ("b", "y")]


async def test_secrets_are_asked_for_by_name_and_a_right_that_is_missing_closes_nothing_else() -> None:
    """One request names one Secret; without the right to one of two, the source is well and says so."""
    taken = Taken()
    async with unruly_server() as server:
        edge = {"kind": "Namespace", "metadata": {"name": "edge"}}
        server.objects = [edge, secret("shop", tls_crt="c", tls_key="k")]
        server.misbehave = only("name%3Dtill", refusal(403, "may not"))
        cluster = Cluster(name="east", secrets=("edge/shop", "edge/till"))
        registry = KubernetesRegistry(cluster, DOMAIN, login=server.login, secrets=taken, brief=0.0)
        async with running(registry) as sink:
            await sink.told("synced")
            await eventually(lambda: bool(taken.held), "it is handed on")
            assert any("fieldSelector=metadata.name%3Dshop&limit=" in each for each in server.requests)
            (problem,) = sink.mistakes
            assert "secrets edge/till" in problem.message
            assert problem.severity is Severity.WARNING
