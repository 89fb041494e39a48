"""How long requests and calls may take, by the timeout of their route and the protocol of where they go."""

from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from tests.compile.routing import OWNER, SIDECAR, AllKnown
from xdsd.compile.http_filters import GRPC_WEB
from xdsd.compile.routes import default_http_route, http_routes, inbound_http_route
from xdsd.model.catalog import Protocol
from xdsd.model.intent import VirtualService

PROTOCOLS = {
    "http": Protocol.HTTP,
    "h2": Protocol.HTTP2,
    "grpc": Protocol.GRPC,
    "web": Protocol.GRPC_WEB,
    "auto": Protocol.AUTO,
}


def route(*hosts: str, **more: Any) -> Any:
    """The one route of a rule to these hosts (a generated message)."""
    to = [{"destination": {"host": host}, "weight": 1} for host in hosts]
    spec = VirtualService.model_validate({"hosts": ["a"], "http": [{"route": to, **more}]})
    (made,) = http_routes(spec, OWNER, SIDECAR, AllKnown(protocols=PROTOCOLS))
    return made


def limits(made: Any) -> dict[str, Any]:
    """What bounds the time of a route's requests."""
    action = MessageToDict(made.route)
    return {"timeout": action["timeout"], **action.get("maxStreamDuration", {})}


@pytest.mark.parametrize("host", [*PROTOCOLS, "unknown"])
def test_without_a_timeout_a_call_ends_when_it_says(host: str) -> None:
    """Requests may take for ever, calls as long as their grpc-timeout says; on every port."""
    expected = {"timeout": "0s", "grpcTimeoutHeaderMax": "0s"}
    assert limits(route(host)) == expected
    assert limits(route(host, "h2")) == expected
    assert limits(default_http_route("a")) == expected
    assert limits(inbound_http_route("a")) == expected


@pytest.mark.parametrize("hosts", [("grpc",), ("web",), ("grpc", "web")])
def test_a_timeout_on_ports_of_grpc_bounds_calls(hosts: tuple[str, ...]) -> None:
    """The whole call, whatever it says itself."""
    assert limits(route(*hosts, timeout="2s")) == {
        "timeout": "2s",
        "grpcTimeoutHeaderMax": "2s",
        "maxStreamDuration": "2s",
    }


@pytest.mark.parametrize("hosts", [("http",), ("h2",), ("auto",), ("unknown",), ("grpc", "http")])
def test_a_timeout_elsewhere_is_envoys(hosts: tuple[str, ...]) -> None:
    """From the end of the request to the end of the answer."""
    assert limits(route(*hosts, timeout="2s")) == {"timeout": "2s"}


def test_browsers_words_are_translated_where_a_port_says_so() -> None:
    """On routes that lead to such ports alone, with and without rules, and on the way in."""
    for made in (
        route("web"),
        route("web", "web"),
        default_http_route("a", grpc_web=True),
        inbound_http_route("a", grpc_web=True),
    ):
        assert GRPC_WEB in made.typed_per_filter_config
    for made in (
        route("grpc"),
        route("web", "grpc"),
        default_http_route("a"),
        inbound_http_route("a"),
    ):
        assert not made.typed_per_filter_config
