"""Which rules of a VirtualService are for which connections."""

from typing import Literal

from xdsd.model.catalog import Protocol

Section = Literal["http", "tcp", "tls"]
"""The rules of a VirtualService by what they are for: requests, opaque connections, or TLS that is passed through."""


SECTIONS: tuple[Section, ...] = ("http", "tcp", "tls")


def section_of(protocol: Protocol) -> Section:
    """The rules that are for connections of a protocol; undeclared ones are opaque unless HTTP is found in them."""
    if protocol.is_http:
        return "http"
    return "tls" if protocol.is_tls else "tcp"


def sections_of(protocol: Protocol) -> frozenset[Section]:
    """All rules that may count for ports of a protocol."""
    return frozenset({"http", "tcp"}) if protocol.is_auto else frozenset({section_of(protocol)})
