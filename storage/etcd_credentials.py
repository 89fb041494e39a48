"""Who we are to etcd, and whom we take for etcd: certificates, as bytes or as files that may be replaced, and passwords."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from storage.base import Denied


@dataclass(frozen=True, slots=True)
class EtcdTls:
    """PEM bytes: the certificates that etcd's must come from (None: the system's), and our own with its key, if any."""

    ca: bytes | None = None
    cert: bytes | None = None
    key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class EtcdTlsFiles:
    """The same as files."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def read(self) -> EtcdTls:
        """What they hold now. Raises Denied for what cannot be read, or is no certificate, or not the key of one."""
        found = EtcdTls(*(_read(path) for path in (self.ca, self.cert, self.key)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if self.ca is not None:
                context.load_verify_locations(self.ca)
        except (ssl.SSLError, ValueError):
            raise Denied(f"{self.ca} holds no certificates in PEM; check store-ca") from None
        try:
            if self.cert is not None:
                # Without a password given, a key that wants one would be asked for on the terminal.
                context.load_cert_chain(self.cert, self.key, password=lambda: b"")
        except (ssl.SSLError, ValueError) as error:
            raise Denied(_mismatch(self.cert, self.key, error)) from None
        return found


def password_of(password: str | Path) -> str:
    """The password, or the one that a file holds in its first line. Raises Denied."""
    if isinstance(password, str):
        return password
    found = _read(password) or b""
    return found.decode(errors="replace").rstrip("\r\n")


def _read(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError as error:
        raise Denied(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error


def _mismatch(cert: Path | None, key: Path | None, error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return f"{key} is not the key of the certificate {cert}; check store-cert and store-key"
    return f"{cert} and {key} are no certificate and key in PEM; check store-cert and store-key"
