"""What a client proves itself with, and by what it knows the daemon: CA certificates, a client certificate, a token.

Files are read when the credentials are made, so that what is wrong with one is told by its name.
"""

import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import grpc

LONGEST_TOKEN = 4096
KEY_OF_ANOTHER = "KEY_VALUES_MISMATCH"
"""OpenSSL's word for a certificate and a key that do not belong together."""
_SYSTEM_ROOTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


class CredentialsError(Exception):
    """A file cannot be used; the message names it."""


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM. ``ca`` None: the system's; ``server_name``: the name in the daemon's certificate where it is not the host's."""

    ca: bytes | None = None
    cert: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    server_name: str = ""

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """In gRPC's form."""
        return grpc.ssl_channel_credentials(self.ca or system_roots(), self.key, self.cert)


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to speak to a daemon; without ``tls`` plaintext, which goes to this machine alone."""

    tls: Tls | None = None
    token: str = field(default="", repr=False)


def load_tls(ca: Path | None, cert: Path | None, key: Path | None, server_name: str = "") -> Tls:
    """From files. Raises CredentialsError."""
    if (cert is None) != (key is None):
        raise CredentialsError("a client certificate needs its key beside it: give --cert and --key")
    contents = [_content(path) if path else None for path in (ca, cert, key)]
    if ca and contents[0] is not None:
        _check_ca(ca, contents[0])
    if cert and key:
        _check_pair(cert, key)
    return Tls(contents[0], contents[1], contents[2], server_name)


def load_token(path: Path) -> str:
    """From a file. Raises CredentialsError."""
    return check_token(_content(path).decode("utf-8", "replace").strip(), str(path))


def check_token(text: str, where: str) -> str:
    """The token, if it can be one. Raises CredentialsError, whose message does not have it."""
    if not text or len(text) > LONGEST_TOKEN or not all("!" <= character <= "~" for character in text):
        raise CredentialsError(
            f"{where} holds no token: one line that xdsctl user token printed is what it should hold"
        )
    return text


def system_roots() -> bytes | None:
    """The machine's CA certificates; None where it has none, so that gRPC takes its own."""
    named = ssl.get_default_verify_paths().cafile
    for path in (named, *_SYSTEM_ROOTS):
        if path and Path(path).is_file():
            return Path(path).read_bytes()
    return None


def with_token(channel: grpc.Channel, token: str) -> grpc.Channel:
    """A channel whose calls carry the token."""
    return grpc.intercept_channel(channel, _Bearer(token))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialsError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error


def _check_ca(path: Path, content: bytes) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            cadata=content.decode("ascii", "replace")
        )
    except (ssl.SSLError, ValueError) as error:
        raise CredentialsError(f"{path} holds no certificates in PEM; give the CA's file as --ca") from error


def _check_pair(cert: Path, key: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key, lambda: b"")
    except (ssl.SSLError, OSError, ValueError) as error:
        if getattr(error, "reason", None) == KEY_OF_ANOTHER:
            raise CredentialsError(
                f"{cert} and {key} do not fit: the key is of another certificate"
            ) from error
        raise CredentialsError(
            f"{cert} and {key} are no certificate in PEM and its key, without a password: "
            f"{getattr(error, 'reason', None) or error}"
        ) from error


class _Details(NamedTuple):
    """A call's details, with more metadata."""

    method: str
    timeout: float | None
    metadata: Sequence[tuple[str, str | bytes]] | None
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: Any


class _Bearer(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[type-arg]
    grpc.UnaryStreamClientInterceptor,  # type: ignore[type-arg]
    grpc.StreamUnaryClientInterceptor,  # type: ignore[type-arg]
    grpc.StreamStreamClientInterceptor,  # type: ignore[type-arg]
):
    """Adds the token to every call."""

    def __init__(self, token: str) -> None:
        self._header = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return continuation(self._more(details), request)

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return continuation(self._more(details), request)

    def intercept_stream_unary(
        self, continuation: Callable[..., Any], details: Any, requests: Iterator[Any]
    ) -> Any:
        return continuation(self._more(details), requests)

    def intercept_stream_stream(
        self, continuation: Callable[..., Any], details: Any, requests: Iterator[Any]
    ) -> Any:
        return continuation(self._more(details), requests)

    def _more(self, details: Any) -> _Details:
        return _Details(
            details.method,
            details.timeout,
            (*(details.metadata or ()), self._header),
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )
