"""The roots of a mesh as values, and as they are kept: several at once, so that one can follow another. Pure.

A root is **trusted** before it issues, **issuing** while it signs, and **retiring** while what it signed is still about.
All of these are in the bundle; exactly one issues. A **withdrawn** root is trusted no more; it is kept while a rotation
may have to return to it. Each step of a rotation (``plan``) is another **turn** of the set.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xdsd.ca.issuer import fingerprint, pem
from xdsd.ca.plan import KeptRotation, Rotation
from xdsd.ca.reading import Unreadable, read_certificates

ID_LENGTH = 16


class RootState(StrEnum):
    """How far a root is."""

    TRUSTED = "trusted"
    ISSUING = "issuing"
    RETIRING = "retiring"
    WITHDRAWN = "withdrawn"


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
        return fingerprint(self.certificate)[:ID_LENGTH]

    @property
    def place(self) -> str:
        """Where its key is sealed for."""
        return place_of(self.certificate)


def place_of(certificate: x509.Certificate) -> str:
    """What the key of a root is bound to when it is sealed."""
    return f"root {fingerprint(certificate)}"


@dataclass(frozen=True, slots=True)
class RootSet:
    """The roots, oldest first. ``rotation`` is the one that goes on, or the last one; ``turn`` counts steps of all."""

    roots: tuple[Root, ...]
    rotation: Rotation | None = None
    turn: int = 0

    def __post_init__(self) -> None:
        issuing = [root for root in self.roots if root.state is RootState.ISSUING]
        if len(issuing) != 1:
            raise InvalidRoots(f"{len(issuing)} roots issue; exactly one can")
        if len({root.id for root in self.roots}) < len(self.roots):
            raise InvalidRoots("a root stands there twice")
        if self.rotation is not None and self.get(self.rotation.server) is None:
            raise InvalidRoots("the daemons' own root is not there")

    @property
    def issuing(self) -> Root:
        return next(root for root in self.roots if root.state is RootState.ISSUING)

    @property
    def server(self) -> Root:
        """The root that signs the daemons' own certificates."""
        found = self.get(self.rotation.server) if self.rotation is not None else None
        return found or self.issuing

    @property
    def trusted(self) -> tuple[Root, ...]:
        """All in the bundle."""
        return tuple(root for root in self.roots if root.state is not RootState.WITHDRAWN)

    @property
    def certificates(self) -> tuple[x509.Certificate, ...]:
        return tuple(root.certificate for root in self.trusted)

    def get(self, identity: str) -> Root | None:
        """The root of an id."""
        return next((root for root in self.roots if root.id == identity), None)

    def trust(self, root: Root) -> "RootSet":
        """With another root that is trusted."""
        return replace(self, roots=(*self.roots, replace(root, state=RootState.TRUSTED)))

    def switch(self, identity: str) -> "RootSet":
        """The root of this id issues; the one that did retires."""
        if self.get(identity) is None:
            raise InvalidRoots(f"there is no root {identity}")
        return replace(self, roots=tuple(_switched(root, identity) for root in self.roots))

    def drop(self, identity: str) -> "RootSet":
        """Without a root. Raises InvalidRoots for the one that issues."""
        return replace(self, roots=tuple(root for root in self.roots if root.id != identity))


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
    rotation: KeptRotation | None = None
    turn: int = Field(default=0, ge=0)


def encode(roots: RootSet) -> bytes:
    """As they are kept."""
    kept = _KeptRoots(
        roots=tuple(
            _KeptRoot(state=each.state.value, certificate=pem(each.certificate).decode(), sealed=each.sealed)
            for each in roots.roots
        ),
        rotation=KeptRotation.of(roots.rotation) if roots.rotation is not None else None,
        turn=roots.turn,
    )
    return kept.model_dump_json().encode()


def decode(value: bytes) -> RootSet:
    """As they were kept. Raises InvalidRoots."""
    try:
        kept = _KeptRoots.model_validate_json(value)
        rotation = kept.rotation.rotation() if kept.rotation is not None else None
        return RootSet(tuple(_root(each) for each in kept.roots), rotation, kept.turn)
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
