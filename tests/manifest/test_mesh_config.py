"""MeshConfig and ProxyConfig: the rules that an object must hold, each told where it is broken."""

import pytest

from tests.manifest.support import told


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
