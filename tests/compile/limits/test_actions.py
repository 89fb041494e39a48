"""Descriptors as Envoy's actions and as patterns of what these read."""

from typing import Any

import pytest
from envoy.extensions.rate_limit_descriptors.expr.v3.expr_pb2 import Descriptor

from xdsd.compile.limits.actions import Entry, Step, quoted, steps
from xdsd.model.intent import RateLimitDescriptor


def step(**descriptor: Any) -> Step:
    """The only step of one descriptor; Any: as a user writes it."""
    (found,) = steps([RateLimitDescriptor.model_validate(descriptor)])
    return found


def expression(found: Step) -> str:
    config = Descriptor()
    assert found.action.extension.typed_config.Unpack(config)
    assert config.descriptor_key == found.entry.key
    text: str = config.text
    return text


@pytest.mark.parametrize(
    ("descriptor", "kind", "entry"),
    [
        ({"method": {}}, "request_headers", Entry("method")),
        ({"method": {"values": ["GET"]}}, "request_headers", Entry("method", ("GET",))),
        ({"header": {"name": "X-A"}}, "request_headers", Entry("x-a")),
        ({"header": {"name": "a", "match": {"prefix": "b"}}}, "header_value_match", Entry("a", ("b*",))),
        ({"queryParameter": {"name": "Q"}}, "query_parameters", Entry("Q")),
        (
            {"queryParameter": {"name": "q", "match": {"regex": "a|b"}}},
            "query_parameter_value_match",
            Entry("q", ("a|b",)),
        ),
        ({"remoteAddress": {}}, "remote_address", Entry("remote_address")),
        ({"remoteAddress": {"ipv4Prefix": 8}}, "masked_remote_address", Entry("masked_remote_address")),
        ({"constant": {"value": "a"}}, "generic_key", Entry("generic_key", ("a",))),
        ({"constant": {"key": "k", "value": "a"}}, "generic_key", Entry("k", ("a",))),
        ({"claim": {"name": "sub"}}, "metadata", Entry("sub")),
        ({"claim": {"name": "sub", "match": {"exact": "a"}}}, "extension", Entry("sub", ("a",))),
        ({"path": {"values": ["/a", "/b"]}}, "extension", Entry("path", ("/a", "/b"))),
        ({"source": {}}, "extension", Entry("source")),
    ],
)
def test_each_property_is_read_by_an_action(descriptor: dict[str, Any], kind: str, entry: Entry) -> None:
    """The action, and the key and values of the entry that it adds."""
    found = step(**descriptor)
    assert found.action.WhichOneof("action_specifier") == kind
    assert found.entry == entry


def test_the_host_is_found_where_envoy_keeps_it() -> None:
    """A request's Host is its authority; the entry carries the name that was written."""
    found = step(header={"name": "Host"})
    assert found.action.request_headers.header_name == ":authority"
    assert found.entry == Entry("host")


def test_masks_are_whole_where_they_are_left_out() -> None:
    """One family may be masked without the other."""
    masked = step(remoteAddress={"ipv6Prefix": 64}).action.masked_remote_address
    assert (masked.v4_prefix_mask_len.value, masked.v6_prefix_mask_len.value) == (32, 64)
    assert step(remoteAddress={"ipv4Prefix": 0}).action.masked_remote_address.v4_prefix_mask_len.value == 0


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ({}, "request.url_path"),
        ({"match": {"exact": "/a"}}, '["/a"][request.url_path == "/a" ? 0 : 1]'),
        ({"match": {"prefix": "/a"}}, '["/a*"][request.url_path.startsWith("/a") ? 0 : 1]'),
        ({"match": {"regex": "/a|/b"}}, '["/a|/b"][request.url_path.matches("^(?:/a|/b)$") ? 0 : 1]'),
    ],
)
def test_what_does_not_match_finds_nothing(path: dict[str, Any], expected: str) -> None:
    """An expression gives the value itself, or what stands for all that match and nothing for the rest."""
    assert expression(step(path=path)) == expected


@pytest.mark.parametrize(
    ("text", "literal"),
    [("a", '"a"'), ('"', '"\\U00000022"'), ("\\", '"\\U0000005c"'), ("é\n", '"\\U000000e9\\U0000000a"')],
)
def test_literals_hold_any_text(text: str, literal: str) -> None:
    """What would end them, or is no plain character, is written by its number."""
    assert quoted(text) == literal
