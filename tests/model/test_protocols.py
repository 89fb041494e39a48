"""How a port's protocol is known."""

import pytest

from xdsd.model.catalog import Protocol
from xdsd.model.protocols import protocol_of


@pytest.mark.parametrize(
    ("number", "name", "application", "protocol"),
    [
        (80, "http", "", Protocol.HTTP),
        (80, "http-web", "", Protocol.HTTP),
        (80, "HTTP2-x", "", Protocol.HTTP2),
        (80, "grpc-web", "", Protocol.GRPC_WEB),
        (80, "grpc-web-x", "", Protocol.GRPC_WEB),
        (80, "grpc-webs", "", Protocol.GRPC_WEB),
        (80, "grpc-x", "", Protocol.GRPC),
        (80, "tcp-http", "", Protocol.TCP),
        (80, "https-x", "", Protocol.HTTPS),
        (80, "mongo", "", Protocol.MONGO),
        (80, "httpx", "", Protocol.AUTO),
        (80, "web", "", Protocol.AUTO),
        (80, "", "", Protocol.AUTO),
        (80, "auto", "", Protocol.AUTO),
        (3306, "db", "", Protocol.TCP),
        (3306, "http-db", "", Protocol.HTTP),
        (80, "tcp", "http", Protocol.HTTP),
        (80, "http", "example.com/own", Protocol.AUTO),
        (80, "x", "kubernetes.io/h2c", Protocol.HTTP2),
        (80, "x", "kubernetes.io/ws", Protocol.HTTP),
        (80, "x", "kubernetes.io/wss", Protocol.HTTPS),
    ],
)
def test_a_protocol_is_named_or_found_out(
    number: int, name: str, application: str, protocol: Protocol
) -> None:
    """By the application protocol, else by the name's first word; ports whose servers speak first are opaque unless told."""
    assert protocol_of(number, name, application) is protocol
