"""Join tokens as values, and as they are kept: whoever has one may be one service account of one namespace. Pure.

The text is told once; kept is a one-way hash of it. A token for a **single use** becomes one certificate, of the first key
that is brought: whoever asks again with that key gets an answer again, as the first may have been lost on the way.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address, ip_network

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from xdsd.model.identity import InvalidIdentity, SpiffeID, parse_identity, shown

PREFIX = "xdsdj"
_TEXT = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_([-_A-Za-z0-9]{{43}})")
_LONGEST = 253
_MOST_NETWORKS = 32


class InvalidToken(ValueError):  # noqa: N818 - it is named after what is the matter
    """What was asked of a token is wrong; the message says what would be right, and no secret."""


@dataclass(frozen=True, slots=True)
class JoinToken:
    """``networks`` are where it may be used from, empty: from anywhere. ``used_by`` names the key of the single use."""

    id: str
    hash: str = field(repr=False)
    identity: SpiffeID
    created: datetime
    expires: datetime
    single_use: bool = False
    networks: tuple[str, ...] = ()
    description: str = ""
    author: str = ""
    used_by: str = ""
    used_at: datetime | None = None

    def is_of(self, text: str) -> bool:
        """True for the token's text."""
        return hmac.compare_digest(_hash(text), self.hash)

    def allows(self, address: str) -> bool:
        """True for an address that it may be used from."""
        if not self.networks:
            return True
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        return any((mapped or found) in ip_network(each) for each in self.networks)


def new_token(
    randomness: bytes,
    identity: SpiffeID,
    created: datetime,
    expires: datetime,
    *,
    single_use: bool = False,
    networks: Sequence[str] = (),
    description: str = "",
    author: str = "",
) -> tuple[str, JoinToken]:
    """A token's text, to be told once, and what is kept of it. ``randomness`` has 38 bytes. Raises InvalidToken."""
    if len(description) > _LONGEST:
        raise InvalidToken(f"a token's description has at most {_LONGEST} characters")
    if expires <= created:
        raise InvalidToken("a token must expire after it is made")
    secret = _urlsafe(randomness[6:38])
    text = f"{PREFIX}_{randomness[:6].hex()}_{secret}"
    token = JoinToken(
        randomness[:6].hex(),
        _hash(text),
        identity,
        created,
        expires,
        single_use,
        parse_networks(networks),
        description,
        author,
    )
    return text, token


def token_id(text: str) -> str:
    """Which token a text claims to be; empty for what is none."""
    match = _TEXT.fullmatch(text)
    return match[1] if match else ""


def parse_networks(written: Sequence[str]) -> tuple[str, ...]:
    """Addresses and networks (CIDR), in one form each. Raises InvalidToken."""
    if len(written) > _MOST_NETWORKS:
        raise InvalidToken(f"a token is bound to at most {_MOST_NETWORKS} networks")
    try:
        return tuple(dict.fromkeys(str(ip_network(each)) for each in written))
    except ValueError:
        wrong = next(each for each in written if not _is_network(each))
        raise InvalidToken(
            f"{shown(wrong)} is no address or network: write 10.1.2.3, 10.1.0.0/16 or 2001:db8::/32"
        ) from None


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


class _Kept(BaseModel):
    """As a token is kept: everything is said, so that nothing is understood as more than was meant."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    hash: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    identity: str
    created: AwareDatetime
    expires: AwareDatetime
    single_use: bool
    networks: tuple[str, ...]
    description: str
    author: str
    used_by: str
    used_at: AwareDatetime | None


def encode(token: JoinToken) -> bytes:
    """As it is kept."""
    kept = _Kept(
        hash=token.hash,
        identity=str(token.identity),
        created=token.created,
        expires=token.expires,
        single_use=token.single_use,
        networks=token.networks,
        description=token.description,
        author=token.author,
        used_by=token.used_by,
        used_at=token.used_at,
    )
    return kept.model_dump_json().encode()


def decode(identity: str, value: bytes) -> JoinToken:
    """As it was kept. Raises InvalidToken."""
    try:
        kept = _Kept.model_validate_json(value)
        return JoinToken(
            identity,
            kept.hash,
            parse_identity(kept.identity),
            kept.created,
            kept.expires,
            kept.single_use,
            parse_networks(kept.networks),
            kept.description,
            kept.author,
            kept.used_by,
            kept.used_at,
        )
    except (ValidationError, InvalidIdentity) as error:
        fields = (
            {str(each["loc"][0]) for each in error.errors() if each["loc"]}
            if isinstance(error, ValidationError)
            else set()
        )
        raise InvalidToken(
            f"what is kept of the join token {identity} cannot be read{': ' if fields else ''}{', '.join(sorted(fields))}"
        ) from None


def _hash(text: str) -> str:
    """One way; what is hashed has 256 random bits, so no salt or slowness is needed."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
