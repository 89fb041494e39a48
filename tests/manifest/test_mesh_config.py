"""MeshConfig and ProxyConfig: the rules that an object must hold, each told where it is broken."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.ca.making import issued, of_no_known_curve, of_no_known_version
from tests.manifest.support import told
from xdsd.ca.issuer import bundle, make_root
from xdsd.ca.keys import new_key, private_pem
from xdsd.manifest import parse_manifest


def _mesh(spec: str) -> list[str]:
    """The problems of a MeshConfig whose spec is on line 5."""
    return told(
        "apiVersion: mesh.xdsd.io/v1\nkind: MeshConfig\nmetadata: {name: default, namespace: istio-system}\n"
        f"spec:\n  {{{spec}}}\n"
    )


def _proxy(spec: str) -> list[str]:
    """The problems of a ProxyConfig whose spec is on line 5."""
    return told(
        f"apiVersion: networking.istio.io/v1beta1\nkind: ProxyConfig\nmetadata: {{name: x}}\nspec:\n  {{{spec}}}\n"
    )


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "accessLogFile: ''",
        "accessLogFile: /dev/stdout, accessLogFormat: '%REQ(:PATH)% %RESPONSE_CODE%'",
        'accessLogEncoding: JSON, accessLogFormat: \'{"a": {"b": ["%PROTOCOL%", 1, true]}}\'',
        "defaultHttpRetryPolicy: {attempts: 0}",
        "localityLbSetting: {enabled: false}",
        "zoneAwareLbSetting: {minClusterSize: 3}, localityLbSetting: {enabled: true}",
        "defaultServiceExportTo: ['~'], defaultVirtualServiceExportTo: ['.', a]",
        "outboundTrafficPolicy: {mode: REGISTRY_ONLY}, pathNormalization: {normalization: NONE}",
    ],
)
def test_what_is_right_is_taken(spec: str) -> None:
    """Each of these is a valid object."""
    assert _mesh(spec) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            "outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS}",
            "5 spec.outboundTrafficPolicy.mode NotSupported: ALLOW_ANY_DYNAMIC_DNS is not supported yet: proxies",
        ),
        (
            "rootNamespace: istio-system",
            "5 spec.rootNamespace NotSupported: not supported yet: it is the daemon's setting root-namespace",
        ),
        (
            "configSources: [{address: 'a:1', subscribedResources: [SERVICE_REGISTRY]}]",
            "5 spec.configSources[0] NotSupported: not supported yet: objects are in the daemon's store",
        ),
        (
            "networks: {east: {gateways: [{address: door.example.com, port: 15443}]}}",
            "5 spec.networks[east].gateways[0].address InvalidValue: 'door.example.com' is no IP address",
        ),
        (
            "networks: {east: {gateways: [{port: 15443}]}}",
            "5 spec.networks[east].gateways[0].address MissingField: is missing; give it, or registryServiceName",
        ),
        (
            "networks: {east: {endpoints: [{fromCidr: 10.1.0.0/16}]}}",
            "5 spec.networks[east].gateways MissingField: is missing; give at least one gateway",
        ),
        (
            "networks: {a: {endpoints: [{fromCidr: 10.0.0.1/8}], gateways: [{address: 10.0.0.1, port: 1}]}}",
            "5 spec.networks[a].endpoints[0].fromCidr InvalidValue: '10.0.0.1/8' is no range of addresses",
        ),
        (
            "networks: {a: {endpoints: [{fromRegistry: k}], gateways: [{address: 10.0.0.1, port: 1}]}}",
            "5 spec.networks[a].endpoints[0].fromRegistry NotSupported: not supported yet: registries say",
        ),
        (
            "trustDomainAliases: [old.example.com, '*']",
            "5 spec.trustDomainAliases[1] InvalidValue: '*' is no name of a trust domain",
        ),
        (
            "meshMTLS: {minProtocolVersion: TLSV1_3}",
            "5 spec.meshMTLS NotSupported: not supported yet: versions",
        ),
        (
            "connectTimeOut: 5s",
            "5 spec.connectTimeOut UnknownField: unknown field; did you mean connectTimeout",
        ),
        (
            "defaultInboundHttpRetryPolicy: {attempts: 1, perTryTimeout: 1s}",
            "5 spec.defaultInboundHttpRetryPolicy.perTryTimeout NotSupported: not supported yet: a sidecar has one",
        ),
        (
            "defaultInboundHttpRetryPolicy: {attempts: 0, retryOn: reset}",
            "5 spec.defaultInboundHttpRetryPolicy.attempts MissingField: is 0, which switches retries off",
        ),
        ("dnsRefreshRate: 1ms", "5 spec.dnsRefreshRate OutOfRange: 0.001s is not above 0.001s"),
        ("connectTimeout: 0s", "5 spec.connectTimeout OutOfRange: 0s is below 0.001s"),
        ("accessLogFile: stdout", "5 spec.accessLogFile InvalidValue: 'stdout' is no path of a file"),
        (
            "accessLogFormat: '%NOPE%'",
            "5 spec.accessLogFormat InvalidValue: '%NOPE%' holds %NOPE%, which is no",
        ),
        (
            "accessLogFormat: '%PROTOCOL%', accessLogEncoding: JSON",
            "5 spec.accessLogFormat InvalidValue: is no JSON, as accessLogEncoding wants: Expecting value",
        ),
        (
            "accessLogFormat: '[1]', accessLogEncoding: JSON",
            "5 spec.accessLogFormat InvalidValue: is no map of JSON's",
        ),
        (
            'accessLogFormat: \'{"a": ["%PROTOCOL(1)%"]}\', accessLogEncoding: JSON',
            "5 spec.accessLogFormat InvalidValue: '%PROTOCOL(1)%' gives PROTOCOL an argument",
        ),
        (
            'accessLogFormat: \'{"a": ' + "[" * 900 + "]" * 900 + "}', accessLogEncoding: JSON",
            "5 spec.accessLogFormat InvalidValue: is nested more than 16 deep",
        ),
        (
            'accessLogFormat: \'{"a": 1' + "0" * 400 + "}', accessLogEncoding: JSON",
            "5 spec.accessLogFormat InvalidValue: holds a number of more than 300 digits",
        ),
        (
            """accessLogFormat: '{"a": "\\ud800"}', accessLogEncoding: JSON""",
            "5 spec.accessLogFormat InvalidValue: '\\ud800' holds half a character",
        ),
        (
            """accessLogFormat: '{"\\udc00": "a"}', accessLogEncoding: JSON""",
            "5 spec.accessLogFormat InvalidValue: '\\udc00' holds half a character",
        ),
        (
            "defaultServiceExportTo: ['*', a]",
            "5 spec.defaultServiceExportTo[0] InvalidValue: '*' means everyone, so it stands alone",
        ),
        (
            "defaultHttpRetryPolicy: {attempts: 0, retryOn: '503'}",
            "5 spec.defaultHttpRetryPolicy.attempts MissingField: is 0, which switches retries off",
        ),
        (
            "localityLbSetting: {distribute: [{from: eu, to: {us: 50}}]}",
            "5 spec.localityLbSetting.distribute[0].to MissingField: the shares add up to 50, not to 100",
        ),
        (
            "defaultTrafficPolicy: {}",
            "5 spec.defaultTrafficPolicy MissingField: is empty; give connectionPool",
        ),
        (
            "defaultConfig: {discoveryAddress: 'a:1'}",
            "5 spec.defaultConfig.discoveryAddress NotSupported: not supported yet: it is a proxy's own; write",
        ),
        (
            "defaultConfig: {runtimeValues: {'a b': '1'}}",
            "5 spec.defaultConfig.runtimeValues[a b] InvalidValue: 'a b' is no key of Envoy's runtime",
        ),
        ("defaultConfig: {concurrency: -1}", "5 spec.defaultConfig.concurrency OutOfRange: -1 is below 0"),
    ],
)
def test_what_is_wrong_in_a_mesh_is_told(spec: str, expected: str) -> None:
    """Each mistake has its path, its reason and a sentence."""
    found = _mesh(spec)
    assert len(found) == 1
    assert found[0].startswith(expected)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("selector: {matchLabels: {a: b}}", "4 spec MissingField: is empty; give concurrency or"),
        ("concurrency: -1", "5 spec.concurrency OutOfRange: -1 is below 0"),
        ("concurrency: '2'", "5 spec.concurrency WrongType: '2' is"),
        (
            "image: {imageType: debug}",
            "5 spec.image.imageType NotSupported: not supported yet: no containers",
        ),
        (
            "environmentVariables: {1A: x}",
            "5 spec.environmentVariables[1A] InvalidValue: '1A' is no variable's name",
        ),
        (
            'environmentVariables: {A: "x\\ny"}',
            "5 spec.environmentVariables[A] InvalidValue: 'x\\ny' holds a line break",
        ),
    ],
)
def test_what_is_wrong_with_a_proxy_is_told(spec: str, expected: str) -> None:
    """Each mistake has its path, its reason and a sentence."""
    found = _proxy(spec)
    assert len(found) == 1
    assert found[0].startswith(expected)


PEM = make_root(new_key(), "their.example", timedelta(days=9), datetime(2026, 1, 1, tzinfo=UTC), 1)


CERTIFICATES = bundle(PEM.chain).decode()
KEYS = (
    private_pem(PEM.key).decode(),
    "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n",
    "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nAAAA\n",
    "-----begin private key-----\nAAAA\n",
)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("pem", ["{key}{certificates}", "{certificates}{key}", "{key}"])
def test_a_private_key_among_authorities_is_refused_and_not_repeated(key: str, pem: str) -> None:
    """Whatever its form and place."""
    text = pem.format(key=key, certificates=CERTIFICATES)
    (found,) = _mesh(f"caCertificates: [{json.dumps({'pem': text})}]")
    assert "spec.caCertificates[0].pem InvalidValue: holds a private key; take it out" in found
    assert not any(line in found for line in key.split("\n")[1:-1])


def test_authorities_stand_alone_but_for_remarks() -> None:
    """What else has a form of its own is refused; the remarks that tools write between certificates are not."""
    (found,) = _mesh(f"caCertificates: [{json.dumps({'pem': CERTIFICATES + '-----BEGIN X509 CRL-----'})}]")
    assert "holds something else than certificates; take it out" in found
    text = f"subject=/O=their.example\nBEGIN of it\n{CERTIFICATES}\n# the end -----\n"
    assert _mesh(f"caCertificates: [{json.dumps({'pem': text})}]") == []


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"pem": bundle(PEM.chain).decode(), "trustDomains": ["their.example"]}, ""),
        ({"spiffeBundleUrl": "https://their.example:8443/bundle"}, ""),
        ({"trustDomains": ["their.example"]}, "[0].pem: is missing; write it, or spiffeBundleUrl"),
        ({"pem": "x"}, "[0].pem: holds no certificates in PEM that can be read; write certificates of"),
        ({"pem": "x" * 300_000}, "[0].pem: is longer than 262144 characters"),
        ({"pem": bundle(PEM.chain).decode() * 101}, "[0].pem: holds 101 certificates; at most 100"),
        ({"pem": of_no_known_curve(PEM.certificate).decode()}, "[0].pem: holds no certificates in PEM that"),
        ({"pem": of_no_known_version(PEM.certificate).decode()}, "[0].pem: holds no certificates in PEM"),
        (
            {"pem": issued(PEM, now=datetime(2026, 1, 2, tzinfo=UTC)).chain.decode()},
            "[0].pem: holds a certificate that is no authority's",
        ),
        (
            {"spiffeBundleUrl": "http://their.example/b"},
            "[0].spiffeBundleUrl: is no address of a SPIFFE bundle",
        ),
        ({"spiffeBundleUrl": "https://u:p@their.example/b"}, "[0].spiffeBundleUrl: is no address"),
        ({"spiffeBundleUrl": "https://[/"}, "[0].spiffeBundleUrl: is no address"),
        ({"spiffeBundleUrl": "https://a/b", "trustDomains": ["Their"]}, "[0].trustDomains[0]"),
        ({"spiffeBundleUrl": "https://a/b", "certSigners": ["x"]}, "[0].certSigners[0]: not supported yet"),
        ({"spiffeBundleUrl": "https://a/b", "pem": bundle(PEM.chain).decode()}, "[0]"),
    ],
)
def test_authorities_are_certificates_or_an_address(entry: dict[str, object], expected: str) -> None:
    """An entry of caCertificates says which, and whose they are."""
    text = json.dumps(
        {
            "apiVersion": "mesh.xdsd.io/v1",
            "kind": "MeshConfig",
            "metadata": {"name": "default", "namespace": "istio-system"},
            "spec": {"caCertificates": [entry]},
        }
    )
    found = [str(each) for each in parse_manifest(text.encode(), "m.yaml").problems]
    assert bool(found) == bool(expected), found
    assert all(f"spec.caCertificates{expected}" in each for each in found), found
