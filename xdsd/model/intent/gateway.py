"""Gateway: ports that a proxy at the edge opens, and the hosts it serves there."""

from collections.abc import Iterator
from enum import StrEnum

from xdsd.model.intent.base import (
    Bool,
    Finding,
    Message,
    PortNumber,
    PortOrZero,
    Str,
    absent,
    many,
    missing,
    needed,
    published_name,
    shown,
    table,
    wrong,
)
from xdsd.model.intent.hosts import BindAddress, ServerHost, unix_fault
from xdsd.model.intent.values import Labels, PortProtocol
from xdsd.model.problem import Reason


class ServerTLSMode(StrEnum):
    """What a server does with TLS."""

    PASSTHROUGH = "PASSTHROUGH"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    AUTO_PASSTHROUGH = "AUTO_PASSTHROUGH"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"
    OPTIONAL_MUTUAL = "OPTIONAL_MUTUAL"


class TLSProtocol(StrEnum):
    """A version of TLS."""

    TLS_AUTO = "TLS_AUTO"
    TLSV1_0 = "TLSV1_0"
    TLSV1_1 = "TLSV1_1"
    TLSV1_2 = "TLSV1_2"
    TLSV1_3 = "TLSV1_3"


class TLSCertificate(Message):
    """A certificate with its key, in files."""

    server_certificate: Str | None = absent("File with the server's certificate.")
    private_key: Str | None = absent("File with the server's key.")
    ca_certificates: Str | None = absent("File with the authorities that vouch for clients; without effect.")


VERIFIES = (ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL)
UNREAD = (None, ServerTLSMode.PASSTHROUGH, ServerTLSMode.AUTO_PASSTHROUGH)
OF_SERVERS = (
    *("server_certificate", "private_key", "ca_certificates"),
    *("credential_name", "credential_names", "tls_certificates"),
    *("min_protocol_version", "max_protocol_version", "cipher_suites", "ecdh_curves"),
)
OF_CLIENTS = (
    *("ca_crl", "ca_cert_credential_name", "subject_alt_names", "verify_certificate_spki"),
    *("verify_certificate_hash", "insecure_skip_verify"),
)
CREDENTIALS = ("credential_name", "credential_names", "tls_certificates")


class ServerTLSSettings(Message):
    """TLS of connections to a server."""

    at_most_one = (("credentialName", "credentialNames", "tlsCertificates"),)

    https_redirect: Bool | None = absent("Answer plain HTTP with a redirect to HTTPS.")
    mode: ServerTLSMode | None = absent("What is done with TLS.")
    server_certificate: Str | None = absent("File with the server's certificate.")
    private_key: Str | None = absent("File with the server's key.")
    ca_certificates: Str | None = absent("File with the authorities that vouch for clients.")
    ca_crl: Str | None = absent("File with revoked certificates.")
    credential_name: Str | None = absent("Secret with certificate and key.")
    credential_names: tuple[Str, ...] = many(
        "Secrets with certificates and keys of different types.", min_length=1, max_length=2
    )
    ca_cert_credential_name: Str | None = absent("Secret with the authorities that vouch for clients.")
    tls_certificates: tuple[TLSCertificate, ...] = many(
        "Certificates of different types.", min_length=1, max_length=2
    )
    subject_alt_names: tuple[Str, ...] = many("Names of which a client's certificate must hold one.")
    verify_certificate_spki: tuple[Str, ...] = many("Base64 SHA-256 hashes of accepted clients' public keys.")
    verify_certificate_hash: tuple[Str, ...] = many("Hex SHA-256 hashes of accepted clients' certificates.")
    min_protocol_version: TLSProtocol | None = absent("Lowest version of TLS.")
    max_protocol_version: TLSProtocol | None = absent("Highest version of TLS.")
    cipher_suites: tuple[Str, ...] = many("Cipher suites to offer.")
    ecdh_curves: tuple[Str, ...] = many("Curves to offer.")
    insecure_skip_verify: Bool | None = absent("Do not verify clients.", nullable=True)

    def findings(self) -> Iterator[Finding]:
        if self.mode is ServerTLSMode.ISTIO_MUTUAL:
            yield from self._own_identity_findings()
        elif self.mode in UNREAD:
            for field in (*OF_SERVERS, *OF_CLIENTS):
                if self.is_set(field):
                    yield wrong(
                        "has no effect where TLS is passed through; write mode SIMPLE or MUTUAL",
                        published_name(field),
                    )
        elif self.mode in VERIFIES or self.mode is ServerTLSMode.SIMPLE:
            yield from self._certificate_findings()

    def _own_identity_findings(self) -> Iterator[Finding]:
        for field in ("server_certificate", "private_key", "ca_certificates", *CREDENTIALS):
            if self.is_set(field):
                yield wrong(
                    "mode ISTIO_MUTUAL uses the proxy's own certificate, so none may be named",
                    published_name(field),
                )
        for field in OF_CLIENTS:
            if field != "subject_alt_names" and self.is_set(field):
                yield wrong(
                    "has no effect in mode ISTIO_MUTUAL, which believes whom the mesh vouches for",
                    published_name(field),
                )

    def _certificate_findings(self) -> Iterator[Finding]:
        if self.mode is ServerTLSMode.SIMPLE:
            for field in OF_CLIENTS:
                if self.is_set(field):
                    yield wrong(
                        "has no effect in mode SIMPLE, which asks clients for no certificate",
                        published_name(field),
                    )
        if self.credential_name or self.credential_names:
            for field in ("server_certificate", "private_key"):
                if self.is_set(field):
                    yield wrong(
                        "a credential takes the place of files; name one of both", published_name(field)
                    )
            return
        vouched = self.ca_certificates or self.ca_cert_credential_name or self.insecure_skip_verify
        if self.mode in VERIFIES and not vouched:
            yield missing(f"is missing; mode {self.mode} verifies clients", "caCertificates")
        if self.tls_certificates:
            return
        for field, value in (
            ("serverCertificate", self.server_certificate),
            ("privateKey", self.private_key),
        ):
            if not value:
                yield missing(f"is missing; mode {self.mode} needs it, or credentialName", field)


class Port(Message):
    """A port that a server listens on."""

    number: PortOrZero = needed("Port number; 0 where bind is a Unix socket.")
    protocol: PortProtocol = needed("Protocol: HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, MONGO, TCP or TLS.")
    name: Str = needed("Name of the port, unique in the object.", min_length=1)
    target_port: PortNumber | None = absent("Port of the pod behind it; without effect.")


def _endpoint_fault(text: str) -> str | None:
    """Says why ``text`` is no endpoint on the gateway's own machine, to follow it, or None."""
    if text.startswith("unix://"):
        return unix_fault(text)
    host, _, port = text.rpartition(":")
    if host not in ("127.0.0.1", "[::1]"):
        return "is not on the gateway's machine; write 127.0.0.1:PORT, [::1]:PORT or unix:///path"
    valid = port.isascii() and port.isdecimal() and len(port) <= 5 and 1 <= int(port) <= 65535
    return None if valid else "has no port between 1 and 65535"


class Server(Message):
    """A port and the hosts served there."""

    port: Port = needed("Where to listen.")
    bind: BindAddress | None = absent("Address to listen on; all if left out.")
    hosts: tuple[ServerHost, ...] = needed("Hosts served; namespace/host limits who may bind routes.")
    tls: ServerTLSSettings | None = absent("TLS of the server.")
    default_endpoint: Str | None = absent(
        "Program on the gateway's machine that gets what no rule leads elsewhere: 127.0.0.1:PORT or unix:///path."
    )
    name: Str | None = absent("Name of the server, unique in the object.")

    def findings(self) -> Iterator[Finding]:
        if not self.hosts:
            yield missing("is empty; give at least one host, or '*'", "hosts")
        socket = self.bind is not None and self.bind.startswith("unix://")
        if socket and self.port.number:
            yield wrong("bind is a Unix socket, so the port is 0", "port", "number")
        if not socket and not self.port.number:
            yield wrong("0 is below 1", "port", "number", reason=Reason.OUT_OF_RANGE)
        if self.port.protocol in ("HTTPS", "TLS") and self.tls is None:
            yield missing(f"is missing; protocol {self.port.protocol} needs it", "tls")
        if self.tls is not None and self.tls.https_redirect and self.port.protocol in ("HTTPS", "TLS"):
            yield wrong(
                "has no effect on HTTPS; write it in a server of protocol HTTP", "tls", "httpsRedirect"
            )
        if (
            self.tls is not None
            and self.port.protocol not in ("HTTPS", "TLS")
            and not self.tls.https_redirect
        ):
            yield wrong(f"protocol {self.port.protocol} is not secured; write HTTPS or TLS", "tls")
        yield from self._default_findings()

    def _default_findings(self) -> Iterator[Finding]:
        if not self.default_endpoint:
            return
        fault = _endpoint_fault(self.default_endpoint)
        if fault:
            yield wrong(f"{shown(self.default_endpoint)} {fault}", "defaultEndpoint")
        if self.tls is not None and self.tls.mode is ServerTLSMode.AUTO_PASSTHROUGH:
            yield wrong("has no effect in mode AUTO_PASSTHROUGH, where names say all", "defaultEndpoint")
        if self.tls is not None and self.tls.https_redirect:
            yield wrong("has no effect where all are sent to HTTPS", "defaultEndpoint")


class Gateway(Message):
    """Servers on the proxies that it selects."""

    servers: tuple[Server, ...] = many("Servers of the gateway.")
    selector: Labels = table("Labels of the proxies that open the ports.")

    def findings(self) -> Iterator[Finding]:
        if not self.servers:
            yield missing("is missing; give at least one server", "servers")
        ports: set[str] = set()
        names: set[str] = set()
        for index, server in enumerate(self.servers):
            if server.port.name in ports:
                yield wrong(
                    f"{shown(server.port.name)} is the name of an earlier port",
                    "servers",
                    index,
                    "port",
                    "name",
                )
            if server.name in names:
                yield wrong(
                    f"{shown(server.name)} is the name of an earlier server", "servers", index, "name"
                )
            ports.add(server.port.name)
            names.update((server.name,) if server.name else ())
