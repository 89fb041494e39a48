"""Gateway, Sidecar, ServiceEntry and WorkloadEntry: the rules that the published API holds their objects to."""

import pytest

from tests.manifest.support import told
from xdsd.model.intent.base import shown


def _told(kind: str, spec: str, name: str = "x") -> list[str]:
    """The problems of an object whose spec is on line 5."""
    return told(
        f"apiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n  {spec}\n"
    )


SERVER = "port: {number: 80, name: http, protocol: HTTP}"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("selector: {app: a}", ["4 spec.servers MissingField: is missing; give at least one server"]),
        (
            f"servers: [{{{SERVER}, hosts: []}}]",
            ["5 spec.servers[0].hosts MissingField: is empty; give at least one host, or '*'"],
        ),
        (f"servers: [{{{SERVER}}}]", ["5 spec.servers[0].hosts MissingField: is missing"]),
        ("servers: [{hosts: ['*']}]", ["5 spec.servers[0].port MissingField: is missing"]),
        (
            f"servers: [{{{SERVER}, hosts: [short]}}]",
            ["5 spec.servers[0].hosts[0] InvalidValue: 'short' is a short name; write the full host name"],
        ),
        (
            f"servers: [{{{SERVER}, hosts: ['*a.com']}}]",
            ["5 spec.servers[0].hosts[0] InvalidValue: '*a.com' is a partial wildcard; write *.DOMAIN"],
        ),
        (
            f"servers: [{{{SERVER}, hosts: [a.b/c.com]}}]",
            [
                (
                    "5 spec.servers[0].hosts[0] InvalidValue: 'a.b/c.com': 'a.b' is no namespace; "
                    "write NAMESPACE/HOST, ./HOST or */HOST"
                )
            ],
        ),
        (f"servers: [{{{SERVER}, hosts: ['./*', '*/a.com', ns/*.a.com, 10.0.0.1]}}]", []),
        (
            "servers: [{port: {number: 443, name: tls, protocol: HTTPS}, hosts: ['*'], tls: {mode: PASSTHROUGH}}]",
            [],
        ),
        (
            "servers: [{port: {number: 443, name: t, protocol: TLS}, hosts: ['*'], tls: {mode: AUTO_PASSTHROUGH}}]",
            [],
        ),
        (
            "servers: [{port: {number: 443, name: t, protocol: TLS}, hosts: ['*'], tls: {credentialName: a, caCrl: b}}]",
            [
                (
                    f"5 spec.servers[0].tls.{field} InvalidValue: "
                    "has no effect where TLS is passed through; write mode SIMPLE or MUTUAL"
                )
                for field in ("credentialName", "caCrl")
            ],
        ),
        (
            (
                "servers: [{port: {number: 443, name: t, protocol: TLS}, hosts: ['*'], "
                "tls: {mode: SIMPLE, credentialName: a, privateKey: b, subjectAltNames: [c]}}]"
            ),
            [
                (
                    "5 spec.servers[0].tls.subjectAltNames InvalidValue: "
                    "has no effect in mode SIMPLE, which asks clients for no certificate"
                ),
                (
                    "5 spec.servers[0].tls.privateKey InvalidValue: "
                    "a credential takes the place of files; name one of both"
                ),
            ],
        ),
        (
            "servers: [{port: {number: 443, name: web, protocol: UDP}, hosts: ['*']}]",
            [
                (
                    "5 spec.servers[0].port.protocol NotSupported: UDP is not supported yet: "
                    "write HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, TCP, MONGO, MYSQL, REDIS"
                ),
            ],
        ),
        (
            "servers: [{port: {number: 80, name: http, protocol: HTTPX}, hosts: ['*']}]",
            [
                (
                    "5 spec.servers[0].port.protocol InvalidValue: 'HTTPX' is no protocol; it is one of "
                    "GRPC, GRPC-WEB, HTTP, HTTP2, HTTPS, MONGO, MYSQL, REDIS, TCP, TLS"
                )
            ],
        ),
        (
            f"servers: [{{{SERVER}, hosts: ['*'], name: a}}, {{{SERVER}, hosts: ['*'], name: a}}]",
            [
                "5 spec.servers[1].port.name InvalidValue: 'http' is the name of an earlier port",
                "5 spec.servers[1].name InvalidValue: 'a' is the name of an earlier server",
            ],
        ),
        (
            f"servers: [{{{SERVER}, hosts: ['*'], bind: localhost}}]",
            ["5 spec.servers[0].bind InvalidValue: 'localhost' is no IP address"],
        ),
        (
            f"servers: [{{{SERVER}, hosts: ['*'], bind: unix:///run/a.sock}}]",
            ["5 spec.servers[0].port.number InvalidValue: bind is a Unix socket, so the port is 0"],
        ),
        ("servers: [{port: {number: 0, name: a, protocol: HTTP}, hosts: ['*'], bind: 'unix://@a'}]", []),
        *(
            (
                f"servers: [{{{SERVER}, hosts: ['*'], defaultEndpoint: '{text}'}}]",
                [f"5 spec.servers[0].defaultEndpoint InvalidValue: '{text}' {fault}"] if fault else [],
            )
            for text, fault in (
                ("127.0.0.1:9081", ""),
                ("[::1]:9081", ""),
                ("unix:///run/a", ""),
                ("unix://@a", ""),
                ("unix://a", "is no absolute path nor abstract socket; write unix:///path or unix://@name"),
                ("127.0.0.1:0", "has no port between 1 and 65535"),
                (
                    "10.0.0.1:80",
                    "is not on the gateway's machine; write 127.0.0.1:PORT, [::1]:PORT or unix:///path",
                ),
            )
        ),
        (
            f"servers: [{{{SERVER}, hosts: ['*'], defaultEndpoint: '[::1]:1', tls: {{httpsRedirect: true}}}}]",
            ["5 spec.servers[0].defaultEndpoint InvalidValue: has no effect where all are sent to HTTPS"],
        ),
        (
            (
                "servers: [{port: {number: 1, name: a, protocol: TLS}, hosts: ['*'], defaultEndpoint: '[::1]:1', "
                "tls: {mode: AUTO_PASSTHROUGH}}]"
            ),
            [
                (
                    "5 spec.servers[0].defaultEndpoint InvalidValue: "
                    "has no effect in mode AUTO_PASSTHROUGH, where names say all"
                )
            ],
        ),
        (
            "servers: [{port: {number: 0, name: a, protocol: HTTP}, hosts: ['*']}]",
            ["5 spec.servers[0].port.number OutOfRange: 0 is below 1"],
        ),
        (
            "servers: [{port: {number: 65536, name: a, protocol: HTTP}, hosts: ['*']}]",
            ["5 spec.servers[0].port.number OutOfRange: 65536 is above 65535"],
        ),
    ],
)
def test_gateways(spec: str, expected: list[str]) -> None:
    """Servers have one port, hosts and a protocol that is compiled."""
    assert _told("Gateway", spec) == expected


def test_a_gateway_name_is_one_label() -> None:
    """Routes name gateways as NAMESPACE/NAME, so the name holds no dot."""
    assert _told("Gateway", f"servers: [{{{SERVER}, hosts: ['*']}}]", name="a.b") == [
        "3 metadata.name InvalidValue: 'a.b' holds a dot or is too long; a Gateway's name is one label"
    ]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            "{}",
            [
                "4 spec MissingField: is empty; give egress, ingress, outboundTrafficPolicy or inboundConnectionPool"
            ],
        ),
        (
            "egress: [{hosts: []}]",
            ["5 spec.egress[0].hosts MissingField: is empty; give at least one NAMESPACE/HOST"],
        ),
        (
            "egress: [{hosts: [a.com]}]",
            [
                (
                    "5 spec.egress[0].hosts[0] InvalidValue: 'a.com' names no namespace; "
                    "write NAMESPACE/HOST, ./HOST or */HOST"
                )
            ],
        ),
        ("egress: [{hosts: [./*, '~/*', 'ns/*.a.com', '*/*', 'ns/a.com']}]", []),
        (
            "egress: [{hosts: [./a]}]",
            ["5 spec.egress[0].hosts[0] InvalidValue: 'a' is a short name; write the full host name"],
        ),
        (
            "egress: [{hosts: [./*]}, {hosts: [./*]}]",
            [
                "5 spec.egress[0] InvalidValue: has no port, so it takes all that is left; place it last, and once"
            ],
        ),
        (
            "egress: [{port: {number: 80}, hosts: [./*]}, {port: {number: 80}, hosts: [./*]}]",
            ["5 spec.egress[1].port.number InvalidValue: port 80 has a listener already"],
        ),
        (
            "egress: [{port: {protocol: TCP}, hosts: [./*]}]",
            [
                (
                    "5 spec.egress[0].port.number MissingField: is missing; "
                    "only a listener on a Unix socket has no port number"
                )
            ],
        ),
        (
            "egress: [{port: {protocol: TCP}, bind: unix:///a, captureMode: IPTABLES, hosts: [./*]}]",
            [
                "5 spec.egress[0].captureMode InvalidValue: IPTABLES captures no Unix socket; write DEFAULT or NONE"
            ],
        ),
        ("egress: [{port: {number: 0, protocol: TCP}, bind: unix:///a, hosts: [./*]}]", []),
        ("ingress: [{}]", ["5 spec.ingress[0].port MissingField: is missing"]),
        (
            "ingress: [{port: {protocol: HTTP}}]",
            ["5 spec.ingress[0].port.number MissingField: is missing; say which port it listens on"],
        ),
        (
            "ingress: [{port: {number: 80}, defaultEndpoint: '10.0.0.1:80'}]",
            [
                (
                    "5 spec.ingress[0].defaultEndpoint InvalidValue: '10.0.0.1:80' is not the workload; "
                    "write 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT or unix:///path"
                )
            ],
        ),
        (
            "ingress: [{port: {number: 80}, defaultEndpoint: '127.0.0.1:0'}]",
            ["5 spec.ingress[0].defaultEndpoint InvalidValue: '127.0.0.1:0' has no port between 1 and 65535"],
        ),
        ("ingress: [{port: {number: 80}, defaultEndpoint: '[::1]:8080'}]", []),
        (
            "outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: a}}",
            [
                (
                    "5 spec.outboundTrafficPolicy.egressProxy.port MissingField: is missing; "
                    "name the port of the egress proxy"
                ),
            ],
        ),
        (
            "{workloadSelector: {labels: {app: 'a*'}}, egress: [{hosts: [./*]}]}",
            [
                (
                    "5 spec.workloadSelector.labels[app] InvalidValue: 'a*' is no label value: "
                    "write letters, digits, - _ and ., 63 at most; a selector knows no wildcard"
                )
            ],
        ),
    ],
)
def test_sidecars(spec: str, expected: list[str]) -> None:
    """Listeners have ports of their own, and what a workload reaches is named with its namespace."""
    assert _told("Sidecar", spec) == expected


HTTP = "ports: [{number: 80, name: http, protocol: HTTP}]"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (f"{{hosts: [], {HTTP}}}", ["5 spec.hosts OutOfRange: is empty; give at least one"]),
        (
            f"{{hosts: ['*'], {HTTP}}}",
            ["5 spec.hosts[0] InvalidValue: '*' is too wide; name a host, or a domain such as *.example.com"],
        ),
        (
            "{hosts: [a.com], ports: [{number: 80, name: a}, {number: 80, name: a}]}",
            [
                "5 spec.ports[1].name InvalidValue: 'a' is the name of an earlier port",
                "5 spec.ports[1].number InvalidValue: 80 is the number of an earlier port",
            ],
        ),
        (
            f"{{hosts: [a.com], {HTTP}, endpoints: [{{address: 10.0.0.1}}]}}",
            [
                (
                    "5 spec.endpoints InvalidValue: resolution NONE forwards to where the client went; "
                    "write resolution STATIC or DNS"
                )
            ],
        ),
        (
            f"{{hosts: [a.com], {HTTP}, resolution: STATIC, endpoints: [{{address: b.com}}]}}",
            [
                (
                    "5 spec.endpoints[0].address InvalidValue: 'b.com' is no IP address; "
                    "resolution STATIC resolves no names, DNS does"
                )
            ],
        ),
        (
            f"{{hosts: [a.com], {HTTP}, resolution: DNS, endpoints: [{{address: unix:///a}}]}}",
            [
                (
                    "5 spec.endpoints[0].address InvalidValue: 'unix:///a' is a Unix socket; "
                    "write resolution STATIC"
                )
            ],
        ),
        (
            f"{{hosts: ['*.a.com'], {HTTP}, resolution: DNS}}",
            [
                (
                    "5 spec.hosts[0] InvalidValue: '*.a.com' cannot be resolved; "
                    "give endpoints, or write resolution NONE"
                )
            ],
        ),
        (f"{{hosts: ['*.a.com'], {HTTP}, resolution: NONE}}", []),
        (
            f"{{hosts: [a.com], {HTTP}, resolution: DNS, addresses: [10.0.0.0/8]}}",
            [
                (
                    "5 spec.addresses[0] InvalidValue: '10.0.0.0/8' is a range, "
                    "which works with resolution NONE or STATIC only"
                )
            ],
        ),
        (
            f"{{hosts: [a.com], {HTTP}, addresses: [10.0.0.0/33]}}",
            ["5 spec.addresses[0] InvalidValue: '10.0.0.0/33' is no IP address or CIDR range"],
        ),
        (
            (
                f"{{hosts: [a.com], {HTTP}, resolution: DNS_ROUND_ROBIN,"
                " endpoints: [{address: b.com}, {address: c.com}]}"
            ),
            ["5 spec.endpoints[1] InvalidValue: resolution DNS_ROUND_ROBIN takes one endpoint at most"],
        ),
        (
            f"{{hosts: ['*.a.com'], {HTTP}, resolution: DYNAMIC_DNS}}",
            [],
        ),
        (
            (
                "{hosts: ['*.a.com'], ports: [{number: 80, name: a, protocol: HTTP, targetPort: 443},"
                " {number: 8443, name: b, protocol: TLS, targetPort: 443},"
                " {number: 8080, name: c, protocol: HTTP, targetPort: 80}], resolution: DYNAMIC_DNS}"
            ),
            [
                (
                    "5 spec.ports[2].targetPort InvalidValue: the request's host says which port, so it is 8080; "
                    "only 80 may become 443, by a rule's tls"
                )
            ],
        ),
        (
            "{hosts: [a.com, b.com], ports: [{number: 1, name: t, protocol: TCP}], resolution: DNS}",
            [
                "5 spec.ports[0].protocol InvalidValue: TCP cannot tell several hosts apart; use one host an object"
            ],
        ),
        ("{hosts: [a.com, b.com], ports: [{number: 1, name: t, protocol: TLS}], resolution: DNS}", []),
        (
            (
                f"{{hosts: [a.com], {HTTP}, resolution: STATIC, endpoints: [{{address: 10.0.0.1}}],"
                " workloadSelector: {labels: {a: b}}}"
            ),
            [
                (
                    "5 spec.endpoints InvalidValue: workloadSelector is set too; "
                    "at most one of workloadSelector, endpoints may be set"
                )
            ],
        ),
        (
            f"{{hosts: [a.com], {HTTP}, resolution: STATIC, endpoints: [{{address: 10.0.0.1, ports: {{grpc: 1}}}}]}}",
            ["5 spec.endpoints[0].ports[grpc] MissingField: 'grpc' is the name of no port of this service"],
        ),
        (
            (
                "{hosts: [a.com], ports: [{number: 1, name: a}, {number: 2, name: b}], resolution: STATIC,"
                " endpoints: [{address: unix:///a}]}"
            ),
            ["5 spec.endpoints[0].address MissingField: a Unix socket serves exactly one port of a service"],
        ),
        (
            "{hosts: [a.com], ports: [{number: 1, name: a, protocol: UDP}]}",
            ["5 spec.ports[0].protocol NotSupported: UDP is not supported yet"],
        ),
        (f"{{hosts: [a.com], {HTTP}, exportTo: ['~']}}", []),
        (
            f"{{hosts: [a.com], {HTTP}, subjectAltNames: ['']}}",
            ["5 spec.subjectAltNames[0] InvalidValue: is empty; name whom the certificate is for"],
        ),
    ],
)
def test_service_entries(spec: str, expected: list[str]) -> None:
    """Hosts, ports, addresses and endpoints fit the way in which endpoints are found."""
    assert _told("ServiceEntry", spec) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{}", ["4 spec.address MissingField: is missing; give an IP address, a host name or unix:///path"]),
        ("{address: 192.0.2.1}", []),
        ("{address: vm.example.com}", []),
        (
            "{address: 'a b'}",
            ["5 spec.address InvalidValue: 'a b' is no IP address, host name or unix:///path"],
        ),
        (
            "{address: unix://a}",
            [
                (
                    "5 spec.address InvalidValue: 'unix://a' is no absolute path nor abstract socket; "
                    "write unix:///path or unix://@name"
                )
            ],
        ),
        ("{address: unix:///a/}", ["5 spec.address InvalidValue: 'unix:///a/' is a folder; name a socket"]),
        (
            "{address: unix:///" + "a" * 107 + "}",
            [
                (
                    f"5 spec.address InvalidValue: {shown('unix:///' + 'a' * 107)} is no path that a socket can"
                    " have: 107 bytes at most, and none that is zero"
                )
            ],
        ),
        (
            "{address: unix:///a, ports: {http: 80}}",
            ["5 spec.ports InvalidValue: the address is a Unix socket, which has no ports"],
        ),
        (
            "{address: 192.0.2.1, ports: {http: 0}}",
            ["5 spec.ports[http] OutOfRange: 0 is below 1"],
        ),
        (
            "{address: 192.0.2.1, ports: {h.t: 1}}",
            [
                (
                    "5 spec.ports[h.t] InvalidValue: 'h.t' is no port name: "
                    "write letters, digits and inner hyphens, 63 at most"
                )
            ],
        ),
        (
            "{address: 192.0.2.1, locality: a/b/c/d}",
            [
                (
                    "5 spec.locality InvalidValue: 'a/b/c/d' is no locality; "
                    "write region, region/zone or region/zone/subzone"
                )
            ],
        ),
        (
            "{address: 192.0.2.1, weight: -1}",
            ["5 spec.weight OutOfRange: -1 is below 0"],
        ),
        (
            "{address: 192.0.2.1, network: n, serviceAccount: s}",
            [],
        ),
    ],
)
def test_workload_entries(spec: str, expected: list[str]) -> None:
    """An instance has an address and ports that exist."""
    assert _told("WorkloadEntry", spec) == expected


NOT_YET = "NotSupported: not supported yet:"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("probe: {tcpSocket: {port: 1}}", "4 spec.template MissingField: is missing"),
        (
            "template: {address: 10.0.0.1}",
            f"5 spec.template.address {NOT_YET} each machine has its own, by which it registers",
        ),
        (
            "{template: {}, probe: {exec: {command: [x]}}}",
            f"5 spec.probe.exec.command[0] {NOT_YET} Envoy runs no commands; write httpGet, tcpSocket or grpc",
        ),
        (
            "{template: {}, probe: {periodSeconds: 1}}",
            "5 spec.probe MissingField: says nothing to ask; give httpGet, tcpSocket or grpc",
        ),
        (
            "{template: {}, probe: {grpc: {port: 1}, tcpSocket: {port: 1}}}",
            (
                "5 spec.probe.grpc InvalidValue: tcpSocket is set too; "
                "at most one of httpGet, tcpSocket, exec, grpc may be set"
            ),
        ),
        (
            "{template: {}, probe: {httpGet: {port: 1, host: reviews}}}",
            (
                "5 spec.probe.httpGet.host InvalidValue: 'reviews' is no IP address: the machine asks its own program; "
                "write a name as the header Host in httpHeaders"
            ),
        ),
        (
            "{template: {}, probe: {httpGet: {port: 1, scheme: GOPHER}}}",
            "5 spec.probe.httpGet.scheme InvalidValue: 'GOPHER' is no scheme: write HTTP or HTTPS",
        ),
        (
            "{template: {}, probe: {httpGet: {port: 1, httpHeaders: [{name: host}, {name: Host}]}}}",
            "5 spec.probe.httpGet.httpHeaders InvalidValue: has more than one header Host",
        ),
    ],
)
def test_workload_groups_that_are_wrong(spec: str, expected: str) -> None:
    """A template is needed, and a probe that the machine's Envoy can run against its own program."""
    assert _told("WorkloadGroup", spec) == [expected]
