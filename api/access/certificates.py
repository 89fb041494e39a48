"""The certificates of the admin API's port: read from files, checked, and followed as the files are replaced."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc
from structlog.typing import FilteringBoundLogger

from api.credentials import KEY_OF_ANOTHER

_Signature = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class ServerTls:
    """Files (PEM) of the port's certificate chain and key. With ``client_ca`` every caller needs a certificate of it."""

    cert: Path
    key: Path
    client_ca: Path | None = None


def server_credentials(tls: ServerTls, logger: FilteringBoundLogger) -> grpc.ServerCredentials:
    """Credentials that follow their files; while these cannot be used, the last that could be hold.

    Raises OSError, whose sentence names the files and the settings, where they cannot be used from the start.
    """
    files = _Files(tls, logger)
    return grpc.dynamic_ssl_server_credentials(
        files.first(),
        files.changed,  # type: ignore[arg-type]  # None says that nothing changed
        require_client_authentication=tls.client_ca is not None,
    )


class _Files:
    """What gRPC asks, in a thread of its own, before each handshake."""

    def __init__(self, tls: ServerTls, logger: FilteringBoundLogger) -> None:
        self._tls = tls
        self._logger = logger
        self._paths = [path for path in (tls.cert, tls.key, tls.client_ca) if path]
        self._taken: _Signature = ()
        self._refused: _Signature = ()

    def first(self) -> grpc.ServerCertificateConfiguration:
        """What they hold now. Raises OSError."""
        try:
            self._taken = self._signature()
            return self._configuration()
        except OSError as error:
            if error.filename is None:
                raise
            why = (error.strerror or str(error)).lower()
            raise OSError(f"{error.filename} cannot be read: {why}; {_SETTINGS}") from error

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """What they hold since they were replaced; None where they were not, or hold nothing that can be used."""
        now: _Signature = ()
        try:
            now = self._signature()
            if now == self._taken:
                return None
            fresh = self._configuration()
        except OSError as error:
            if now != self._refused or not now:
                self._refused = now
                self._logger.warning("certificates of the admin port are as they were", why=str(error))
            return None
        self._taken = now
        self._logger.info("certificates of the admin port are new", cert=str(self._tls.cert))
        return fresh

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        """Raises OSError."""
        tls = self._tls
        chain = [(tls.key.read_bytes(), tls.cert.read_bytes())]
        ca = tls.client_ca.read_bytes() if tls.client_ca else None
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.cert, tls.key, lambda: b"")
        except ssl.SSLError as error:
            if error.reason == KEY_OF_ANOTHER:
                raise OSError(
                    f"{tls.cert} and {tls.key} do not fit: the key is of another certificate; {_SETTINGS}"
                ) from error
            raise OSError(
                f"{tls.cert} and {tls.key} are no certificate in PEM and its key, without a password; {_SETTINGS}"
            ) from error
        if tls.client_ca:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(tls.client_ca)
            except ssl.SSLError as error:
                raise OSError(f"{tls.client_ca} holds no certificates in PEM; {_SETTINGS}") from error
        return grpc.ssl_server_certificate_configuration(chain, ca)

    def _signature(self) -> _Signature:
        """Differs when a file was written or replaced."""
        found = (path.stat() for path in self._paths)
        return tuple((each.st_mtime_ns, each.st_ino, each.st_size) for each in found)


_SETTINGS = "see the settings admin-tls-cert, admin-tls-key and admin-client-ca"
