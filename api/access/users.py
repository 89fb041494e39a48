"""Users as values, and as they are kept: who they are, how they prove it, what they may do."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from api.access.caller import Binding, Role

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._@]{0,61}[A-Za-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LONGEST = 253
_TOKENS = 100
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

    def is_of(self, text: str) -> bool:
        """True for the token's text."""
        return hmac.compare_digest(_hash(text), self.hash)

    def holds(self, text: str, now: datetime) -> bool:
        """True for the token's text while it has not expired."""
        return self.is_of(text) and (self.expires is None or now < self.expires)


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


def is_name(text: str) -> bool:
    """True for what can be a user's name."""
    return _NAME.fullmatch(text) is not None


def check_name(name: str) -> None:
    """Raises InvalidUserError for what cannot be a user's name."""
    if not is_name(name):
        message = "is no name of a user: write at most 63 letters, digits, dots, dashes, underlines or @"
        raise InvalidUserError(f"{name!r} {message}")


def check_user(user: User) -> None:
    """Raises InvalidUserError for what would prove nothing, or hold nowhere."""
    for binding in user.bindings:
        for namespace in binding.namespaces:
            if not _NAMESPACE.fullmatch(namespace):
                raise InvalidUserError(
                    f"{namespace!r} is no name of a namespace: write at most 63 small letters, digits and dashes"
                )
    for subject in user.certificates:
        if not subject.strip() or len(subject) > _LONGEST:
            raise InvalidUserError(f"a certificate's subject has 1 to {_LONGEST} characters")
    for token in user.tokens:
        if len(token.description) > _LONGEST:
            raise InvalidUserError(f"a token's description has at most {_LONGEST} characters")
    if len(user.tokens) > _TOKENS:
        raise InvalidUserError(f"{user.name} has {_TOKENS} tokens, the most there can be; revoke some")


def summary(user: User) -> dict[str, object]:
    """What a log may say of a user: nothing that helps to be taken for it."""
    return {
        "roles": [
            f"{each.role}({','.join(sorted(each.namespaces))})" if each.namespaces else each.role.value
            for each in user.bindings
        ],
        "tokens": [token.id for token in user.tokens],
        "password": bool(user.password),
        "certificates": list(user.certificates),
        "uids": list(user.uids),
        "disabled": user.disabled,
    }


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _StoredBinding(_Stored):
    role: Role
    namespaces: tuple[str, ...]


class _StoredToken(_Stored):
    id: str
    hash: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    created: AwareDatetime
    expires: AwareDatetime | None
    description: str


class _StoredUser(_Stored):
    """As a user is kept: everything is said, so that nothing is understood as more than was meant."""

    bindings: tuple[_StoredBinding, ...]
    tokens: tuple[_StoredToken, ...]
    password: str = Field(pattern=r"^(scrypt\$[0-9a-f]{32}\$[0-9a-f]{64})?$", repr=False)
    certificates: tuple[str, ...]
    uids: tuple[int, ...]
    disabled: bool


def encode(user: User) -> bytes:
    """As it is kept."""
    stored = _StoredUser(
        bindings=tuple(
            _StoredBinding(role=each.role, namespaces=tuple(sorted(each.namespaces)))
            for each in user.bindings
        ),
        tokens=tuple(
            _StoredToken(
                id=each.id,
                hash=each.hash,
                created=each.created,
                expires=each.expires,
                description=each.description,
            )
            for each in user.tokens
        ),
        password=user.password,
        certificates=user.certificates,
        uids=user.uids,
        disabled=user.disabled,
    )
    return stored.model_dump_json().encode()


def decode(name: str, value: bytes) -> User:
    """As it was kept. Raises InvalidUserError for what is no user."""
    try:
        stored = _StoredUser.model_validate_json(value)
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'value'}: {each['msg']}"
            for each in error.errors(include_input=False)
        )
        raise InvalidUserError(f"what is kept of the user {name} cannot be read: {told}") from error
    return User(
        name,
        tuple(Binding(each.role, frozenset(each.namespaces)) for each in stored.bindings),
        tuple(
            Token(each.id, each.hash, each.created, each.expires, each.description) for each in stored.tokens
        ),
        stored.password,
        stored.certificates,
        stored.uids,
        stored.disabled,
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_COST, r=_BLOCK, p=_LANES, dklen=32)
