"""Credentials that platforms hold, for proxies to use as they use those in the store. Kept in memory, and nowhere else.

A name that the store has is the store's; of two platforms the one whose name comes first has it. What cannot be used any
more as it stands leaves what it was: a server with a certificate of yesterday serves.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from xdsd.credentials.expiring import Ends
from xdsd.credentials.reading import (
    FILES,
    Credential,
    CredentialKind,
    InvalidCredential,
    Part,
    check_name,
    read_material,
)
from xdsd.credentials.register import Credentials
from xdsd.model.credential import AUTHORITIES, CredentialName, CredentialParts
from xdsd.model.problem import ObjectRef, Problem, Reason

GENERIC = frozenset({"cert", "key", "cacert", "crl"})


def files_of(data: Mapping[str, bytes]) -> dict[str, bytes]:
    """Of all that a secret holds, what is of a credential: of two spellings of one part the generic one, and of a name that
    is not known nothing, since other programs keep theirs there.
    """
    found: dict[Part, str] = {}
    for name in sorted(data, key=lambda name: (name not in GENERIC, name)):
        if name in FILES and data[name]:
            found.setdefault(FILES[name], name)
    return {name: data[name] for name in found.values()}


class Foreign:
    """What platforms hold. ``tell`` hears of every change; ``now`` tells the time."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.tell: Callable[[], None] = lambda: None
        self._now = now
        self._held: dict[CredentialName, dict[str, Credential]] = {}
        self._touched: set[CredentialName] = set()

    def put(self, source: str, name: CredentialName, data: Mapping[str, bytes]) -> None:
        """A platform has a secret, or has it otherwise. Raises InvalidCredential."""
        check_name(name)
        material, _ = read_material(files_of(data), self._now())
        if material.chain and name.name.endswith(AUTHORITIES):
            raise InvalidCredential(
                f"a secret whose name ends in {AUTHORITIES} holds authorities alone; give certificate and key another name"
            )
        held = self._held.setdefault(name, {})
        before = held.get(source)
        if before is not None and before.material == material:
            return
        now = self._now().replace(microsecond=0)
        kind = CredentialKind.GENERIC if GENERIC & data.keys() else CredentialKind.TLS
        held[source] = Credential(
            name, kind, material, (), before.created if before is not None else now, now, source
        )
        self._change(name)

    def drop(self, source: str, name: CredentialName) -> None:
        """A platform has it no more."""
        held = self._held.get(name, {})
        if held.pop(source, None) is None:
            return
        if not held:
            del self._held[name]
        self._change(name)

    def all(self) -> Iterator[Credential]:
        """One for each name."""
        return (held[min(held)] for held in self._held.values() if held)

    def rivals(self) -> Iterator[tuple[CredentialName, str, str]]:
        """Which name, of which platform, gives way to which other."""
        for name, held in sorted(self._held.items()):
            first, *others = sorted(held)
            yield from ((name, other, first) for other in others)

    def touched(self) -> frozenset[CredentialName]:
        """Those that came, changed or went since the last call."""
        found, self._touched = frozenset(self._touched), set()
        return found

    def _change(self, name: CredentialName) -> None:
        self._touched.add(name)
        self.tell()


class Joint:
    """The credentials of the store and of platforms, as one."""

    def __init__(self, stored: Credentials, foreign: Foreign) -> None:
        self._stored = stored
        self._foreign = foreign
        self._ends = Ends()

    def of(self, namespace: str) -> Iterable[Credential]:
        """Those of a namespace."""
        yield from self._stored.of(namespace)
        for each in self._foreign.all():
            if each.name.namespace == namespace and self._stored.get(each.name) is None:
                yield each

    def all(self) -> list[Credential]:
        """By namespace and name."""
        brought = [each for each in self._foreign.all() if self._stored.get(each.name) is None]
        return sorted((*self._stored.all(), *brought), key=lambda each: each.name)

    def holder(self, name: CredentialName) -> str:
        """The platform whose secret of this name holds; empty if none does."""
        found = next((each for each in self._foreign.all() if each.name == name), None)
        return found.author if found is not None and self._stored.get(name) is None else ""

    def whole(self, credential: Credential) -> Credential:
        """The same with its key."""
        return (
            self._stored.whole(credential) if self._stored.get(credential.name) is credential else credential
        )

    def touched(self) -> frozenset[CredentialName]:
        """Those that came, changed or went since the last call."""
        return self._stored.touched() | self._foreign.touched()

    def parts(self) -> Mapping[CredentialName, CredentialParts]:
        """What may be known of all."""
        return {**{each.name: each.parts for each in self._foreign.all()}, **self._stored.parts()}

    def problems(self, now: datetime) -> Iterator[Problem]:
        """Secrets of platforms that have no effect, and certificates that end soon."""
        for credential, problem in self._ends.problems(self.all(), now):
            ours = self._stored.get(credential.name) is not None
            yield problem if ours else replace(problem, file=credential.author)
        for each in self._foreign.all():
            if self._stored.get(each.name) is not None:
                yield _conflict(each.name, each.author, "the store")
        for name, source, first in self._foreign.rivals():
            yield _conflict(name, source, first)


def _conflict(name: CredentialName, source: str, holder: str) -> Problem:
    message = (
        f"has no effect: {holder} has a secret of this name too, which holds; delete or rename one of them"
    )
    return Problem(Reason.CONFLICT, message, ObjectRef("Secret", *name), file=source)
