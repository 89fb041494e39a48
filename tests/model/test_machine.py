"""What of an object a proxy's machine decides, and how a proxy's words lead to it."""

from typing import Any

import pytest

from xdsd.model.intent import DestinationRule, Gateway, MeshConfig, Sidecar, VirtualService
from xdsd.model.machine import names_file, needs

SYSTEM = "/etc/ssl/certs/ca-certificates.crt"


def paths(spec: Any, words: str) -> list[str]:
    return [each.path for each in needs(spec, words, SYSTEM)]


def rule(**policy: Any) -> DestinationRule:
    return DestinationRule.model_validate({"host": "a", "trafficPolicy": policy})


MUTUAL = {
    "mode": "MUTUAL",
    "clientCertificate": "/c.pem",
    "privateKey": "/k.pem",
    "caCertificates": "/ca.pem",
    "caCrl": "/crl.pem",
}


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ("Failed to load incomplete certificate from /c.pem: certificate chain not set", "clientCertificate"),
        ("Failed to load private key from /k.pem, Cause: error:0900006e:PEM", "privateKey"),
        ("Failed to load trusted CA certificates from /ca.pem", "caCertificates"),
        ("Invalid path: /crl.pem", "caCrl"),
        ("file /ca.pem is empty", "caCertificates"),
    ],
)
def test_files_of_clients(words: str, field: str) -> None:
    """Each file of a DestinationRule's TLS is known in all the words that Envoy has for it."""
    assert paths(rule(tls=MUTUAL), words) == [f"spec.trafficPolicy.tls.{field}"]


def test_every_place_of_a_file_is_found() -> None:
    """A file that several parts of an object name is missing for all of them."""
    tls = {"mode": "SIMPLE", "caCertificates": "/ca.pem"}
    policy = {"tls": tls, "portLevelSettings": [{"port": {"number": 1}, "tls": tls}]}
    spec = DestinationRule.model_validate(
        {"host": "a", "trafficPolicy": policy, "subsets": [{"name": "v", "trafficPolicy": {"tls": tls}}]}
    )
    assert paths(spec, "Invalid path: /ca.pem") == [
        "spec.trafficPolicy.tls.caCertificates",
        "spec.trafficPolicy.portLevelSettings[0].tls.caCertificates",
        "spec.subsets[0].trafficPolicy.tls.caCertificates",
    ]


def test_who_trusts_the_system_needs_its_file() -> None:
    """Where no authorities are named, those of the system vouch, which a machine may not have."""
    words = f"Invalid path: {SYSTEM}"
    assert paths(rule(tls={"mode": "SIMPLE"}), words) == ["spec.trafficPolicy.tls.caCertificates"]
    assert paths(rule(tls={"mode": "SIMPLE", "insecureSkipVerify": True}), words) == []
    assert paths(rule(tls={"mode": "DISABLE"}), words) == []


def gateway(*servers: dict[str, Any]) -> Gateway:
    named = (
        {"port": {"number": 443 + at, "name": f"p{at}", "protocol": "HTTPS"}, "hosts": ["*"], **each}
        for at, each in enumerate(servers)
    )
    return Gateway.model_validate({"selector": {}, "servers": list(named)})


def test_files_of_servers() -> None:
    """A Gateway's and a Sidecar's files are known, those of several certificates by their place."""
    one = {"mode": "SIMPLE", "serverCertificate": "/s.pem", "privateKey": "/k.pem"}
    pairs = [
        {"serverCertificate": "/a.pem", "privateKey": "/b.pem"},
        {"serverCertificate": "/s.pem", "privateKey": "/d.pem"},
    ]
    two = {"mode": "SIMPLE", "tlsCertificates": pairs}
    assert paths(gateway({"tls": one}, {"tls": two}), "certificate chain from /s.pem") == [
        "spec.servers[0].tls.serverCertificate",
        "spec.servers[1].tls.tlsCertificates[1].serverCertificate",
    ]
    ingress = {"port": {"number": 1, "name": "p", "protocol": "HTTPS"}, "tls": one}
    spec = Sidecar.model_validate({"ingress": [ingress], "egress": [{"hosts": ["*/*"]}]})
    assert paths(spec, "private key from path: /k.pem") == ["spec.ingress[0].tls.privateKey"]


@pytest.mark.parametrize(
    ("bind", "words", "field"),
    [
        ("9.9.9.9", "cannot bind '9.9.9.9:80': Cannot assign requested address", "bind"),
        ("9.9.9.9", "cannot bind '9.9.9.9:80': Address already in use", "port.number"),
        ("9.9.9.9", "cannot bind '9.9.9.9:8080': Address already in use", None),
        ("9.9.9.9", "cannot bind '19.9.9.9:80': Address already in use", None),
        ("::0001", "cannot bind '[::1]:80': Cannot assign requested address", "bind"),
        ("", "cannot bind '0.0.0.0:80': Permission denied", "port.number"),
        ("", "cannot bind '[::]:80': Address already in use", "port.number"),
        ("", "cannot bind '10.0.0.1:80': Cannot assign requested address", None),
        ("unix:///run/x/s", "cannot bind '/run/x/s': No such file or directory", "bind"),
    ],
)
def test_places_to_listen(bind: str, words: str, field: str | None) -> None:
    """The address is to blame that a machine does not have, else the port; other places are not."""
    number = 0 if bind.startswith("unix") else 80
    server: dict[str, Any] = {"port": {"number": number, "name": "p", "protocol": "HTTP"}}
    spec = gateway({**server, **({"bind": bind} if bind else {})})
    assert paths(spec, words) == ([f"spec.servers[0].{field}"] if field else [])


def test_the_log_of_the_mesh() -> None:
    """The MeshConfig's file is known."""
    spec = MeshConfig.model_validate({"accessLogFile": "/no/x"})
    assert paths(spec, "unable to open file '/no/x': No such file or directory") == ["spec.accessLogFile"]


def test_other_kinds_need_nothing_of_a_machine() -> None:
    """What looks like a file elsewhere is none."""
    spec = VirtualService.model_validate(
        {
            "hosts": ["a"],
            "http": [{"match": [{"uri": {"exact": "/no/such"}}], "route": [{"destination": {"host": "a"}}]}],
        }
    )
    assert paths(spec, "Invalid path: /no/such") == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("Invalid path: /a/b", True),
        ("'/a/b': no", True),
        ("/a/b, Cause", True),
        ("from /a/b.", True),
        ("/a/b.pem", False),
        ("/a/b/c", False),
        ("/x/a/b", False),
        ("/a/b-c", False),
    ],
)
def test_a_file_is_named_as_a_whole(words: str, named: bool) -> None:
    """A longer path that has it in it is another file."""
    assert names_file(words, "/a/b") is named
