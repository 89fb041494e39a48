"""The roots of a mesh as values, and as they are kept: several at once, so that one can follow another. Pure.

A root is **trusted** before it issues, **issuing** while it signs, and **retiring** while what it signed is still about.
All of them are in the bundle; exactly one issues.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xdsd.ca.issuer import fingerprint, pem
from xdsd.ca.reading import Unreadable, read_certificates

_ID_LENGTH = 16


class RootState(StrEnum):
    """How far a root is."""

    TRUSTED = "trusted"
    ISSUING = "issuing"
    RETIRING = "retiring"


class InvalidRoots(ValueError):  # noqa: N818 - it is named after what is the matter
    """What is kept is no set of roots; the message says why, without a secret."""


@dataclass(frozen=True, slots=True)
class Root:
    """``sealed`` is its private key, which its ``place`` is needed to open."""

    certificate: x509.Certificate
    state: RootState
    sealed: str = field(repr=False)

    @property
    def id(self) -> str:
        """The beginning of its fingerprint."""
        return fingerprint(self.certificate)[:_ID_LENGTH]

    @property
    def place(self) -> str:
        """Where its key is sealed for."""
        return place_of(self.certificate)


def place_of(certificate: x509.Certificate) -> str:
    """What the key of a root is bound to when it is sealed."""
    return f"root {fingerprint(certificate)}"


@dataclass(frozen=True, slots=True)
class RootSet:
    """The roots, oldest first."""

    roots: tuple[Root, ...]

    def __post_init__(self) -> None:
        issuing = [root for root in self.roots if root.state is RootState.ISSUING]
        if len(issuing) != 1:
            raise InvalidRoots(f"{len(issuing)} roots issue; exactly one can")
        if len({root.id for root in self.roots}) < len(self.roots):
            raise InvalidRoots("a root stands there twice")

    @property
    def issuing(self) -> Root:
        return next(root for root in self.roots if root.state is RootState.ISSUING)

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        return tuple(root.certificate for root in self.roots)

    def get(self, identity: str) -> Root | None:
        """The root of an id."""
        return next((root for root in self.roots if root.id == identity), None)

    def trust(self, root: Root) -> "RootSet":
        """With another root that is trusted."""
        return RootSet((*self.roots, replace(root, state=RootState.TRUSTED)))

    def switch(self, identity: str) -> "RootSet":
        """The root of this id issues; the one that did retires."""
        if self.get(identity) is None:
            raise InvalidRoots(f"there is no root {identity}")
        return RootSet(tuple(_switched(root, identity) for root in self.roots))

    def drop(self, identity: str) -> "RootSet":
        """Without a root. Raises InvalidRoots for the one that issues."""
        return RootSet(tuple(root for root in self.roots if root.id != identity))


def _switched(root: Root, identity: str) -> Root:
    if root.id == identity:
        return replace(root, state=RootState.ISSUING)
    return replace(root, state=RootState.RETIRING) if root.state is RootState.ISSUING else root


class _Kept(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _KeptRoot(_Kept):
    state: str
    certificate: str
    sealed: str = Field(repr=False)


class _KeptRoots(_Kept):
    roots: tuple[_KeptRoot, ...]


def encode(roots: RootSet) -> bytes:
    """As they are kept."""
    kept = _KeptRoots(
        roots=tuple(
            _KeptRoot(state=each.state.value, certificate=pem(each.certificate).decode(), sealed=each.sealed)
            for each in roots.roots
        )
    )
    return kept.model_dump_json().encode()


def decode(value: bytes) -> RootSet:
    """As they were kept. Raises InvalidRoots."""
    try:
        kept = _KeptRoots.model_validate_json(value)
        return RootSet(tuple(_root(each) for each in kept.roots))
    except InvalidRoots:
        raise
    except ValidationError as error:
        told = _told(error)
        raise InvalidRoots(f"what is kept of the roots cannot be read: {told}") from None
    except (Unreadable, ValueError) as error:
        raise InvalidRoots(f"what is kept of the roots cannot be read: {error}") from None


def _root(kept: _KeptRoot) -> Root:
    certificates = read_certificates(kept.certificate.encode(), "a root")
    if len(certificates) != 1:
        raise InvalidRoots("a root is one certificate")
    return Root(certificates[0], RootState(kept.state), kept.sealed)


def _told(error: ValidationError) -> str:
    details: Iterable[str] = (
        f"{'.'.join(map(str, each['loc'])) or 'value'}: {each['msg']}"
        for each in error.errors(include_input=False, include_url=False)
    )
    return "; ".join(details)
