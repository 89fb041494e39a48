"""A folder with a proxy's key, certificate and roots, all of which change at once.

Envoy watches the folder (``watched_directory``) and reads its files again when something is renamed there. The files are
links through ``current`` into a folder of one generation; renaming another link to ``current`` changes them together, so
nobody ever sees a key beside another's certificate.
"""

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from api.secret_files import write_secret

CERTIFICATE, KEY, ROOTS = "cert.pem", "key.pem", "root.pem"
IDENTITY, TRUST = "identity", "trust"
"""The secrets that Envoy makes of them, each told in a file of its own (SDS): ``sds_file``."""
_CURRENT = "current"
_GENERATION = ".generation-"


@dataclass(frozen=True, slots=True)
class Files:
    """PEM of each."""

    certificate: bytes
    key: bytes
    roots: bytes

    def __repr__(self) -> str:
        return "Files(…)"


def write(folder: Path, files: Files) -> None:
    """Puts the files into a folder, which is made where there is none. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    generation = folder / f"{_GENERATION}{secrets.token_hex(6)}"
    generation.mkdir(mode=0o700)
    for name, content in ((CERTIFICATE, files.certificate), (KEY, files.key), (ROOTS, files.roots)):
        write_secret(generation / name, content)
        _link(folder / name, Path(_CURRENT) / name)
    for secret in _secrets(folder.absolute()):
        told = json.dumps({"resources": [secret]}, indent=2)
        write_secret(folder / sds_file(str(secret["name"])), f"{told}\n".encode())
    _link(folder / _CURRENT, Path(generation.name), anew=True)
    for old in folder.glob(f"{_GENERATION}*"):
        if old != generation:
            shutil.rmtree(old, ignore_errors=True)


def read(folder: Path) -> Files:
    """What the folder holds. Raises OSError."""
    current = folder / _CURRENT
    held = folder / current.readlink()
    return Files(*((held / name).read_bytes() for name in (CERTIFICATE, KEY, ROOTS)))


def sds_file(secret: str) -> str:
    """The name of the file that tells Envoy of a secret."""
    return f"sds-{secret}.json"


def _link(path: Path, target: Path, *, anew: bool = False) -> None:
    if not anew and path.is_symlink() and path.readlink() == target:
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.symlink_to(target)
    try:
        os.rename(draft, path)  # noqa: PTH104 - Path.rename says nothing of links
    finally:
        draft.unlink(missing_ok=True)


def _secrets(folder: Path) -> list[dict[str, object]]:
    """As Envoy reads them."""
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
    watched = {"path": str(folder)}
    certificate = {
        "certificate_chain": {"filename": str(folder / CERTIFICATE)},
        "private_key": {"filename": str(folder / KEY)},
        "watched_directory": watched,
    }
    trust = {"trusted_ca": {"filename": str(folder / ROOTS)}, "watched_directory": watched}
    return [
        {"@type": kind, "name": IDENTITY, "tls_certificate": certificate},
        {"@type": kind, "name": TRUST, "validation_context": trust},
    ]
