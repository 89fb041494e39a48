"""As whom callers come in: an identity that does not arrive is not judged as if it did."""

from typing import Any

import pytest
import yaml

from tests.authorization.test_reach import STRICT, only, peers, policy, site
from xdsd.authorization.outlook import Outlook
from xdsd.authorization.reach import Question, Verdict, can, matrix
from xdsd.authorization.sites import Seen

READER = "spiffe://cluster.local/ns/default/sa/reader"
NO_READER = policy(
    "no-reader",
    {
        "action": "DENY",
        "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/default/sa/reader"]}}]}],
    },
)


def entry(name: str, **changes: Any) -> str:
    spec = {
        "hosts": [f"{name}.default.svc.cluster.local"],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "location": "MESH_INTERNAL",
        "resolution": "STATIC",
        "endpoints": [{"address": "10.0.1.1", "labels": {"app": name}}],
        **changes,
    }
    head = {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": name}}
    return yaml.safe_dump({**head, "spec": spec})


def fronted(address: str = "10.0.1.1", **more: Any) -> list[dict[str, Any]]:
    return [{"address": address, "labels": {"security.istio.io/tlsMode": "istio"}, **more}]


def rule(mode: str, host: str = "web", name: str = "how", namespace: str = "default", **more: Any) -> str:
    spec = {"host": f"{host}.default.svc.cluster.local", "trafficPolicy": {"tls": {"mode": mode}}, **more}
    head = {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule"}
    return yaml.safe_dump({**head, "metadata": {"name": name, "namespace": namespace}, "spec": spec})


def mesh(**spec: Any) -> str:
    head = {"apiVersion": "mesh.xdsd.io/v1", "kind": "MeshConfig"}
    where = {"metadata": {"name": "default", "namespace": "istio-system"}}
    return yaml.safe_dump({**head, **where, "spec": spec})


def asked(*documents: str, source: str = "default/reader", target: str = "web", **known: Any) -> Verdict:
    return only(can(site(*documents, seen=Seen(**known)), Question(source, target)))


def test_an_identity_arrives_where_a_proxy_is_known_to_stand() -> None:
    """That is declared by the label of the endpoint."""
    verdict = asked(NO_READER)
    assert (verdict.allowed, verdict.source.peer, verdict.lost) == (False, READER, "")


def test_an_endpoint_without_the_label_is_called_in_plaintext() -> None:
    """So a rule that denies an identity denies nobody, and the reason is told."""
    verdict = asked(NO_READER, entry("old"), target="old")
    assert verdict.allowed
    assert verdict.source.peer == ""
    assert verdict.lost == "the endpoint 10.0.1.1 has no label security.istio.io/tlsMode: istio"
    strict = asked(STRICT, entry("old"), target="old")
    assert strict.refused == (
        "plaintext is refused: PeerAuthentication istio-system/default is STRICT; it is sent because"
        " the endpoint 10.0.1.1 has no label security.istio.io/tlsMode: istio"
    )


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        (rule("DISABLE"), "DestinationRule default/how says DISABLE"),
        (
            mesh(enableAutoMtls=False),
            "the MeshConfig says enableAutoMtls: false, and no DestinationRule asks for mutual TLS",
        ),
        (peers("default", {"mtls": {"mode": "DISABLE"}}), "PeerAuthentication default/default is DISABLE"),
        (
            rule("DISABLE", trafficPolicy={"loadBalancer": {"simple": "PASSTHROUGH"}}),
            "DestinationRule default/how says PASSTHROUGH, so endpoints are not known",
        ),
    ],
)
def test_what_keeps_a_proxy_from_mutual_tls_is_told(declared: str, why: str) -> None:
    """A rule, the mesh, or who is called."""
    verdict = asked(NO_READER, declared)
    assert verdict.allowed
    assert (verdict.source.peer, verdict.lost) == ("", why)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"location": "MESH_EXTERNAL"}, "is not of the mesh (location MESH_EXTERNAL)"),
        ({"resolution": "NONE", "endpoints": []}, "are not known (resolution NONE)"),
    ],
)
def test_services_that_get_no_mutual_tls_by_themselves(changes: dict[str, Any], why: str) -> None:
    """Those outside of the mesh, and those whose endpoints nobody lists."""
    changes = {"endpoints": fronted(), **changes}
    verdict = asked(NO_READER, entry("far", **changes), target="far")
    assert verdict.allowed
    assert verdict.lost.endswith(why)


def test_a_rule_that_asks_for_mutual_tls_sends_it_everywhere() -> None:
    """Labelled or not, automatic or not; where it is disabled nobody takes it."""
    wanted = (NO_READER, entry("old"), mesh(enableAutoMtls=False), rule("ISTIO_MUTUAL", "old"))
    verdict = asked(*wanted, target="old")
    assert (verdict.allowed, verdict.source.peer) == (False, READER)
    closed = asked(rule("ISTIO_MUTUAL"), peers("default", {"mtls": {"mode": "DISABLE"}}))
    assert closed.refused == (
        "mutual TLS is refused: PeerAuthentication default/default is DISABLE,"
        " but DestinationRule default/how says ISTIO_MUTUAL"
    )


@pytest.mark.parametrize("mode", ["SIMPLE", "MUTUAL"])
def test_tls_of_its_own_proves_nothing_to_the_mesh(mode: str) -> None:
    """A port of HTTP refuses it where a proxy stands, any port does under STRICT; else its bytes are carried on."""
    files = (
        {"mode": mode, "clientCertificate": "/c", "privateKey": "/k"} if mode == "MUTUAL" else {"mode": mode}
    )
    own = rule(mode, trafficPolicy={"tls": files})
    why = f"DestinationRule default/how says {mode}, which is not mutual TLS of the mesh"
    assert asked(own).refused == f"it is refused: {why}"
    carried = only(can(site(own), Question("default/reader", "web", port=5432)))
    assert (carried.allowed, carried.lost, carried.source.peer) == (True, why, "")
    assert only(can(site(own, STRICT), Question("default/reader", "web", port=5432))).refused


def test_the_rule_of_the_callers_namespace_counts_first() -> None:
    """Then that of the service's; one for some workloads is for callers whose labels are known to fit, and a port's own
    settings replace those of the host.
    """
    own = rule("DISABLE", namespace="team")
    theirs = rule("ISTIO_MUTUAL", name="theirs")
    assert asked(own, theirs, source="team/reader").lost == "DestinationRule team/how says DISABLE"
    assert asked(own, theirs).lost == ""
    hidden = rule("DISABLE", namespace="team", exportTo=["other"])
    assert asked(hidden, theirs, source="team/reader").lost == ""
    some = rule("DISABLE", name="some", workloadSelector={"matchLabels": {"app": "client"}})
    assert asked(theirs, some, source="client").lost == "DestinationRule default/some says DISABLE"
    assert asked(theirs, some).lost == ""
    wild = yaml.safe_load(rule("DISABLE", name="wild"))
    wild["spec"]["host"] = "*.default.svc.cluster.local"
    assert asked(yaml.safe_dump(wild)).lost == "DestinationRule default/wild says DISABLE"
    assert asked(theirs, yaml.safe_dump(wild)).lost == ""
    ports = {
        "tls": {"mode": "DISABLE"},
        "portLevelSettings": [{"port": {"number": 80}, "tls": {"mode": "ISTIO_MUTUAL"}}],
    }
    assert asked(rule("DISABLE", trafficPolicy=ports)).lost == ""


def test_the_revoked_are_refused_and_so_are_revoked_servers() -> None:
    """Where an identity arrives: in plaintext nobody knows of it."""
    refused = asked(revoked=frozenset({READER}))
    assert refused.refused == "cluster.local/ns/default/sa/reader is revoked"
    server = asked(revoked=frozenset({"spiffe://cluster.local/ns/default/sa/default"}))
    assert server.refused == "its callers refuse it: cluster.local/ns/default/sa/default is revoked"
    assert asked(rule("DISABLE"), revoked=frozenset({READER})).allowed


def test_proxies_that_proved_nothing_speak_and_take_plaintext_alone() -> None:
    """Under STRICT nobody gets in, and mutual TLS finds nobody who could answer."""
    strict = asked(STRICT, unproven=frozenset({"10.0.0.1"}))
    assert (
        strict.refused
        == "mutual TLS is sent, but the proxy at 10.0.0.1 proved no identity and has no certificate"
    )
    plain = asked(STRICT, source="anonymous", unproven=frozenset({"10.0.0.1"}))
    assert plain.refused == (
        "nobody is let in: PeerAuthentication istio-system/default is STRICT, and the proxy at 10.0.0.1 proved no identity"
    )
    caller = asked(source="client", unproven=frozenset({"10.0.0.2"}))
    assert (caller.allowed, caller.lost) == (True, "its own proxy proved no identity")
    stuck = asked(rule("ISTIO_MUTUAL"), source="client", unproven=frozenset({"10.0.0.2"}))
    assert stuck.refused.startswith("nothing is sent: its own proxy proved no identity")


def test_strangers_are_let_in_where_somebody_vouches_for_their_domain() -> None:
    """An authority that the MeshConfig names, a bundle that came otherwise, or an alias."""
    stranger = "spiffe://their.example/ns/default/sa/reader"
    assert asked(source=stranger).refused == "nobody here vouches for the trust domain their.example"
    assert asked(source=stranger, let_in=("their.example",)).source.peer == stranger
    alias = asked(mesh(trustDomainAliases=["their.example"]), source=stranger)
    assert alias.source.peer == stranger
    disabled = peers("default", {"mtls": {"mode": "DISABLE"}})
    assert asked(disabled, source=stranger, let_in=("their.example",)).source.peer == ""


def test_the_matrix_judges_who_arrives() -> None:
    """A cell is DENY where a caller is refused whatever it asks for."""
    documents = (
        NO_READER,
        entry("reader", endpoints=fronted("10.0.0.9", serviceAccount="reader")),
        entry("old"),
    )

    def cells(**known: Any) -> dict[tuple[str, str], Outlook]:
        return {
            (each.source.partition(".")[0], each.target.partition(".")[0]): each.outlook
            for each in matrix(site(*documents, seen=Seen(**known)))
            if each.port == 80
        }

    assert cells()["reader", "web"] is Outlook.DENY
    assert cells()["reader", "old"] is Outlook.ALLOW
    assert cells(unproven=frozenset({"10.0.0.9"}))["reader", "web"] is Outlook.ALLOW
    assert cells()["client", "web"] is Outlook.ALLOW
    revoked = frozenset({"spiffe://cluster.local/ns/default/sa/default"})
    assert cells(revoked=revoked)["client", "web"] is Outlook.DENY
