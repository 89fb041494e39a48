"""VirtualService: the rules that the published API holds its objects to."""

import pytest

from tests.manifest.support import told

ROUTE = "route: [{destination: {host: a}}]"


def _told(route: str, *, spec: str = "hosts: [a]") -> list[str]:
    """The problems of a VirtualService with one route, which starts on line 7."""
    return told(
        "apiVersion: networking.istio.io/v1\n"
        "kind: VirtualService\n"
        "metadata: {name: x}\n"
        "spec:\n"
        f"  {spec}\n"
        "  http:\n"
        f"  - {route}\n"
    )


ROUTES = [
    # destinations and weights
    ("{}", ["7 spec.http[0] MissingField: has no route; give route, redirect, directResponse or delegate"]),
    (
        "route: [{destination: {host: a}, weight: 0}, {destination: {host: b}}]",
        [
            "7 spec.http[0].route MissingField: the weights add up to 0; give at least one destination a weight"
        ],
    ),
    ("route: [{destination: {host: a}, weight: 0}]", []),
    ("route: [{destination: {host: a}, weight: 3}, {destination: {host: b}}]", []),
    (
        "route: [{destination: {host: a}, weight: -1}]",
        ["7 spec.http[0].route[0].weight OutOfRange: -1 is below 0"],
    ),
    (
        "route: [{destination: {host: a}, weight: 2147483648}]",
        ["7 spec.http[0].route[0].weight OutOfRange: 2147483648 is above 2147483647"],
    ),
    ("route: [{weight: 1}]", ["7 spec.http[0].route[0].destination MissingField: is missing"]),
    ("route: [{destination: {}}]", ["7 spec.http[0].route[0].destination.host MissingField: is missing"]),
    (
        "route: [{destination: {host: a, port: {}}}]",
        [
            "7 spec.http[0].route[0].destination.port.number MissingField: is missing; name a port by its number"
        ],
    ),
    (
        "route: [{destination: {host: a, port: {number: 0}}}]",
        ["7 spec.http[0].route[0].destination.port.number OutOfRange: 0 is below 1"],
    ),
    (
        "route: [{destination: {host: a_b}}]",
        [
            (
                "7 spec.http[0].route[0].destination.host InvalidValue: 'a_b' is no host name: "
                "'a_b' is not made of letters, digits and inner hyphens (63 at most)"
            )
        ],
    ),
    (
        "route: [{destination: {host: a, subset: v.1}}]",
        [
            (
                "7 spec.http[0].route[0].destination.subset InvalidValue: 'v.1' is no subset name: "
                "write letters, digits and inner hyphens, 63 at most"
            )
        ],
    ),
    ('route: [{destination: {host: a, subset: ""}}]', []),
    # one action a route
    (
        f"{{{ROUTE}, redirect: {{uri: /x}}}}",
        ["7 spec.http[0].route InvalidValue: redirect is set too, and it takes the place of route"],
    ),
    (
        "{directResponse: {status: 200}, rewrite: {uri: /}, fault: {abort: {httpStatus: 500}}}",
        [
            "7 spec.http[0].fault InvalidValue: directResponse is set too, and it takes the place of fault",
            "7 spec.http[0].rewrite InvalidValue: directResponse is set too, and it takes the place of rewrite",
        ],
    ),
    ("directResponse: {status: 600}", ["7 spec.http[0].directResponse.status OutOfRange: 600 is above 599"]),
    # matches
    (
        f"{{match: [{{uri: {{exact: /a, prefix: /}}}}], {ROUTE}}}",
        [
            (
                "7 spec.http[0].match[0].uri.prefix InvalidValue: exact is set too; "
                "at most one of exact, prefix, regex may be set"
            )
        ],
    ),
    (f'{{match: [{{uri: {{prefix: ""}}}}], {ROUTE}}}', []),
    (
        f'{{match: [{{method: {{prefix: ""}}}}], {ROUTE}}}',
        [
            "7 spec.http[0].match[0].method.prefix InvalidValue: is empty; leave the match out to match everything"
        ],
    ),
    (f"{{match: [{{headers: {{x-a: {{}}}}}}], {ROUTE}}}", []),
    (
        f"{{match: [{{headers: {{'x a': {{}}}}}}], {ROUTE}}}",
        ["7 spec.http[0].match[0].headers[x a] InvalidValue: 'x a' is no header name"],
    ),
    (f"{{match: [{{headers: {{':path': {{prefix: /}}}}}}], {ROUTE}}}", []),
    (f"{{match: [{{headers: {{'@request.auth.claims.sub': {{exact: a}}}}}}], {ROUTE}}}", []),
    (f"{{match: [{{headers: {{'@request.auth.claims[a][b]': {{exact: a}}}}}}], {ROUTE}}}", []),
    (
        f"{{match: [{{headers: {{'@request.auth.claims': {{exact: a}}}}}}], {ROUTE}}}",
        [
            (
                "7 spec.http[0].match[0].headers[@request.auth.claims] InvalidValue: "
                "'@request.auth.claims' names no claim; write @request.auth.claims.NAME or @request.auth.claims[NAME][NAME]"
            )
        ],
    ),
    (
        f'{{match: [{{headers: {{x-a: {{regex: "*"}}}}}}], {ROUTE}}}',
        [
            (
                "7 spec.http[0].match[0].headers[x-a].regex InvalidValue: "
                "'*' is no RE2 expression; write .* for any text"
            )
        ],
    ),
    (f'{{match: [{{withoutHeaders: {{x-a: {{regex: "*"}}}}}}], {ROUTE}}}', []),
    (
        f"{{match: [{{headers: {{x-a: null}}}}], {ROUTE}}}",
        [
            (
                "7 spec.http[0].match[0].headers[x-a] WrongType: "
                "null is not a map of fields; leave the field out or give it a value"
            )
        ],
    ),
    (
        f"{{match: [{{sourceLabels: {{app: 'a*'}}}}], {ROUTE}}}",
        [
            (
                "7 spec.http[0].match[0].sourceLabels[app] InvalidValue: 'a*' is no label value: "
                "write letters, digits, - _ and ., 63 at most; a selector knows no wildcard"
            )
        ],
    ),
    (
        f"{{match: [{{gateways: [a/b/c]}}], {ROUTE}}}",
        [
            (
                "7 spec.http[0].match[0].gateways[0] InvalidValue: 'a/b/c' is no gateway; "
                "write NAME, NAMESPACE/NAME or mesh"
            )
        ],
    ),
    (
        f"{{match: [{{sourceNamespace: a.b}}], {ROUTE}}}",
        [
            (
                "7 spec.http[0].match[0].sourceNamespace InvalidValue: 'a.b' is no namespace: "
                "write letters, digits and inner hyphens, 63 at most"
            )
        ],
    ),
    # redirect and rewrite
    (
        "redirect: {}",
        [
            (
                "7 spec.http[0].redirect MissingField: is empty; "
                "give uri, prefixRewrite, authority, port, derivePort, scheme or redirectCode"
            )
        ],
    ),
    (
        "redirect: {uri: /a, redirectCode: 305}",
        [
            (
                "7 spec.http[0].redirect.redirectCode InvalidValue: 305 is no redirect status; "
                "it is one of 301, 302, 303, 307, 308"
            )
        ],
    ),
    (
        "redirect: {scheme: ftp}",
        ["7 spec.http[0].redirect.scheme InvalidValue: 'ftp' is no scheme; write http or https"],
    ),
    (
        "redirect: {port: 80, derivePort: FROM_REQUEST_PORT}",
        [
            (
                "7 spec.http[0].redirect.derivePort InvalidValue: port is set too; "
                "at most one of port, derivePort may be set"
            )
        ],
    ),
    (
        "{match: [{uri: {exact: /a}}], redirect: {prefixRewrite: /b}}",
        [
            (
                "7 spec.http[0].match[0].uri InvalidValue: "
                "redirect.prefixRewrite replaces a prefix, so this match must be by prefix"
            )
        ],
    ),
    (
        f"{{{ROUTE}, rewrite: {{}}}}",
        ["7 spec.http[0].rewrite MissingField: is empty; give uri, uriRegexRewrite or authority"],
    ),
    (
        f"{{{ROUTE}, rewrite: {{uri: /, uriRegexRewrite: {{match: a, rewrite: b}}}}}}",
        [
            (
                "7 spec.http[0].rewrite.uriRegexRewrite InvalidValue: uri is set too; "
                "at most one of uri, uriRegexRewrite may be set"
            )
        ],
    ),
    (
        f"{{{ROUTE}, rewrite: {{uriRegexRewrite: {{match: a}}}}}}",
        [
            (
                "7 spec.http[0].rewrite.uriRegexRewrite.rewrite MissingField: is missing; "
                "a rewrite needs match and rewrite"
            )
        ],
    ),
    (
        f"{{{ROUTE}, rewrite: {{authority: a}}, headers: {{request: {{set: {{Host: b}}}}}}}}",
        [
            (
                "7 spec.http[0].headers.request.set[Host] InvalidValue: "
                "the host is changed by rewrite.authority too; change it once"
            )
        ],
    ),
    # retries, timeouts and faults
    (
        f"{{{ROUTE}, timeout: 0s}}",
        ["7 spec.http[0].timeout OutOfRange: 0s is below 0.001s"],
    ),
    (
        f"{{{ROUTE}, timeout: 5}}",
        ["7 spec.http[0].timeout WrongType: 5 has no unit; a duration is text, such as 5s"],
    ),
    (
        f"{{{ROUTE}, retries: {{retryOn: 5xx}}}}",
        [
            (
                "7 spec.http[0].retries.attempts MissingField: is 0, which switches retries off; "
                "give the number of retries"
            )
        ],
    ),
    (f"{{{ROUTE}, retries: {{attempts: 0}}}}", []),
    (
        f'{{{ROUTE}, retries: {{attempts: 1, retryOn: "5xx, reset"}}}}',
        [
            (
                "7 spec.http[0].retries.retryOn InvalidValue: ' reset' is no retry condition nor HTTP status; "
                "write the list without spaces"
            )
        ],
    ),
    (
        f"{{{ROUTE}, retries: {{attempts: 1, retryOn: sometimes}}}}",
        ["7 spec.http[0].retries.retryOn InvalidValue: 'sometimes' is no retry condition nor HTTP status"],
    ),
    (
        f"{{{ROUTE}, fault: {{}}}}",
        ["7 spec.http[0].fault MissingField: is empty; give delay or abort"],
    ),
    (
        f"{{{ROUTE}, fault: {{delay: {{percentage: {{value: 1}}}}}}}}",
        ["7 spec.http[0].fault.delay.fixedDelay MissingField: is missing; say how long requests are held"],
    ),
    (
        f"{{{ROUTE}, fault: {{abort: {{}}}}}}",
        ["7 spec.http[0].fault.abort.httpStatus MissingField: is missing; give httpStatus or grpcStatus"],
    ),
    (
        f"{{{ROUTE}, fault: {{abort: {{httpStatus: 199}}}}}}",
        ["7 spec.http[0].fault.abort.httpStatus OutOfRange: 199 is below 200"],
    ),
    (
        f"{{{ROUTE}, fault: {{abort: {{httpStatus: 500, percentage: {{value: 100.5}}}}}}}}",
        ["7 spec.http[0].fault.abort.percentage.value OutOfRange: 100.5 is above 100"],
    ),
    (
        f"{{{ROUTE}, fault: {{abort: {{httpStatus: 500, percentage: {{value: .nan}}}}}}}}",
        [
            (
                "7 spec.http[0].fault.abort.percentage.value InvalidValue: "
                "nan is not a number that requests can be counted with"
            )
        ],
    ),
    (
        f"{{{ROUTE}, fault: {{abort: {{httpStatus: 500, percentage: {{value: 0.00001}}}}}}}}",
        [
            (
                "7 spec.http[0].fault.abort.percentage.value InvalidValue: "
                "1e-05 is below 0.0001, the smallest share there is but 0"
            )
        ],
    ),
    (
        f"{{{ROUTE}, fault: {{delay: {{fixedDelay: 1s, percent: 101}}}}}}",
        ["7 spec.http[0].fault.delay.percent OutOfRange: 101 is above 100"],
    ),
    # mirrors
    (
        f"{{{ROUTE}, mirrorPercentage: {{value: 1}}}}",
        ["7 spec.http[0].mirrorPercentage MissingField: has no effect without mirror"],
    ),
    (
        f"{{{ROUTE}, mirror: {{host: b}}, mirrors: [{{destination: {{host: c}}}}]}}",
        ["7 spec.http[0].mirrors InvalidValue: mirror is set too; at most one of mirror, mirrors may be set"],
    ),
    (
        f"{{{ROUTE}, mirror: {{host: b}}, mirrorPercent: 5, mirror_percent: 6}}",
        [
            (
                "7 spec.http[0].mirror_percent InvalidValue: mirrorPercent is set too, "
                "and it is another spelling of the same field"
            )
        ],
    ),
    (
        f"{{{ROUTE}, mirror: {{host: b}}, mirror_percent: 101}}",
        ["7 spec.http[0].mirror_percent OutOfRange: 101 is above 100"],
    ),
    (f"{{{ROUTE}, mirror: {{host: b}}, mirror_percent: null}}", []),
    # CORS and headers
    (
        f"{{{ROUTE}, corsPolicy: {{allowOrigins: [{{}}]}}}}",
        ["7 spec.http[0].corsPolicy.allowOrigins[0] MissingField: is empty; give exact, prefix or regex"],
    ),
    (
        f"{{{ROUTE}, corsPolicy: {{allowMethods: [get]}}}}",
        ["7 spec.http[0].corsPolicy.allowMethods[0] InvalidValue: 'get' is no method; write GET"],
    ),
    (
        f"{{{ROUTE}, corsPolicy: {{maxAge: 1500ms}}}}",
        ["7 spec.http[0].corsPolicy.maxAge InvalidValue: is not a whole number of seconds"],
    ),
    (
        f"{{{ROUTE}, headers: {{request: {{set: {{x-a: 50%}}}}}}}}",
        [
            (
                "7 spec.http[0].headers.request.set[x-a] InvalidValue: '50%' holds a lone %; "
                "write %% for the sign, or a command such as %HOSTNAME%"
            )
        ],
    ),
    (
        f"{{{ROUTE}, headers: {{request: {{add: {{':path': a}}}}}}}}",
        [
            (
                "7 spec.http[0].headers.request.add[:path] InvalidValue: "
                "':path' cannot be changed; it is part of the request itself"
            )
        ],
    ),
    (
        f"{{{ROUTE}, headers: {{response: {{set: {{host: a}}}}}}}}",
        ["7 spec.http[0].headers.response.set[host] InvalidValue: 'host' is no header of a response"],
    ),
    (
        f"{{{ROUTE}, headers: {{request: {{remove: [Host]}}}}}}",
        ["7 spec.http[0].headers.request.remove[0] InvalidValue: 'Host' cannot be removed"],
    ),
    # misspellings
    (
        f"{{{ROUTE}, timout: 5s}}",
        ["7 spec.http[0].timout UnknownField: unknown field; did you mean timeout?"],
    ),
    (
        "{rout: [{destination: {host: a}}]}",
        ["7 spec.http[0].rout UnknownField: unknown field; did you mean route?"],
    ),
    (
        "route: [{destination: {hots: a}}]",
        ["7 spec.http[0].route[0].destination.hots UnknownField: unknown field; did you mean host?"],
    ),
    (
        f"{{{ROUTE}, corsPolicy: {{unmatchedPreflights: IGNOR}}}}",
        [
            (
                "7 spec.http[0].corsPolicy.unmatchedPreflights InvalidValue: "
                "'IGNOR' is no value of this field; did you mean IGNORE?"
            )
        ],
    ),
]


@pytest.mark.parametrize(("route", "expected"), ROUTES, ids=[route for route, _ in ROUTES])
def test_routes(route: str, expected: list[str]) -> None:
    """A route is taken, or told exactly what is wrong with it."""
    assert _told(route) == expected


SPECS = [
    (
        "gateways: [a]",
        [
            "5 spec.gateways InvalidValue: needs hosts; an object without any is a delegate, which has http alone"
        ],
    ),
    (
        "hosts: [bücher.de]\n  gateways: [a]",
        [
            "5 spec.hosts[0] InvalidValue: 'bücher.de' is no host name: write 'bücher' in letters of ASCII, as xn--bcher-kva"
        ],
    ),
    ("hosts: []", []),
    (
        'hosts: ["*"]',
        ["5 spec.hosts[0] InvalidValue: '*' serves gateways only; name hosts, or list gateways without mesh"],
    ),
    ('{hosts: ["*"], gateways: [edge]}', None),
    ("hosts: [a, A]", ["5 spec.hosts[1] InvalidValue: 'A' is listed twice"]),
    (
        'hosts: ["*.example.com", a.example.com]',
        ["5 spec.hosts[1] InvalidValue: 'a.example.com' is covered by a wildcard of the same list"],
    ),
    ('hosts: ["*.example.com", example.com]', []),
    ("hosts: [10.0.0.1]", []),
    (
        "hosts: [a.123]",
        ["5 spec.hosts[0] InvalidValue: 'a.123' is no host name: its last part, 123, is a number"],
    ),
    (
        "hosts: [a.*.com]",
        [
            (
                "5 spec.hosts[0] InvalidValue: 'a.*.com' is no host name: "
                "a wildcard may only begin it, as in *.example.com"
            )
        ],
    ),
]


@pytest.mark.parametrize(("spec", "expected"), [case for case in SPECS if case[1] is not None], ids=str)
def test_hosts(spec: str, expected: list[str]) -> None:
    """Hosts name what is routed, each once."""
    assert _told(ROUTE, spec=spec) == expected


DELEGATES = [
    ("http: [{route: [{destination: {host: a}}]}]", []),
    (
        "http: [{match: [{uri: {prefix: /a}}], delegate: {name: b}}]",
        [
            (
                "4 spec.http[0].delegate InvalidValue: a delegate (an object without hosts) cannot delegate on; "
                "name its target in the root"
            )
        ],
    ),
    (
        "tcp: [{route: [{destination: {host: a}}]}]",
        [
            "4 spec.hosts MissingField: is empty; give at least one host, or http alone to delegate to",
            "4 spec.tcp InvalidValue: needs hosts; an object without any is a delegate, which has http alone",
        ],
    ),
    (
        "hosts: [a], http: [{delegate: {namespace: b}}]",
        [
            "4 spec.http[0].delegate.name MissingField: is missing; name the VirtualService that holds the routes"
        ],
    ),
    (
        "hosts: [a], http: [{delegate: {name: b}, route: [{destination: {host: a}}]}]",
        ["4 spec.http[0].route InvalidValue: delegate is set too, and it takes the place of route"],
    ),
    ("hosts: [a], http: [{delegate: {name: b}, timeout: 1s, rewrite: {uri: /}}]", []),
]


@pytest.mark.parametrize(("spec", "expected"), DELEGATES)
def test_delegates(spec: str, expected: list[str]) -> None:
    """An object without hosts holds routes for others and hands none on; one that delegates has no route there."""
    head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\n"
    assert told(f"{head}spec: {{{spec}}}\n") == expected


CONNECTIONS = [
    ("tls: [{route: [{destination: {host: a}}]}]", ["4 spec.tls[0].match MissingField: is missing"]),
    (
        "tls: [{match: [{sniHosts: []}], route: [{destination: {host: a}}]}]",
        ["4 spec.tls[0].match[0].sniHosts MissingField: is empty; give at least one server name"],
    ),
    (
        "tls: [{match: [{sniHosts: [b.com]}], route: [{destination: {host: a}}]}]",
        [
            (
                "4 spec.tls[0].match[0].sniHosts[0] InvalidValue: 'b.com' is none of the hosts of this object, "
                "nor below a wildcard of theirs"
            )
        ],
    ),
    (
        "tls: [{match: [{sniHosts: ['*a.com']}], route: [{destination: {host: a}}]}]",
        [
            (
                "4 spec.tls[0].match[0].sniHosts[0] InvalidValue: '*a.com' is a partial wildcard, "
                "which no server name is compared with; write *.DOMAIN"
            )
        ],
    ),
    (
        "tcp: [{match: [{port: 0}], route: [{destination: {host: a}}]}]",
        ["4 spec.tcp[0].match[0].port OutOfRange: 0 is below 1"],
    ),
    (
        "tcp: [{match: [{sourceSubnet: 10.0.0.0/33}], route: [{destination: {host: a}}]}]",
        ["4 spec.tcp[0].match[0].sourceSubnet InvalidValue: '10.0.0.0/33' is no IP address or CIDR range"],
    ),
    (
        "tcp: [{match: [{destinationSubnets: [a.com]}], route: [{destination: {host: a}}]}]",
        ["4 spec.tcp[0].match[0].destinationSubnets[0] InvalidValue: 'a.com' is no IP address or CIDR range"],
    ),
    (
        "tcp: [{route: [{destination: {host: a}, weight: 0}, {destination: {host: b}}]}]",
        ["4 spec.tcp[0].route MissingField: the weights add up to 0; give at least one destination a weight"],
    ),
    (
        "tcp: [{route: [{destination: {host: a}, weight: -1}]}]",
        ["4 spec.tcp[0].route[0].weight OutOfRange: -1 is below 0"],
    ),
    ("tcp: [{match: []}]", ["4 spec.tcp[0].route MissingField: is missing; give at least one destination"]),
]


@pytest.mark.parametrize(("spec", "expected"), CONNECTIONS)
def test_connections(spec: str, expected: list[str]) -> None:
    """What is wrong with rules of tcp and tls is told where it stands."""
    head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\n"
    assert told(f"{head}spec: {{hosts: [a.com], {spec}}}\n") == expected


def test_routes_are_needed() -> None:
    """An object that routes nothing is a mistake."""
    head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\n"
    assert told(head + "spec: {hosts: [a]}\n") == [
        "4 spec.http MissingField: is missing; give at least one route"
    ]
    assert (
        told(head + "spec: {hosts: ['*'], gateways: [edge], http: [{route: [{destination: {host: a}}]}]}\n")
        == []
    )


REGEXES = [
    ("(a)\\1", "is no RE2 expression: invalid escape sequence: \\1"),
    ("a(?=b)", "is no RE2 expression: invalid perl operator: (?="),
    ("a(?<!b)", "is no RE2 expression: invalid perl operator: (?<!"),
    ("[a", "is no RE2 expression: missing ]: [a"),
    ("a{1001}", "is no RE2 expression: invalid repetition size: {1001}"),
    ("", "is empty"),
    ("x" * 1025, "is longer than 1024 bytes"),
    ("((a{1,100}){1,100}){1,9}", "is no RE2 expression: invalid repetition size: {1,100}"),
    (
        "[^a]{1,999}[^b]{1,999}[^c]{1,999}" * 5,
        "becomes a program of 44944 steps, more than the 32768 that proxies take; repeat less",
    ),
]


@pytest.mark.parametrize(("pattern", "why"), REGEXES, ids=[why for _, why in REGEXES])
def test_expressions_that_the_proxy_would_refuse(pattern: str, why: str) -> None:
    """Expressions are compiled by RE2, which knows no look-around and no references."""
    (problem,) = _told(f"{{match: [{{uri: {{regex: '{pattern}'}}}}], {ROUTE}}}")
    assert problem.startswith("7 spec.http[0].match[0].uri.regex InvalidValue: ")
    assert problem.endswith(why)


COMMANDS = [
    ("%HOSTNAME%-%REQ(x-a?x-b):10%-%START_TIME(%Y/%m)%-100%%", None),
    ('%DYNAMIC_METADATA(["a", "b"])%', None),
    ("%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)%", None),
    ("50%", "holds a lone %; write %% for the sign, or a command such as %HOSTNAME%"),
    ("%hostname%", "holds a lone %; write %% for the sign, or a command such as %HOSTNAME%"),
    ("%FOO%", "holds %FOO%, which is no command of Envoy's"),
    ("%HOSTNAME(a)%", "gives HOSTNAME an argument, and it takes none"),
    ("%REQ%", "gives REQ no argument, and it needs one, as in %REQ(…)%"),
    ("%CEL(a)%", "holds CEL, an expression that is not supported in headers"),
    ("a\tb", None),
]


@pytest.mark.parametrize(("value", "why"), COMMANDS, ids=[value for value, _ in COMMANDS])
def test_header_values_are_what_the_proxy_can_fill_in(value: str, why: str | None) -> None:
    """A command that Envoy does not know would cost a proxy all its routes, so it is told here."""
    problems = _told(f"{{{ROUTE}, headers: {{response: {{set: {{x-a: '{value}'}}}}}}}}")
    assert problems == (
        [f"7 spec.http[0].headers.response.set[x-a] InvalidValue: {value!r} {why}"] if why else []
    )


def test_all_mistakes_are_told_at_once() -> None:
    """A malformed value does not hide a broken rule elsewhere, nor the other way round."""
    assert told("""\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: x
spec:
  hosts: [a, a]
  http:
  - match:
    - port: 70000
    route:
    - destination: {host: a}
    redirect: {uri: /x}
  - route:
    - destination: {host: a}
      weight: "5"
    timeout: 1d
    extra: 1
""") == [
        "6 spec.hosts[1] InvalidValue: 'a' is listed twice",
        "9 spec.http[0].match[0].port OutOfRange: 70000 is above 65535",
        "10 spec.http[0].route InvalidValue: redirect is set too, and it takes the place of route",
        "15 spec.http[1].route[0].weight WrongType: '5' is text, not a whole number; take off the quotes",
        (
            "16 spec.http[1].timeout InvalidValue: '1d' is not a duration; "
            "write a number and a unit, such as 5s, 1.5s, 100ms or 1h30m"
        ),
        "17 spec.http[1].extra UnknownField: unknown field",
    ]
