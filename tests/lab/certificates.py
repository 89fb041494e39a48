"""Certificates for tests, made by ``openssl``: a CA, and what it signs, good or wrong in one way."""

import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import ocsp

from tests.lab.missing import missing


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    cert: Path
    key: Path


class Authority:
    """A CA of its own folder; ``cert`` is what trusts it."""

    def __init__(self, folder: Path, name: str = "test CA") -> None:
        if shutil.which("openssl") is None:
            missing("openssl", "install openssl")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.cert, self._key = folder / "ca.pem", folder / "ca.key"
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7"),
            *("-subj", f"/CN={name}", "-keyout", str(self._key), "-out", str(self.cert)),
            *(
                "-addext",
                "basicConstraints=critical,CA:TRUE",
                "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",
            ),
        )

    def issue(
        self, name: str, *names: str, expired: bool = False, organization: str = "", rsa: bool = False
    ) -> Pair:
        """A certificate named ``name``, for servers under ``names`` (``DNS:…``, ``IP:…``) and for clients alike."""
        kind = ("rsa:2048",) if rsa else ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        _openssl(
            *("req", "-new", "-newkey", *kind, "-nodes"),
            *("-subj", f"{f'/O={organization}' if organization else ''}/CN={name}"),
            *("-keyout", str(pair.key), "-out", str(request)),
        )
        lines = ["extendedKeyUsage=serverAuth,clientAuth", "basicConstraints=CA:FALSE"]
        lines += [f"subjectAltName={','.join(names)}"] if names else []
        extensions.write_text("\n".join(lines) + "\n")
        # Before 1970-01-02 nothing was valid: an end that lies before the beginning is an end that is over.
        days = "-1" if expired else "7"
        _openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.cert), "-CAkey", str(self._key)),
            *("-set_serial", str(abs(hash((name, expired))) + 1), "-days", days),
            *("-extfile", str(extensions), "-out", str(pair.cert)),
        )
        return pair

    def staple(self, pair: Pair, lasts: timedelta = timedelta(days=1)) -> Path:
        """An OCSP response (DER) that says that a certificate is good."""
        made, now = pair.cert.with_suffix(".ocsp"), datetime.now(UTC)
        own, issuer = (x509.load_pem_x509_certificate(each.read_bytes()) for each in (pair.cert, self.cert))
        key: Any = load_pem_private_key(self._key.read_bytes(), None)
        builder = ocsp.OCSPResponseBuilder().add_response(
            own, issuer, hashes.SHA1(), ocsp.OCSPCertStatus.GOOD, now, now + lasts, None, None
        )
        response = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer).sign(key, hashes.SHA256())
        made.write_bytes(response.public_bytes(Encoding.DER))
        return made

    def revoke(self, *pairs: Pair) -> Path:
        """A list of revoked certificates, with those of these pairs."""
        index, config, made = (self._folder / f"crl.{suffix}" for suffix in ("index", "cnf", "pem"))
        lines = []
        for pair in pairs:
            shown = _openssl("x509", "-in", str(pair.cert), "-noout", "-serial").strip()
            lines.append(
                f"R\t490101000000Z\t200101000000Z\t{shown.partition('=')[2]}\tunknown\t/CN=revoked\n"
            )
        index.write_text("".join(lines))
        config.write_text(f"[ca]\ndefault_ca = own\n[own]\ndatabase = {index}\ndefault_md = sha256\n")
        _openssl(
            *("ca", "-config", str(config), "-gencrl", "-crldays", "7", "-out", str(made)),
            *("-cert", str(self.cert), "-keyfile", str(self._key)),
        )
        return made


def _openssl(*words: str) -> str:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"openssl {' '.join(words)}: {done.stderr}"
    return done.stdout
