"""Users for tests, and how they call."""

import json
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import grpc

from api.access.caller import Binding, Role
from api.access.users import User, new_token
from api.credentials import Credentials
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.proto.xdsd.admin.v1 import admin_pb2_grpc as services
from tests.api.daemon import Daemon

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def binding(role: str, *namespaces: str) -> Binding:
    return Binding(Role(role), frozenset(namespaces))


def with_token(
    server: Daemon, name: str, *bindings: Binding, expires: timedelta | None = None
) -> Credentials:
    """Adds a user with these roles; what its token makes of a client."""
    now = datetime.now(UTC)
    text, token = new_token(now, now + expires if expires else None, "")
    server.run(server.directory.add(User(name, bindings, (token,))))
    return Credentials(token=text)


def call(server: Daemon, *metadata: tuple[str, str], channel: grpc.Channel | None = None) -> str:
    """Whom the daemon takes for the caller, by whatever metadata. Raises grpc.RpcError."""
    with ExitStack() as stack:
        used = channel or stack.enter_context(plain_channel(server))
        name: str = services.AccessStub(used).WhoAmI(pb.WhoAmIRequest(), timeout=60, metadata=metadata).name
    return name


def plain_channel(server: Daemon) -> grpc.Channel:
    """A connection that proves nothing."""
    return grpc.insecure_channel(str(server.address), (("grpc.enable_http_proxy", 0),))


def code(error: grpc.RpcError) -> grpc.StatusCode:
    """The stubs' RpcError hides that it is the call too."""
    found: grpc.StatusCode = error.code()
    return found


def sidecar(namespace: str = "a", name: str = "x") -> bytes:
    """An object that is fine in any namespace."""
    return json.dumps(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "Sidecar",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"egress": [{"hosts": ["*/*"]}]},
        }
    ).encode()
