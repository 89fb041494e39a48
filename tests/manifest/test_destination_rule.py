"""DestinationRule: the rules that the published API holds its objects to."""

import pytest

from tests.manifest.support import told

POLICY = "5 spec.trafficPolicy"


def _told(policy: str, more: str = "") -> list[str]:
    """The problems of a DestinationRule whose policy is on line 5 and whose other fields are on line 6."""
    return told(
        "apiVersion: networking.istio.io/v1\n"
        "kind: DestinationRule\n"
        "metadata: {name: x}\n"
        "spec:\n"
        f"  trafficPolicy: {policy}\n"
        f"  {more or 'host: a'}\n"
    )


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (
            "{}",
            (
                " MissingField: is empty; give loadBalancer, connectionPool, outlierDetection, tls, portLevelSettings,"
                " tunnel, proxyProtocol or retryBudget, or leave it out"
            ),
        ),
        ("{connectionPool: {}}", ".connectionPool MissingField: is empty; give tcp or http"),
        (
            "{connectionPool: {tcp: {maxConnections: -1}}}",
            ".connectionPool.tcp.maxConnections OutOfRange: -1 is below 0",
        ),
        (
            "{connectionPool: {tcp: {connectTimeout: 0s}}}",
            ".connectionPool.tcp.connectTimeout OutOfRange: 0s is below 0.001s",
        ),
        (
            "{connectionPool: {tcp: {idleTimeout: -1s}}}",
            ".connectionPool.tcp.idleTimeout OutOfRange: -1s is below 0s",
        ),
        (
            "{connectionPool: {tcp: {tcpKeepalive: {time: 1500ms}}}}",
            ".connectionPool.tcp.tcpKeepalive.time InvalidValue: is not a whole number of seconds",
        ),
        (
            "{connectionPool: {http: {http2KeepAlive: {interval: 1s}}}}",
            (
                ".connectionPool.http.http2KeepAlive.timeout MissingField: "
                "is missing; keepalive needs interval and timeout"
            ),
        ),
        (
            "{connectionPool: {http: {h2UpgradePolicy: UPGRADE, useClientProtocol: true}}}",
            (
                ".connectionPool.http.useClientProtocol InvalidValue: "
                "h2UpgradePolicy UPGRADE is set too, and one excludes the other"
            ),
        ),
        ("{loadBalancer: {}}", ".loadBalancer MissingField: is empty; give simple or consistentHash"),
        (
            "{loadBalancer: {simple: round_robin}}",
            ".loadBalancer.simple InvalidValue: 'round_robin' is no value of this field; did you mean ROUND_ROBIN?",
        ),
        (
            "{loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}}",
            (
                ".loadBalancer.consistentHash InvalidValue: simple is set too; "
                "at most one of simple, consistentHash, backendUtilization may be set"
            ),
        ),
        (
            "{loadBalancer: {consistentHash: {}}}",
            (
                ".loadBalancer.consistentHash MissingField: hashes nothing; "
                "give httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName"
            ),
        ),
        (
            "{loadBalancer: {consistentHash: {useSourceIp: false}}}",
            (
                ".loadBalancer.consistentHash.useSourceIp InvalidValue: "
                "is false, which hashes nothing; leave it out or write true"
            ),
        ),
        (
            "{loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 100}}}}",
            ".loadBalancer.consistentHash.maglev.tableSize InvalidValue: 100 is no prime",
        ),
        (
            "{loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 5000011}}}}",
            ".loadBalancer.consistentHash.maglev.tableSize OutOfRange: 5000011 is not below 5000011",
        ),
        (
            "{loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {}, minimumRingSize: 5}}}",
            (
                ".loadBalancer.consistentHash.minimumRingSize InvalidValue: ringHash is set too; "
                "at most one of ringHash, maglev, minimumRingSize may be set"
            ),
        ),
        (
            "{loadBalancer: {consistentHash: {httpCookie: {name: ''}}}}",
            ".loadBalancer.consistentHash.httpCookie.name OutOfRange: is empty",
        ),
        (
            "{loadBalancer: {consistentHash: {httpCookie: {name: a, attributes: [{name: b}, {name: b}]}}}}",
            ".loadBalancer.consistentHash.httpCookie.attributes[1].name InvalidValue: 'b' is listed twice",
        ),
        (
            "{outlierDetection: {consecutiveLocalOriginFailures: 3}}",
            (
                ".outlierDetection.consecutiveLocalOriginFailures MissingField: "
                "has no effect unless splitExternalLocalOriginErrors is true"
            ),
        ),
        (
            "{outlierDetection: {maxEjectionPercent: 101}}",
            ".outlierDetection.maxEjectionPercent OutOfRange: 101 is above 100",
        ),
        (
            "{outlierDetection: {consecutive5xxErrors: 4294967296}}",
            ".outlierDetection.consecutive5xxErrors OutOfRange: 4294967296 is above 4294967295",
        ),
        (
            "{outlierDetection: {outlierDetectionHttpErrorCodes: [99]}}",
            ".outlierDetection.outlierDetectionHttpErrorCodes[0] OutOfRange: 99 is below 100",
        ),
        (
            "{portLevelSettings: [{loadBalancer: {simple: RANDOM}}]}",
            ".portLevelSettings[0].port MissingField: is missing; say which port the policy is for",
        ),
        (
            "{portLevelSettings: [{port: {number: 80}}]}",
            (
                ".portLevelSettings[0] MissingField: "
                "is empty; give loadBalancer, connectionPool, outlierDetection or tls"
            ),
        ),
    ],
)
def test_policies(policy: str, expected: str) -> None:
    """A policy that cannot be meant is told exactly."""
    assert _told(policy) == [POLICY + expected]


TLS = ".tls"
LOCALITY = ".loadBalancer.localityLbSetting"
ZONES = ".loadBalancer.zoneAwareLbSetting"


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        (
            "{mode: MUTUAL}",
            [
                ".clientCertificate MissingField: is missing; mode MUTUAL needs it",
                ".privateKey MissingField: is missing; mode MUTUAL needs it",
            ],
        ),
        (
            "{mode: SIMPLE, clientCertificate: /a, privateKey: /b}",
            [
                (
                    f".{field} InvalidValue: is shown to nobody in mode SIMPLE; write mode MUTUAL, or take it out"
                )
                for field in ("clientCertificate", "privateKey")
            ],
        ),
        (
            "{sni: a.example.com, mode: DISABLE}",
            [".sni InvalidValue: has no effect without TLS; write mode SIMPLE, MUTUAL or ISTIO_MUTUAL"],
        ),
        (
            "{caCertificates: /a}",
            [
                ".caCertificates InvalidValue: has no effect without TLS; write mode SIMPLE, MUTUAL or ISTIO_MUTUAL"
            ],
        ),
        (
            "{mode: SIMPLE, insecureSkipVerify: true, caCrl: /a}",
            [
                (
                    ".insecureSkipVerify InvalidValue: "
                    "caCertificates, subjectAltNames or caCrl ask to verify what this skips"
                )
            ],
        ),
        (
            "{mode: SIMPLE, subjectAltNames: [a, '']}",
            [".subjectAltNames[1] InvalidValue: is empty; name whom the certificate is for"],
        ),
        ("{mode: ISTIO_MUTUAL, sni: '*'}", []),
        (
            "{mode: SIMPLE, sni: '*'}",
            [
                ".sni InvalidValue: * is for mode ISTIO_MUTUAL; leave it out to ask for the host of the request"
            ],
        ),
        (f"{{mode: SIMPLE, sni: {'a' * 256}}}", [".sni InvalidValue: is longer than 255 bytes"]),
        (
            "{mode: STRICT}",
            [
                (
                    ".mode InvalidValue: 'STRICT' is no value of this field; "
                    "it is one of DISABLE, SIMPLE, MUTUAL, ISTIO_MUTUAL"
                )
            ],
        ),
        (
            "{mode: ISTIO_MUTUAL, caCertificates: /ca.pem}",
            [
                ".caCertificates InvalidValue: ISTIO_MUTUAL shows and believes certificates of the mesh; take it out"
            ],
        ),
        (
            "{mode: MUTUAL, credentialName: a, caCertificates: /ca.pem}",
            [(".caCertificates InvalidValue: credentialName is set too, and it takes the place of files")],
        ),
    ],
)
def test_tls(tls: str, expected: list[str]) -> None:
    """What contradicts its mode, or itself, is told field by field."""
    assert _told(f"{{tls: {tls}}}") == [f"{POLICY}{TLS}{each}" for each in expected]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (
            "{distribute: [{to: {eu: 100}}]}",
            ".distribute[0].from MissingField: is missing; name the sender's locality, or * for any",
        ),
        (
            "{distribute: [{from: eu, to: {eu: 80, us: 30}}]}",
            ".distribute[0].to MissingField: the shares add up to 110, not to 100",
        ),
        (
            "{distribute: [{from: eu, to: {eu: 101}}]}",
            ".distribute[0].to[eu] OutOfRange: 101 is not between 1 and 100",
        ),
        (
            "{distribute: [{from: eu, to: {eu/*: 50, eu/a: 50}}]}",
            ".distribute[0].to[eu/a] InvalidValue: is covered by another locality of the list",
        ),
        (
            "{distribute: [{from: eu, to: {eu/a: 50, '*': 50}}]}",
            ".distribute[0].to[*] InvalidValue: is covered by another locality of the list",
        ),
        (
            "{distribute: [{from: eu/*, to: {eu: 100}}, {from: eu/a, to: {us: 100}}]}",
            ".distribute[1].from InvalidValue: an earlier entry is for senders in 'eu/a' already",
        ),
        (
            "{distribute: [{from: e*, to: {eu: 100}}]}",
            (
                ".distribute[0].from InvalidValue: "
                "'e*': a wildcard may only be the end of a locality, and stands alone: eu/*"
            ),
        ),
        (
            "{distribute: [{from: eu, to: {eu: 100}}], failoverPriority: [a]}",
            ".failoverPriority[0] InvalidValue: distribute is set too, and leaves nothing to order",
        ),
        (
            "{failover: [{from: eu, to: eu}]}",
            ".failover[0].to InvalidValue: is the region itself; name another",
        ),
        (
            "{failover: [{from: eu, to: us}, {from: eu, to: asia}]}",
            ".failover[1].from InvalidValue: an earlier entry is for 'eu' already",
        ),
        (
            "{failoverPriority: ['a b']}",
            (
                ".failoverPriority[0] InvalidValue: "
                "'a b' is no label key: write [PREFIX/]NAME of letters, digits, - _ and ."
            ),
        ),
        (
            "{failoverPriority: [a=1, a]}",
            ".failoverPriority[1] InvalidValue: 'a' is compared already",
        ),
        (
            "{failoverPriority: ['a=*']}",
            (
                ".failoverPriority[0] InvalidValue: '*' is no label value: write letters, digits, - _ and ., "
                "63 at most; a selector knows no wildcard"
            ),
        ),
    ],
)
def test_localities(setting: str, expected: str) -> None:
    """What localities prefer is held to the published rules."""
    assert _told(f"{{loadBalancer: {{localityLbSetting: {setting}}}}}") == [POLICY + LOCALITY + expected]


def test_the_last_sender_may_be_anybody() -> None:
    """The first entry that is for a sender counts, so one for all others may follow."""
    entries = "[{from: eu, to: {eu: 100}}, {from: '*', to: {us: 100}}]"
    assert _told(f"{{loadBalancer: {{localityLbSetting: {{distribute: {entries}}}}}}}") == []


@pytest.mark.parametrize(
    ("balancer", "expected"),
    [
        (
            "{zoneAwareLbSetting: {failoverPriority: [topology.kubernetes.io/zone]}}",
            (
                f"{ZONES}.failoverPriority[0] InvalidValue: "
                "topology.kubernetes.io/zone is what zone awareness decides itself"
            ),
        ),
        (
            "{zoneAwareLbSetting: {minClusterSize: 0}}",
            f"{ZONES}.minClusterSize OutOfRange: 0 is below 1",
        ),
        (
            "{zoneAwareLbSetting: {}, localityLbSetting: {}}",
            (
                f"{ZONES} InvalidValue: localityLbSetting is set too; "
                "at most one of localityLbSetting, zoneAwareLbSetting may be set"
            ),
        ),
        (
            "{backendUtilization: {}, zoneAwareLbSetting: {}}",
            (
                f"{ZONES} NotSupported: is no choice beside backendUtilization: "
                "Envoy weighs zones or endpoints by it, not both"
            ),
        ),
    ],
)
def test_zones(balancer: str, expected: str) -> None:
    """Zone awareness excludes what decides the same."""
    assert _told(f"{{loadBalancer: {balancer}}}") == [POLICY + expected]


@pytest.mark.parametrize(
    "policy",
    [
        "{outlierDetection: {}}",
        "{outlierDetection: {consecutive5xxErrors: null, consecutiveGatewayErrors: 0}}",
        "{connectionPool: {tcp: {idleTimeout: 0s}}}",
        "{connectionPool: {http: {}}}",
        "{loadBalancer: {simple: UNSPECIFIED}}",
        "{loadBalancer: {consistentHash: {httpHeaderName: ':path', maglev: {tableSize: 4999999}}}}",
    ],
)
def test_policies_that_hold(policy: str) -> None:
    """Zeros, nulls where they are published, and empty messages that mean their defaults are taken."""
    assert _told(policy) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("subsets: []", ["4 spec.host MissingField: is missing"]),
        (
            "{host: a, subsets: [{name: v1}, {name: v1}]}",
            ["5 spec.subsets[1].name InvalidValue: 'v1' is the name of an earlier subset"],
        ),
        (
            "{host: a, subsets: [{name: ''}]}",
            [
                (
                    "5 spec.subsets[0].name InvalidValue: '' is no subset name: "
                    "write letters, digits and inner hyphens, 63 at most"
                )
            ],
        ),
        (
            "{host: a, exportTo: ['*', b]}",
            ["5 spec.exportTo[0] InvalidValue: '*' means everyone, so it stands alone"],
        ),
        ("{host: a, exportTo: [b, b]}", ["5 spec.exportTo[1] InvalidValue: 'b' is listed twice"]),
        (
            "{host: a, exportTo: ['~']}",
            [
                "5 spec.exportTo[0] InvalidValue: '~' (no one) is for ServiceEntry only; write . or a namespace"
            ],
        ),
        (
            "{host: a, exportTo: [., default]}",
            ["5 spec.exportTo[1] InvalidValue: 'default' and '.' are the same namespace; write one of them"],
        ),
        (
            "{host: a, workloadSelector: {matchLabels: {app: b}}, exportTo: [other]}",
            [
                (
                    "5 spec.exportTo[0] InvalidValue: 'other' is not this namespace, "
                    "and a rule with workloadSelector stays in its own"
                )
            ],
        ),
        ("{host: a, workloadSelector: {matchLabels: {app: b}}, exportTo: [.]}", []),
        ("{host: '*.example.com'}", []),
        (
            "{host: 10.0.0.1}",
            ["5 spec.host InvalidValue: '10.0.0.1' is no host name: its last part, 1, is a number"],
        ),
    ],
)
def test_rules(fields: str, expected: list[str]) -> None:
    """Subsets, hosts and visibility are held to the published rules."""
    head = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: x}\n"
    assert told(f"{head}spec:\n  {fields}\n") == expected
