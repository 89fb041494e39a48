"""Where the listeners that a Sidecar declares sit, and where its ingress leads.

A listener *binds* if it opens a port (or Unix socket) of its own, to be called on purpose. Otherwise
it only stands for redirected connections. Without redirection every listener binds, whatever its
``captureMode`` says: the published reference lets an ``IPTABLES`` listener of such a proxy vanish, and
a lost port helps nobody.
"""

import re
from dataclasses import dataclass

from xdsd.compile.addresses import is_unix
from xdsd.model.intent import CaptureMode
from xdsd.model.mesh import Interception
from xdsd.model.problem import Problem, Reason

_IP_AND_PORT = re.compile(r"(127\.0\.0\.1|0\.0\.0\.0|\[::1\]|\[::\]):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Binding:
    """``bind`` is an IP or ``unix://…``; empty lets the services decide (their addresses, or any)."""

    bind: str
    bind_to_port: bool


@dataclass(frozen=True, slots=True)
class IngressTarget:
    """Where a program listens: an IP with a port, or ``unix:///path`` and 0."""

    address: str
    port: int


def egress_binding(
    bind: str | None,
    capture_mode: CaptureMode | None,
    interception: Interception,
    *,
    loopback: str = "127.0.0.1",
) -> Binding:
    """Where an egress listener sits; one that binds without saying where does so at ``loopback``."""
    binds = _binds(capture_mode, interception) or is_unix(bind or "")
    return Binding(bind or (loopback if binds else ""), binds)


def ingress_binding(
    bind: str | None, capture_mode: CaptureMode | None, interception: Interception, *, proxy_address: str
) -> Binding:
    """Where an ingress listener sits; one that binds without saying where does so at the proxy's address.

    Binding every address instead would collide with the program itself, which listens on the same port of
    another address.
    """
    binds = _binds(capture_mode, interception)
    return Binding(bind or (proxy_address if binds else wildcard(proxy_address)), binds)


def ingress_target(default_endpoint: str | None, port: int, proxy_address: str) -> IngressTarget | Problem:
    """Where an ingress listener of ``port`` forwards to, by its ``defaultEndpoint``.

    Left out it is the same port of loopback. ``0.0.0.0`` and ``[::]`` stand for the proxy's own address. The
    problem, if it is malformed, still lacks its object and path.
    """
    if not default_endpoint:
        return IngressTarget("::1" if ":" in proxy_address else "127.0.0.1", port)
    if default_endpoint.startswith("unix:///"):
        return IngressTarget(default_endpoint, 0)
    match = _IP_AND_PORT.fullmatch(default_endpoint)
    if match is None:
        return Problem(
            Reason.INVALID_VALUE,
            f"{default_endpoint!r} is not an endpoint of the workload; use 127.0.0.1:PORT, [::1]:PORT,"
            " 0.0.0.0:PORT, [::]:PORT (its own address) or unix:///path",
        )
    address, target = match[1].strip("[]"), int(match[2])
    if not 0 < target < 65536:
        return Problem(Reason.OUT_OF_RANGE, f"port {target} is not between 1 and 65535")
    return IngressTarget(proxy_address if address in {"0.0.0.0", "::"} else address, target)


def wildcard(proxy_address: str) -> str:
    """Every address of the family of ``proxy_address``: ``0.0.0.0`` or ``::``."""
    return "::" if ":" in proxy_address else "0.0.0.0"


def _binds(capture_mode: CaptureMode | None, interception: Interception) -> bool:
    return interception is Interception.NONE or capture_mode is CaptureMode.NONE
