"""Expressions of CEL: which can be read, and what is said of the others. Envoy 1.40 was asked about each."""

import pytest

from xdsd.model.intent.cel import LONGEST, expression_fault, strangers
from xdsd.model.intent.cel_parser import DEEPEST


@pytest.mark.parametrize(
    "text",
    [
        "response.code >= 400",
        "response.code >= 400 && (connection.mtls == true || request.url_path.contains('v1beta3'))",
        "!has(request.headers.host) ? true : false",
        "'x-user' in request.headers && !-1 == -2 && --1 == 1 && -9223372036854775808 < 0",
        "matches(request.path, 'a') && contains(request.path, 'b') && size(request.path) == request.path.size()",
        "request.as == 'a' && request.headers.has == '\\x61\\u0061\\U00000061\\141' + '''b\nc'''",
        " && ".join(["connection.mtls"] * 200),
        "(" * 32 + "true" + ")" * 32,
        ".".join(["request"] * 32),
        "request.headers[\"a\"].startsWith('b') // said last",
        "request.path.matches('^/a+$')",
        "request.path.matches(r'^/a\\d$')",
        "[1, 2].size() == 2 && {'a': 1}['a'] == 1",
        "1 in [1, 2,] || -1 < 0x1F || 1u == uint(1) || 1.5e3 > .5",
        "request.time.getHours() > 3 || request.duration > duration('1s')",
        "b'a' == bytes('a') && '''it's''' != 'it\\'s \\x41'",
        ".request.host == 'a'",
        "true ? 1 : false ? 2 : 3",
    ],
)
def test_an_expression_that_envoy_takes_is_read(text: str) -> None:
    """Literals, attributes, calls and operators as published."""
    assert expression_fault(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it ends too early"),
        ("response.code >=", "it ends too early"),
        ("response.code = 400", "nothing begins with '=', at character 15"),
        ("response.code == 400 and true", "'and' at character 22 is in the wrong place"),
        ("(response.code == 400", "it ends too early, where ) should be"),
        ("response.", "it ends too early, where a name should be"),
        ("request.headers['a'", "it ends too early, where ] should be"),
        ("'open", 'nothing begins with "\'", at character 1'),
        ("'\\q'", 'nothing begins with "\'", at character 1'),
        ("[1, 2].all(x, x > 0)", "there is no function 'all', at character 8"),
        ("string(response.code) == '200'", "there is no function 'string', at character 1"),
        ("request.headers['a'].lowerAscii() == 'b'", "there is no function 'lowerAscii'"),
        ("true ? 1", "it ends too early, where : should be"),
        ("while == 1", "'while' at character 1 is in the wrong place"),
        ("f{a: 1}", "'{' at character 2 is in the wrong place"),
        ("{1}", "'}' at character 3 is in the wrong place, where : should be"),
        ("request.path.matches('a(')", "is no RE2 expression"),
        ("request.path.matches('\\\\d(')", "is no RE2 expression"),
        ("matches(request.path, r'(')", "is no RE2 expression"),
        ("has(request.headers['x-user'])", "has, at character 1, takes a field such as request.headers.host"),
        ("has(request)", "has, at character 1, takes a field"),
        ("has(request.a + request.b)", "has, at character 1, takes a field"),
        ("has()", "')' at character 5 is in the wrong place"),
        ("size() == 1", "size takes no 0 arguments, at character 1"),
        (
            "request.path.endsWith('a', 'b')",
            "endsWith called on something takes no 2 arguments, at character 14",
        ),
        ("getHours(request.time) == 1", "getHours takes no 1 arguments, at character 1"),
        ("size(request.path,) == 1", "')' at character 19 is in the wrong place"),
        ("!-request.size", "'-' at character 2 is in the wrong place"),
        ("-!connection.mtls", "'!' at character 2 is in the wrong place"),
        ("request.in == 1", "'in' at character 9 is in the wrong place, where a name should be"),
        (".as", "'as' at character 2 is in the wrong place"),
        ("1.5u == 1", "'u' at character 4 is in the wrong place"),
        ("9223372036854775808 == 1", "9223372036854775808 at character 1 is too large a number"),
        ("18446744073709551616u == 1u", "18446744073709551616u at character 1 is too large a number"),
        ("0x" + "f" * 17 + " == 1", "at character 1 is too large a number"),
        ("'\\ud800' == 'a'", "\\ud800 in the text at character 1 is no character there"),
        ("b'\\u0061' == b'a'", "\\u0061 in the text at character 1 is no character there"),
        ("'''\\q'''", "nothing begins with"),
        ("request.path\u00a0== 'a'", "nothing begins with '\\xa0', at character 13"),
        ("(" * 33 + "1" + ")" * 33, f"it is nested more than {DEEPEST} deep"),
        ("+".join(["request.size"] * 32) + " > 1", f"it is nested more than {DEEPEST} deep"),
        (".".join(["request"] * 33), f"it is nested more than {DEEPEST} deep"),
        ("1" * (LONGEST + 1), f"is longer than {LONGEST} characters"),
    ],
)
def test_an_expression_that_no_proxy_would_take_is_told(text: str, words: str) -> None:
    """What is wrong is named with its place."""
    assert words in (expression_fault(text) or "")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("response.code >= 400 && has(request.headers['x']) || xds.cluster_name == 'a'", []),
        ("connection.mtls && size(metadata['a']) > 0 && type(1) == int && .request.path != ''", []),
        ("{'a': true}['a'] && 1 in [1] && duration('1s') < request.duration", []),
        ("respones.code == 1 || foo", ["respones", "foo"]),
        ("response.cod == 1 && request.uri == ''", ["response.cod", "request.uri"]),
    ],
)
def test_names_that_envoy_does_not_know_are_found(text: str, names: list[str]) -> None:
    """Attributes, and the parts of a request and of an answer; calls and literals are none."""
    assert list(strangers(text)) == names
