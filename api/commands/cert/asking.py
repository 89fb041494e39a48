"""Asking a daemon for a certificate on its TLS ports."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import grpc
from cryptography import x509

from api.commands.cert.folder import Files
from api.proto.istio.v1.auth import ca_pb2 as pb
from xdsd.ca.authority import signing_request
from xdsd.ca.issuer import bundle
from xdsd.ca.keys import new_key, private_pem, public_der
from xdsd.ca.reading import Unreadable, read_certificates, read_key
from xdsd.setting_values import TcpAddress

_METHOD = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
_SERVER_NAME = "xdsd"
_TIMEOUT = 30.0
_CUT = ("handshak", "ssl", "closed", "reset", "broken pipe")
"""What gRPC says in some place where the other side ended a connection that was there."""


class NoCertificateError(Exception):
    """There is none; the message says why, and nothing of what proves who asks."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: with a join ``token``, or with what ``files`` hold. ``roots`` (PEM) are trusted to be the daemon's."""

    roots: bytes = field(repr=False)
    token: str = field(default="", repr=False)
    files: Files | None = field(default=None, repr=False)


def ask(servers: Sequence[TcpAddress], asker: Asker, lifetime: int) -> Files:
    """A fresh key and its certificate, of the first daemon that answers. Raises NoCertificateError."""
    held = _held(asker)
    key = new_key()
    request = pb.IstioCertificateRequest(csr=signing_request(key).decode(), validity_duration=lifetime)
    failures = []
    for server in servers:
        try:
            response = _call(server, asker, request)
        except grpc.RpcError as error:
            failures.append(f"{server}: {_why(error, asker, held)}")
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                break
        else:
            try:
                chain = read_certificates("".join(response.cert_chain[:-1]).encode(), "the answer's chain")
                roots = read_certificates("".join(response.cert_chain[-1:]).encode(), "the answer's roots")
            except Unreadable as error:
                raise NoCertificateError(f"{server} gave no certificate: {error}") from error
            if public_der(chain[0].public_key()) != public_der(key.public_key()):  # type: ignore[arg-type]
                raise NoCertificateError(f"{server} gave the certificate of another key")
            return Files(b"".join(bundle([each]) for each in chain), private_pem(key), bundle(roots))
    raise NoCertificateError("; ".join(failures) or "no daemon was named")


def _call(
    server: TcpAddress, asker: Asker, request: pb.IstioCertificateRequest
) -> pb.IstioCertificateResponse:
    files = asker.files
    credentials = grpc.ssl_channel_credentials(
        asker.roots, files.key if files else None, files.certificate if files else None
    )
    # Of all certificates that the mesh's CA signs the daemons' alone have this name.
    options = (("grpc.ssl_target_name_override", _SERVER_NAME), ("grpc.enable_http_proxy", 0))
    with grpc.secure_channel(str(server), credentials, options) as channel:
        call = channel.unary_unary(
            _METHOD, pb.IstioCertificateRequest.SerializeToString, pb.IstioCertificateResponse.FromString
        )
        metadata = (("authorization", f"Bearer {asker.token}"),) if asker.token else None
        response: pb.IstioCertificateResponse = call(request, timeout=_TIMEOUT, metadata=metadata)
        return response


def _held(asker: Asker) -> x509.Certificate | None:
    """The certificate that is shown, if any. Raises NoCertificateError for files that nobody could believe."""
    try:
        read_certificates(asker.roots, "what is to be trusted (--root, root.pem)")
        if asker.files is None:
            return None
        found = read_certificates(asker.files.certificate, "cert.pem")[0]
        key = read_key(asker.files.key, "key.pem")
    except Unreadable as error:
        raise NoCertificateError(str(error)) from error
    if public_der(found.public_key()) != public_der(key.public_key()):  # type: ignore[arg-type]
        raise NoCertificateError("key.pem is not the key of cert.pem; get others with xdsctl cert issue")
    return found


def _why(error: grpc.RpcError, asker: Asker, held: x509.Certificate | None) -> str:
    """The daemon's sentence, or that it cannot be reached: gRPC's own has handshakes in it."""
    details = str(error.details() or "")
    if error.code() is not grpc.StatusCode.UNAVAILABLE or "certificate can be issued" in details:
        return details
    if "CERTIFICATE_VERIFY_FAILED" in details or "certificate verify failed" in details.lower():
        return (
            "its certificate is not of the roots that are trusted, or the clocks differ; "
            "xdsctl ca bundle prints the mesh's roots"
        )
    if held is not None and held.not_valid_after_utc <= datetime.now(UTC):
        ended = held.not_valid_after_utc.isoformat()
        return f"the certificate expired at {ended}, so it proves nothing; get another with xdsctl cert issue"
    if any(each in details.lower() for each in _CUT):
        if asker.token:
            return (
                "it closed the connection: the port may want a certificate, as xds-mtls-address does; "
                "xds-tls-address takes tokens"
            )
        return "it refused the connection: the certificate may be of another mesh, or the clocks differ"
    return f"it cannot be reached: {details}"
