"""Servers of gateways that cannot be open are closed alone, whatever is served beside them."""

from dataclasses import replace
from typing import Any

import pytest

from tests.compile.worlds import Sandbox, router, service, virtual_service
from xdsd.compile.layers.patched import Refused
from xdsd.model.catalog import Endpoint
from xdsd.model.credential import CredentialName, CredentialParts
from xdsd.model.identity import SpiffeID
from xdsd.model.intent import Gateway, Metadata, Object
from xdsd.model.problem import Problem, Reason
from xdsd.snapshot import LISTENER

PORT = "0.0.0.0_8443"
WORDS = "Failed to load certificate chain from /no/shop.pem"


def tls(name: str, **more: Any) -> dict[str, Any]:
    return {"mode": "SIMPLE", "serverCertificate": f"/no/{name}.pem", "privateKey": f"/no/{name}.key", **more}


def secure(name: str, host: str, **more: Any) -> dict[str, Any]:
    return {
        "port": {"number": 8443, "name": name, "protocol": "HTTPS"},
        "hosts": [host],
        "tls": tls(name, **more),
    }


def edge(*servers: dict[str, Any]) -> Object[Any]:
    spec = Gateway.model_validate({"selector": {"istio": "ingressgateway"}, "servers": list(servers)})
    return Object("networking.istio.io/v1", "Gateway", Metadata("default", "edge"), spec)


class Edge(Sandbox):
    """A gateway of two hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.put_service(service("reviews"), Endpoint("10.1.0.1"))
        self.put_object(virtual_service("v", "*", to="reviews", gateways=("edge",)))
        self.put_object(edge(secure("shop", "shop.example.com"), secure("wide", "*.example.com")))
        self.node = self.attach(router())
        self.settle()

    def refuses(self, words: str) -> None:
        version = self.versions(self.node)[LISTENER, PORT]
        self.compiler.refuse(self.node, Refused(LISTENER, PORT, version), words)
        self.settle()
        assert self.compiler.faults() == []

    def chains(self) -> dict[str, bool]:
        """The first server name of each chain, and whether it lets anybody in."""
        listener = self.message(self.node, LISTENER, PORT)
        return {
            each.filter_chain_match.server_names[0]: bool(each.filters) for each in listener.filter_chains
        }

    def told(self) -> list[Problem]:
        return [each for each in self.compiler.problems() if each.reason is Reason.REJECTED_BY_PROXY]


@pytest.fixture
def gate() -> Edge:
    return Edge()


def test_a_file_that_cannot_be_used_closes_its_server_alone(gate: Edge) -> None:
    """The others are served; who asks for its name is turned away rather than led to the server of wider hosts."""
    gate.refuses(WORDS)
    assert gate.chains() == {"shop.example.com": False, "*.example.com": True}


def test_the_owner_is_told_which_field_and_why(gate: Edge) -> None:
    """Once, with the words of the proxy."""
    gate.refuses(f"Error adding/updating listener(s) {PORT}: {WORDS}")
    (problem,) = gate.told()
    assert str(problem) == (
        "Gateway default/edge spec.servers[0].tls.serverCertificate: edge.default says: Failed to load certificate chain"
        " from /no/shop.pem; so this server is closed there"
    )


def test_files_are_lost_one_after_the_other(gate: Edge) -> None:
    """Envoy names the first that it stumbles over. Where none is left that lets anybody in, there is no listener."""
    gate.refuses(WORDS)
    gate.refuses("unable to read file: /no/wide.key")
    assert PORT not in gate.names(gate.node, LISTENER)
    assert [each.path for each in gate.told()] == [
        "spec.servers[0].tls.serverCertificate",
        "spec.servers[1].tls.privateKey",
    ]


def test_a_key_that_does_not_fit_closes_the_first_that_needs_it(gate: Edge) -> None:
    """It may fit the certificate of another; a file that is not there is lost to both."""
    both = {"privateKey": "/no/both.key"}
    gate.put_object(edge(secure("shop", "shop.example.com", **both), secure("wide", "*.example.com", **both)))
    gate.settle()
    gate.refuses(
        "Failed to load private key from /no/both.key, Cause: error:0b000074:X:Y:KEY_VALUES_MISMATCH"
    )
    assert gate.chains() == {"shop.example.com": False, "*.example.com": True}
    gate.refuses("unable to read file: /no/both.key")
    assert PORT not in gate.names(gate.node, LISTENER)


@pytest.mark.parametrize("mended", [{"serverCertificate": "/no/new.pem"}, {"minProtocolVersion": "TLSV1_3"}])
def test_other_tls_is_tried_again(gate: Edge, mended: dict[str, str]) -> None:
    """Whatever of it is another; and nothing is wrong until a proxy refuses it."""
    gate.refuses(WORDS)
    gate.put_object(edge(secure("shop", "shop.example.com", **mended), secure("wide", "*.example.com")))
    gate.settle()
    assert gate.chains() == {"shop.example.com": True, "*.example.com": True}
    assert gate.told() == []


def test_a_change_elsewhere_leaves_it_closed(gate: Edge) -> None:
    """What was refused is not offered again with every edit of what is beside it."""
    gate.refuses(WORDS)
    gate.put_object(
        edge(
            secure("shop", "shop.example.com"),
            secure("wide", "*.example.com"),
            secure("new", "new.example.org"),
        )
    )
    gate.settle()
    assert gate.chains() == {"shop.example.com": False, "*.example.com": True, "new.example.org": True}
    assert len(gate.told()) == 1


def test_a_gateway_that_connects_anew_is_offered_it_again(gate: Edge) -> None:
    """The file may be there by now."""
    before = dict(gate.snapshot.assigned)
    gate.refuses(WORDS)
    assert gate.snapshot.assigned != before
    gate.compiler.forgive(gate.node)
    gate.settle()
    assert gate.snapshot.assigned == before
    assert gate.told() == []


def test_a_refusal_for_another_reason_closes_nothing(gate: Edge) -> None:
    """Words that name no file of the listener, or one whose name begins alike."""
    before = dict(gate.snapshot.assigned)
    gate.refuses("Failed to load certificate chain from /no/shop.pem.old")
    gate.refuses("cannot bind '0.0.0.0:8443'")
    assert gate.snapshot.assigned == before


@pytest.mark.parametrize(
    ("names", "host", "told"),
    [
        (("shop.example.com",), "shop.example.com", False),
        (("*.example.com",), "shop.example.com", False),
        (("*.example.com",), "*.example.com", False),
        (("*.example.com",), "a.shop.example.com", True),
        (("shop.example.com",), "*.example.com", True),
        (("staff.example.com",), "shop.example.com", True),
        ((), "shop.example.com", False),
    ],
)
def test_a_certificate_for_other_hosts_is_told(
    gate: Edge, names: tuple[str, ...], host: str, told: bool
) -> None:
    """The server is open all the same, as its owner said; what a certificate is for may not be known."""
    proven = replace(router(), identity=SpiffeID("cluster.local", "default", "edge"))
    gate.compiler.set_credentials({CredentialName("default", "shop"): CredentialParts(own=True, names=names)})
    server = {**secure("shop", host), "tls": {"mode": "SIMPLE", "credentialName": "shop"}}
    gate.put_object(edge(server))
    gate.attach(proven)
    gate.settle()
    assert gate.chains() == {host: True}
    found = [each for each in gate.compiler.problems() if each.reason is Reason.INVALID_VALUE]
    assert [each.path for each in found] == ["spec.servers[0].tls.credentialName"] * told


def test_a_missing_credential_closes_its_server_alone(gate: Edge) -> None:
    """Its names lead nowhere, also where a server of wider hosts is open that asks callers for nothing."""
    hidden = {
        **secure("shop", "shop.example.com"),
        "tls": {"mode": "MUTUAL", "credentialName": "shop"},
    }
    gate.put_object(edge(hidden, secure("wide", "*.example.com")))
    gate.settle()
    assert gate.chains() == {"*.example.com": True, "shop.example.com": False}
    (problem,) = [each for each in gate.compiler.problems() if each.reason is Reason.BROKEN_REFERENCE]
    assert problem.path == "spec.servers[0].tls"
    assert problem.message.startswith("stays closed: ")
