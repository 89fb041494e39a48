"""Users as values, and as they are kept: who they are, how they prove it, what they may do."""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from api.access.caller import Binding, Role

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._@]{0,61}[A-Za-z0-9])?")
_COST, _BLOCK, _LANES = 2**14, 8, 1


class InvalidUserError(ValueError):
    """What was asked of a user is wrong; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token without what makes it valid: the store has its hash alone. Times are aware; None: for ever."""

    id: str
    hash: str = field(repr=False)
    created: datetime
    expires: datetime | None = None
    description: str = ""

    def holds(self, text: str, now: datetime) -> bool:
        """True for the token's text while it has not expired."""
        return hmac.compare_digest(_hash(text), self.hash) and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may call. ``password`` is a one-way hash, empty for none."""

    name: str
    bindings: tuple[Binding, ...] = ()
    tokens: tuple[Token, ...] = ()
    password: str = field(default="", repr=False)
    certificates: tuple[str, ...] = ()
    uids: tuple[int, ...] = ()
    disabled: bool = False


def new_token(created: datetime, expires: datetime | None, description: str) -> tuple[str, Token]:
    """A token's text, to be told once, and what is kept of it."""
    identity = secrets.token_hex(4)
    text = f"xdsd_{identity}_{secrets.token_urlsafe(32)}"
    return text, Token(identity, _hash(text), created, expires, description)


def token_id(text: str) -> str:
    """Which token a text claims to be; empty for what is none."""
    match = re.fullmatch(r"xdsd_([0-9a-f]{8})_[-_A-Za-z0-9]{20,64}", text)
    return match[1] if match else ""


def hash_password(password: str) -> str:
    """A one-way hash; takes some 50 ms on purpose, so it belongs in a thread."""
    salt = secrets.token_bytes(16)
    return f"scrypt${salt.hex()}${_scrypt(password, salt).hex()}"


def password_holds(password: str, hashed: str) -> bool:
    """True for the password that was hashed; takes as long for a user without one."""
    _, salt, digest = hashed.split("$") if hashed else ("", "00" * 16, "")
    return hmac.compare_digest(_scrypt(password, bytes.fromhex(salt)).hex(), digest)


def check_name(name: str) -> None:
    """Raises InvalidUserError for what cannot be a user's name."""
    if not _NAME.fullmatch(name):
        message = "is no name of a user: write at most 63 letters, digits, dots, dashes, underlines or @"
        raise InvalidUserError(f"{name!r} {message}")


def encode(user: User) -> bytes:
    """As it is kept."""
    value = {
        "bindings": [
            {"role": each.role.value, "namespaces": sorted(each.namespaces)} for each in user.bindings
        ],
        "tokens": [
            {
                "id": each.id,
                "hash": each.hash,
                "created": each.created.isoformat(),
                "expires": each.expires.isoformat() if each.expires else "",
                "description": each.description,
            }
            for each in user.tokens
        ],
        "password": user.password,
        "certificates": list(user.certificates),
        "uids": list(user.uids),
        "disabled": user.disabled,
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def decode(name: str, value: bytes) -> User:
    """As it was kept. Raises InvalidUserError for what is no user."""
    try:
        fields = json.loads(value)
        return User(
            name,
            tuple(Binding(Role(each["role"]), frozenset(each["namespaces"])) for each in fields["bindings"]),
            tuple(_token(each) for each in fields["tokens"]),
            str(fields["password"]),
            tuple(fields["certificates"]),
            tuple(int(uid) for uid in fields["uids"]),
            bool(fields["disabled"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidUserError(f"what is kept of the user {name} cannot be read: {error}") from error


def _token(value: Mapping[str, Any]) -> Token:
    expires = datetime.fromisoformat(value["expires"]) if value["expires"] else None
    created = datetime.fromisoformat(value["created"])
    return Token(value["id"], value["hash"], created, expires, value["description"])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_COST, r=_BLOCK, p=_LANES, dklen=32)
