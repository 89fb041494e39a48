"""Expressions of CEL, as far as can be told without running them: whether they can be read, and call what there is.

A proxy refuses the whole listener for one that it cannot read. The grammar is the published one of the Common Expression
Language, without messages.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from xdsd.model.intent.cel_parser import Parser
from xdsd.model.intent.cel_tokens import Token, UnreadableError, read_tokens
from xdsd.model.intent.values import regex_fault

LONGEST = 4096
"""Characters of an expression."""

_ATTRIBUTES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "request": frozenset(
            [
                "duration",
                "headers",
                "host",
                "id",
                "method",
                "path",
                "protocol",
                "query",
                "referer",
                "scheme",
                "size",
                "time",
                "total_size",
                "url_path",
                "useragent",
            ]
        ),
        "response": frozenset(
            [
                "backend_latency",
                "code",
                "code_details",
                "flags",
                "grpc_status",
                "headers",
                "size",
                "total_size",
                "trailers",
            ]
        ),
        **{
            name: frozenset()
            for name in (
                "connection",
                "destination",
                "filter_state",
                "metadata",
                "source",
                "upstream",
                "upstream_filter_state",
                "xds",
            )
        },
    }
)
"""What Envoy tells of a request or connection, and of some the parts."""

_WORDS = frozenset(
    {"true", "false", "null", "in", "bool", "bytes", "double", "int", "list", "map", "string", "uint"}
)


def expression_fault(text: str) -> str | None:
    """Says why an expression cannot be read, to follow it, or None."""
    if len(text) > LONGEST:
        return f"is longer than {LONGEST} characters"
    try:
        parser = Parser(read_tokens(text))
        parser.whole()
    except UnreadableError as error:
        return f"is no expression of CEL: {error}"
    return next((fault for each in parser.patterns if (fault := regex_fault(each))), None)


def strangers(text: str) -> Iterator[str]:
    """The names in an expression that can be read which are no attributes of Envoy's: what they are in is never true."""
    tokens = read_tokens(text)
    blank = Token("", "", 0)
    for before, token, after, last in zip(
        [blank, *tokens], tokens, [*tokens[1:], blank], [*tokens[2:], blank, blank], strict=False
    ):
        if token.kind != "name" or before.text == "." or after.text == "(":
            continue
        known = _ATTRIBUTES.get(token.text)
        if token.text not in _ATTRIBUTES and token.text not in _WORDS:
            yield token.text
        elif known and after.text == "." and last.text not in known:
            yield f"{token.text}.{last.text}"
