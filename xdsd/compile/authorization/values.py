"""Values of policies as Envoy's matchers of strings, paths, headers, addresses and metadata."""

import re
from collections.abc import Iterable, Sequence

from envoy.config.route.v3.route_components_pb2 import HeaderMatcher
from envoy.type.matcher.v3.metadata_pb2 import MetadataMatcher
from envoy.type.matcher.v3.path_pb2 import PathMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from envoy.type.matcher.v3.value_pb2 import ValueMatcher

from xdsd.model.intent.authorization_values import ANY_PATH, ANY_SEGMENT, is_template

JWT = "envoy.filters.http.jwt_authn"
PAYLOAD = "payload"
"""Where the filter that proves tokens leaves what they say."""

_SPECIAL = re.compile(r"([^A-Za-z0-9_/])")
_ANYTHING = ".+"


def quoted(text: str) -> str:
    """The text as an expression (RE2) that it alone matches."""
    return _SPECIAL.sub(lambda found: found[1] if ord(found[1]) > 127 else f"\\{found[1]}", text)


def expression(text: str) -> StringMatcher:
    """What an expression matches as a whole."""
    matcher = StringMatcher()
    matcher.safe_regex.regex = text
    return matcher


def string(pattern: str, *, ignore_case: bool = False) -> StringMatcher:
    """``*`` is anything but nothing, ``abc*`` a beginning, ``*abc`` an end."""
    if pattern == "*":
        return expression(_ANYTHING)
    if pattern.startswith("*"):
        return StringMatcher(suffix=pattern[1:], ignore_case=ignore_case)
    if pattern.endswith("*"):
        return StringMatcher(prefix=pattern[:-1], ignore_case=ignore_case)
    return StringMatcher(exact=pattern, ignore_case=ignore_case)


def within(pattern: str, part: str) -> str:
    """A pattern as an expression for a part of a text, in which its wildcard stands for any number of ``part``."""
    if pattern == "*":
        return f"{part}+"
    if pattern.startswith("*"):
        return f"{part}*{quoted(pattern[1:])}"
    return f"{quoted(pattern[:-1])}{part}*" if pattern.endswith("*") else quoted(pattern)


def header(name: str, pattern: str, *, ignore_case: bool = False) -> HeaderMatcher:
    """A header; ``*`` asks that it is there."""
    if pattern == "*":
        return HeaderMatcher(name=name, present_match=True)
    return HeaderMatcher(name=name, string_match=string(pattern, ignore_case=ignore_case))


def path(pattern: str) -> PathMatcher:
    """A path without its query. Templates are expressions of ours: Envoy's own know only some characters in a segment,
    and what holds another would pass a DENY.
    """
    matcher = PathMatcher()
    if pattern == "/":
        # Envoy merges two slashes and nothing else into two.
        matcher.path.CopyFrom(expression("//?"))
    else:
        matcher.path.CopyFrom(expression(_template(pattern)) if is_template(pattern) else string(pattern))
    return matcher


def _template(pattern: str) -> str:
    parts = {ANY_SEGMENT: "[^/]+", ANY_PATH: ".*"}
    return "/".join(parts.get(segment, quoted(segment)) for segment in pattern.split("/"))


def claim(names: Sequence[str], matchers: Iterable[StringMatcher]) -> MetadataMatcher:
    """A claim of a proven token, which is one of several texts, or a list with one of them in it."""
    return metadata(JWT, (PAYLOAD, *names), [one_of(matchers)])


def single_claim(name: str, matcher: StringMatcher) -> MetadataMatcher:
    """A claim that is one text."""
    return metadata(JWT, (PAYLOAD, name), [ValueMatcher(string_match=matcher)])


def one_of(matchers: Iterable[StringMatcher]) -> ValueMatcher:
    """A text, or a list with such a text in it."""
    found = ValueMatcher()
    for matcher in matchers:
        found.or_match.value_matchers.add(string_match=matcher)
        found.or_match.value_matchers.add().list_match.one_of.string_match.CopyFrom(matcher)
    return found


def metadata(filter_name: str, keys: Sequence[str], values: Sequence[ValueMatcher]) -> MetadataMatcher:
    """What a filter knows at a path of keys."""
    matcher = MetadataMatcher(filter=filter_name)
    for key in keys:
        matcher.path.add(key=key)
    if len(values) == 1:
        matcher.value.CopyFrom(values[0])
    else:
        matcher.value.or_match.value_matchers.extend(values)
    return matcher
