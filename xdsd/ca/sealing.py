"""Secrets at rest: sealed with AES-256-GCM, by a key that whoever has the store alone does not have.

What is sealed is bound to its place, so that nobody who can write the store moves a secret to where it is taken for another.
"""

import base64
import binascii
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VARIABLE = "XDSD_CA_SEALING_KEY"
CREDENTIAL = "xdsd-ca-sealing-key"
OWN_FILE = "ca-sealing.key"
_FORM = "xdsd1"
_KEY_SIZE, _NONCE_SIZE = 32, 12
_MAKE = "make one with: openssl rand -base64 32"
_LONGEST = 4096


class SealingError(Exception):
    """A key that is missing or wrong, or what it does not open; the message says what would be right, and no secret."""


class Sealer:
    """Seals with the first key, and opens what any of them sealed: a new key is put before the old one to replace it."""

    def __init__(self, *keys: bytes) -> None:
        self._keys = {_name(key): AESGCM(key) for key in keys}
        self._first = _name(keys[0])

    def seal(self, secret: bytes, place: str, nonce: Callable[[int], bytes] = os.urandom) -> str:
        """The secret as text for ``place``; ``nonce`` never gives the same bytes twice."""
        salt = nonce(_NONCE_SIZE)
        sealed = self._keys[self._first].encrypt(salt, secret, place.encode())
        return f"{_FORM}:{self._first}:{base64.b64encode(salt + sealed).decode()}"

    def open(self, sealed: str, place: str) -> bytes:
        """What was sealed for ``place``. Raises SealingError."""
        form, _, rest = sealed.partition(":")
        name, _, text = rest.partition(":")
        if form != _FORM or not text:
            raise SealingError(f"what is sealed for {place} is of no form that is known here")
        if name not in self._keys:
            raise SealingError(
                f"what is sealed for {place} needs the sealing key {name}, and given is {', '.join(self._keys)}; "
                "give the key that this store was begun with"
            )
        try:
            data = base64.b64decode(text, validate=True)
            return self._keys[name].decrypt(data[:_NONCE_SIZE], data[_NONCE_SIZE:], place.encode())
        except (binascii.Error, InvalidTag, ValueError) as error:
            raise SealingError(f"what is sealed for {place} was changed since it was sealed") from error


@dataclass(frozen=True, slots=True)
class KeyPlaces:
    """Where a sealing key may be: a file that a setting names; the environment; the credentials of a systemd unit; and,
    where others do not share the store, a file of the daemon's own that is made.
    """

    file: Path | None
    environ: Mapping[str, str]
    own: Path | None


def find_sealer(places: KeyPlaces) -> Sealer:
    """The sealer with the key of the first place that has one. Raises SealingError, which says what to set."""
    if places.file is not None:
        return Sealer(*_read(places.file, "the setting ca-sealing-key-file"))
    if text := places.environ.get(VARIABLE, ""):
        return Sealer(*_keys(text, f"the environment's {VARIABLE}"))
    if credential := _credential(places):
        return Sealer(*_read(credential, "systemd's credential"))
    if places.own is None:
        raise SealingError(
            "the CA's key would stand in a store that others share, and there is no key to seal it with: set "
            f"ca-sealing-key-file, {VARIABLE} or systemd's LoadCredential={CREDENTIAL}:FILE, the same for each daemon; "
            f"{_MAKE}"
        )
    return Sealer(*_own(places.own))


def to_be_made(places: KeyPlaces) -> Path | None:
    """Our own file, where ``find_sealer`` would make it; None where a key is given, or there is one, or none is made."""
    given = places.file is not None or places.environ.get(VARIABLE, "") or _credential(places)
    return None if given or places.own is None or places.own.exists() else places.own


def _credential(places: KeyPlaces) -> Path | None:
    folder = places.environ.get("CREDENTIALS_DIRECTORY", "")
    return Path(folder) / CREDENTIAL if folder and (Path(folder) / CREDENTIAL).exists() else None


def _own(path: Path) -> list[bytes]:
    """Our own file, made where there is none. Two that start at once take the one that was linked first."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.unlink(missing_ok=True)
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64encode(os.urandom(_KEY_SIZE)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        except FileExistsError:
            pass
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise SealingError(f"the sealing key {path} cannot be made: {why}") from error
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    return _read(path, "made by the daemon")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, what: str) -> list[bytes]:
    try:
        if stat.S_IMODE(path.stat().st_mode) & stat.S_IROTH:
            raise SealingError(f"the sealing key {path} ({what}) can be read by everybody: chmod 600 {path}")
        with path.open(encoding="ascii") as file:
            text = file.read(_LONGEST + 1)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise SealingError(f"the sealing key {path} ({what}) cannot be read: {why}") from error
    except ValueError:
        text = ""
    return _keys(text, f"{path} ({what})")


def _keys(text: str, where: str) -> list[bytes]:
    """One key a line, or separated by commas."""
    words = [word for word in re.split(r"[\s,]+", text) if word] if len(text) <= _LONGEST else []
    keys = [key for word in words if (key := _key(word)) is not None]
    if not keys or len(keys) < len(words):
        raise SealingError(
            f"{where} does not hold a sealing key: {_KEY_SIZE} random bytes in base64; {_MAKE}"
        )
    return keys


def _key(word: str) -> bytes | None:
    try:
        key = (
            bytes.fromhex(word)
            if re.fullmatch(r"[0-9a-fA-F]{64}", word)
            else base64.b64decode(word, validate=True)
        )
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == _KEY_SIZE else None


def _name(key: bytes) -> str:
    """What tells keys apart without telling them."""
    return sha256(b"xdsd sealing key " + key).hexdigest()[:8]
