"""Handshakes of TLS by OpenSSL's hand: which versions and ciphers a server speaks."""

import socket
import ssl
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

OLD = (ssl.TLSVersion.SSLv3, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
MODERN = frozenset(
    f"ECDHE-{signature}-{cipher}"
    for signature in ("ECDSA", "RSA")
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
)
"""Ciphers of TLS 1.2 with ephemeral keys, which authenticate what they encrypt."""


def handshake(
    port: int, prepare: Callable[[ssl.SSLContext], object] = lambda _: None, own: Path | None = None
) -> str:
    """The version and cipher that a server on loopback agrees to; raises OSError where it agrees to none. The client takes
    any certificate, and the weakest ciphers too; ``own`` is a file of its certificate and key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    if own is not None:
        context.load_cert_chain(own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are what is tried
        prepare(context)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
        context.wrap_socket(raw, server_hostname="xdsd") as wrapped,
    ):
        cipher = wrapped.cipher()
        assert cipher is not None
        return f"{wrapped.version()} {cipher[0]}"


def only(version: ssl.TLSVersion) -> Callable[[ssl.SSLContext], None]:
    """A client that speaks one version."""

    def prepare(context: ssl.SSLContext) -> None:
        context.minimum_version, context.maximum_version = ssl.TLSVersion.SSLv3, version
        context.minimum_version = version

    return prepare


def ciphers_of(port: int, own: Path | None = None) -> set[str]:
    """The ciphers of TLS 1.2 that a server agrees to, of all that OpenSSL has, each tried alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    names = [str(each["name"]) for each in context.get_ciphers() if "TLSv1.3" not in str(each["protocol"])]
    assert {"AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA256"} <= set(names)
    found = set()
    for name in names:

        def prepare(made: ssl.SSLContext, name: str = name) -> None:
            made.maximum_version = ssl.TLSVersion.TLSv1_2
            made.set_ciphers(f"{name}:@SECLEVEL=0")

        with suppress(OSError):
            found.add(handshake(port, prepare, own).partition(" ")[2])
    return found


def old_versions_of(port: int, own: Path | None = None) -> set[str]:
    """The versions before TLS 1.2 that a server agrees to."""
    found = set()
    for version in OLD:
        with suppress(OSError):
            found.add(handshake(port, only(version), own))
    return found
