"""What is known of a request or of a connection that carries none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

SPIFFE = "spiffe://"


class Identity(NamedTuple):
    """A workload's identity: ``spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/SERVICE_ACCOUNT``."""

    trust_domain: str
    namespace: str
    service_account: str


def identity(uri: str) -> Identity | None:
    """The parts of a SPIFFE id; None for what is not of the form that meshes issue."""
    parts = uri.removeprefix(SPIFFE).split("/")
    if (
        not uri.startswith(SPIFFE)
        or len(parts) != 5
        or (parts[1], parts[3]) != ("ns", "sa")
        or not all(parts)
    ):
        return None
    return Identity(parts[0], parts[2], parts[4])


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as authorization sees it: ``path`` is normalized and without query, names of ``headers`` are in
    small letters, each with its values. ``claims`` are those of a token that was proven.
    """

    method: str = "GET"
    host: str = ""
    path: str = "/"
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    claims: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """``peer`` is the URI that the caller's certificate proves, or empty. ``source`` is the address of the connection's
    other end, ``remote`` that of the client. ``port`` is where the workload is served. ``request`` is None on a port that
    is not HTTP. ``metadata`` is what other filters know, by their names.
    """

    peer: str = ""
    source: str = ""
    remote: str = ""
    destination: str = ""
    port: int = 0
    server_name: str = ""
    request: Request | None = None
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
