"""Where a Sidecar's listeners sit and where its ingress leads."""

import pytest

from xdsd.compile.sidecar_bindings import (
    Binding,
    IngressTarget,
    egress_binding,
    ingress_binding,
    ingress_target,
    wildcard,
)
from xdsd.model.intent import CaptureMode
from xdsd.model.mesh import Interception
from xdsd.model.problem import Problem, Reason

REDIRECT, NONE = Interception.REDIRECT, Interception.NONE


@pytest.mark.parametrize(
    ("bind", "mode", "interception", "expected"),
    [
        (None, None, REDIRECT, Binding("", bind_to_port=False)),
        (None, CaptureMode.DEFAULT, REDIRECT, Binding("", bind_to_port=False)),
        ("10.0.0.9", CaptureMode.IPTABLES, REDIRECT, Binding("10.0.0.9", bind_to_port=False)),
        (None, CaptureMode.NONE, REDIRECT, Binding("127.0.0.1", bind_to_port=True)),
        ("unix:///run/x.sock", None, REDIRECT, Binding("unix:///run/x.sock", bind_to_port=True)),
        (None, None, NONE, Binding("127.0.0.1", bind_to_port=True)),
        ("127.0.0.2", CaptureMode.IPTABLES, NONE, Binding("127.0.0.2", bind_to_port=True)),
    ],
)
def test_egress_listeners_bind_unless_traffic_is_redirected(
    bind: str | None, mode: CaptureMode | None, interception: Interception, expected: Binding
) -> None:
    """A listener opens its port if nobody redirects to it: by its own wish, its proxy's, or as a Unix
    socket.
    """
    assert egress_binding(bind, mode, interception) == expected


def test_loopback_of_explicit_listeners_is_a_setting() -> None:
    """Several sidecars on one machine keep apart by their loopback addresses."""
    assert egress_binding(None, None, NONE, loopback="127.0.0.7") == Binding("127.0.0.7", bind_to_port=True)


@pytest.mark.parametrize(
    ("bind", "mode", "interception", "expected"),
    [
        (None, None, REDIRECT, Binding("0.0.0.0", bind_to_port=False)),
        (None, CaptureMode.NONE, REDIRECT, Binding("10.0.0.1", bind_to_port=True)),
        (None, None, NONE, Binding("10.0.0.1", bind_to_port=True)),
        ("10.0.0.2", CaptureMode.IPTABLES, NONE, Binding("10.0.0.2", bind_to_port=True)),
    ],
)
def test_ingress_listeners_bind_the_proxys_address(
    bind: str | None, mode: CaptureMode | None, interception: Interception, expected: Binding
) -> None:
    """An ingress listener that binds does so beside its program, never over it."""
    assert ingress_binding(bind, mode, interception, proxy_address="10.0.0.1") == expected


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("127.0.0.1:8080", IngressTarget("127.0.0.1", 8080)),
        ("[::1]:8080", IngressTarget("::1", 8080)),
        ("0.0.0.0:8080", IngressTarget("10.0.0.1", 8080)),
        ("[::]:8080", IngressTarget("10.0.0.1", 8080)),
        ("unix:///run/app.sock", IngressTarget("unix:///run/app.sock", 0)),
        (None, IngressTarget("127.0.0.1", 9080)),
        ("", IngressTarget("127.0.0.1", 9080)),
    ],
)
def test_default_endpoint_takes_the_published_forms(endpoint: str | None, expected: IngressTarget) -> None:
    """Loopback, the instance's own address and Unix sockets are where a program may listen."""
    assert ingress_target(endpoint, 9080, "10.0.0.1") == expected


def test_ipv6_proxies_forward_to_ipv6_loopback() -> None:
    """Without an endpoint, loopback is that of the proxy's family."""
    assert ingress_target(None, 9080, "fd00::1") == IngressTarget("::1", 9080)
    assert wildcard("fd00::1") == "::"


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("10.1.2.3:8080", Reason.INVALID_VALUE),
        ("localhost:8080", Reason.INVALID_VALUE),
        ("127.0.0.1", Reason.INVALID_VALUE),
        ("unix://relative", Reason.INVALID_VALUE),
        ("127.0.0.1:0", Reason.OUT_OF_RANGE),
        ("127.0.0.1:65536", Reason.OUT_OF_RANGE),
    ],
)
def test_other_endpoints_are_problems(endpoint: str, reason: Reason) -> None:
    """Arbitrary addresses are refused with what would be right."""
    problem = ingress_target(endpoint, 9080, "10.0.0.1")
    assert isinstance(problem, Problem)
    assert problem.reason is reason
