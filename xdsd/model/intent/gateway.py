"""Gateway: ports that a proxy at the edge opens, and the hosts it serves there."""

from enum import StrEnum

from xdsd.model.intent.base import Bool, Message, PortNumber, Str, absent, many, needed, table
from xdsd.model.intent.selector import Labels
from xdsd.model.intent.values import Address, PortName, PortProtocol, ServerHost


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
    ca_certificates: Str | None = absent("File with the authorities that vouch for clients.")


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
        "Secrets with certificates and keys of different types.", max_length=2
    )
    ca_cert_credential_name: Str | None = absent("Secret with the authorities that vouch for clients.")
    tls_certificates: tuple[TLSCertificate, ...] = many("Certificates of different types.", max_length=2)
    subject_alt_names: tuple[Str, ...] = many("Names of which a client's certificate must hold one.")
    verify_certificate_spki: tuple[Str, ...] = many("Base64 SHA-256 hashes of accepted clients' public keys.")
    verify_certificate_hash: tuple[Str, ...] = many("Hex SHA-256 hashes of accepted clients' certificates.")
    min_protocol_version: TLSProtocol | None = absent("Lowest version of TLS.")
    max_protocol_version: TLSProtocol | None = absent("Highest version of TLS.")
    cipher_suites: tuple[Str, ...] = many("Cipher suites to offer.")
    ecdh_curves: tuple[Str, ...] = many("Curves to offer.")
    insecure_skip_verify: Bool | None = absent("Do not verify clients.", nullable=True)


class Port(Message):
    """A port that a server listens on."""

    number: PortNumber = needed("Port number.")
    protocol: PortProtocol = needed("Protocol: HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, MONGO, TCP or TLS.")
    name: PortName = needed("Name of the port.")
    target_port: PortNumber | None = absent("Port of the pod behind it.")


class Server(Message):
    """A port and the hosts served there."""

    port: Port = needed("Where to listen.")
    bind: Address | None = absent("Address to listen on; all if left out.")
    hosts: tuple[ServerHost, ...] = needed("Hosts served; namespace/host limits who may bind routes.")
    tls: ServerTLSSettings | None = absent("TLS of the server.")
    default_endpoint: Str | None = absent("Where traffic goes by default.")
    name: Str | None = absent("Name of the server, unique in the object.")


class Gateway(Message):
    """Servers on the proxies that it selects."""

    servers: tuple[Server, ...] = many("Servers of the gateway.")
    selector: Labels = table("Labels of the proxies that open the ports.")
