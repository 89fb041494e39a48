"""The credentials in the store, known here as they change. While the store is away what was known last holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace as changed
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from storage.base import Compare, Delete, Op, Put, Store, Target
from xdsd.ca.registers import Register
from xdsd.ca.sealing import Sealer
from xdsd.credentials.kept import PREFIX, decode, encode, key_of
from xdsd.credentials.reading import (
    Credential,
    CredentialKind,
    InvalidCredential,
    check_name,
    read_material,
)
from xdsd.model.credential import AUTHORITIES, CredentialName, CredentialParts
from xdsd.model.problem import Problem, Reason


class Credentials(Register):
    """``sealer`` is None where no sealing key is given: then none is kept, and those of others are not opened.

    What is known of them all is without their keys, which stay sealed until ``whole`` is asked for one.
    """

    def __init__(self, store: Store, sealer: Sealer | None, logger: FilteringBoundLogger) -> None:
        super().__init__(store, PREFIX, logger)
        self._sealer = sealer
        self._found: dict[CredentialName, Credential] = {}
        self._sealed: dict[CredentialName, bytes] = {}
        self._closed: dict[CredentialName, str] = {}
        self._parts: dict[CredentialName, CredentialParts] = {}
        self._namespaces: dict[str, dict[str, Credential]] = {}
        self._touched: set[CredentialName] = set()

    def all(self) -> list[Credential]:
        """By namespace and name."""
        return [self._found[name] for name in sorted(self._found)]

    def get(self, name: CredentialName) -> Credential | None:
        return self._found.get(name)

    def whole(self, credential: Credential) -> Credential:
        """The same with its key."""
        if self._sealer is None:
            return credential
        return decode(credential.name, self._sealed[credential.name], self._sealer)

    def of(self, namespace: str) -> Iterable[Credential]:
        """Those of a namespace."""
        return self._namespaces.get(namespace, {}).values()

    def problems(self) -> tuple[Problem, ...]:
        """Those that are kept and cannot be used."""
        advice = (
            "give the sealing key that it was kept with, or keep it again with xdsctl secret create --replace"
        )
        return tuple(
            Problem(Reason.UNAVAILABLE, f"the secret {name} is given to nobody: {why}; {advice}")
            for name, why in sorted(self._closed.items())
        )

    def touched(self) -> frozenset[CredentialName]:
        """Those that came, changed or went since the last call."""
        found, self._touched = frozenset(self._touched), set()
        return found

    def parts(self) -> Mapping[CredentialName, CredentialParts]:
        """What may be known of all."""
        return dict(self._parts)

    async def put(
        self,
        name: CredentialName,
        kind: CredentialKind,
        files: Mapping[str, bytes],
        now: datetime,
        *,
        accounts: Sequence[str] | None = None,
        author: str = "",
        replace: bool = False,
        dry_run: bool = False,
    ) -> tuple[Credential, tuple[str, ...]]:
        """Keeps a credential, and says what will be wrong with it soon. ``accounts`` of None are those of the one that is
        replaced, which are none where there was none. Raises InvalidCredential, and AlreadyThereError where there is one and
        it is not to be replaced, or somebody else writes it just now.
        """
        if self._sealer is None:
            raise InvalidCredential(
                "this daemon has no sealing key, so it keeps no secrets: set ca-sealing-key-file, the same for each "
                "daemon on the store"
            )
        check_name(name, accounts or ())
        material, warnings = read_material(files, now)
        if material.chain and name.name.endswith(AUTHORITIES):
            raise InvalidCredential(
                f"a secret whose name ends in {AUTHORITIES} holds authorities alone; give certificate and key another name"
            )
        held = self._found.get(name)
        if held is not None and not replace:
            raise AlreadyThereError(f"there is a secret {name} already; --replace puts another in its place")
        self._check_closed(name, accounts, replace=replace)
        now = now.replace(microsecond=0)
        before = held.accounts if held is not None else ()
        made = Credential(
            name,
            kind,
            material,
            tuple(sorted(set(accounts))) if accounts is not None else before,
            held.created if held is not None else now,
            now,
            author,
        )
        if dry_run:
            return made, warnings
        value = encode(made, self._sealer)
        key = key_of(name).encode()
        is_there = held is not None or name in self._closed
        same = Compare(key, Target.MOD, Op.EQUAL, self._revisions.get(_place(name), 0) if is_there else 0)
        result = await self._store.txn([same], [Put(key, value)])
        if not result.succeeded:
            raise AlreadyThereError(
                f"somebody else wrote the secret {name} at this moment; look at it (xdsctl secret list), and try again"
            )
        self._take(_place(name), value, result.revision)
        verb = "replaced" if held is not None else "created"
        self._logger.info(f"a secret is {verb}", secret=str(name), kind=kind.value, who=author)
        return made, warnings

    def _check_closed(self, name: CredentialName, accounts: Sequence[str] | None, *, replace: bool) -> None:
        """One that cannot be opened is there all the same, and nobody knows whom it was for."""
        why = self._closed.get(name)
        if why is None:
            return
        if not replace:
            raise AlreadyThereError(
                f"there is a secret {name} already, which cannot be used: {why}; --replace puts another in its place"
            )
        if accounts is None:
            raise InvalidCredential(
                f"whom the secret {name} was for cannot be told, as it cannot be used: {why}; say it again with "
                "--service-account, or --any-service-account"
            )

    async def delete(self, name: CredentialName, author: str) -> Credential | None:
        """Forgets a credential; None where there is none of that name."""
        held = self._found.get(name)
        result = await self._store.txn([], [Delete(key_of(name).encode())])
        self._take(_place(name), None, result.revision)
        if held is not None:
            self._logger.info("a secret is deleted", secret=str(name), who=author)
        return held

    def _clear(self) -> None:
        self._touched.update(self._found)
        self._found.clear()
        self._sealed.clear()
        self._closed.clear()
        self._parts.clear()
        self._namespaces.clear()

    def _put(self, name: str, value: bytes | None) -> None:
        """One that cannot be opened is none: the servers that need it stay closed."""
        namespace, _, rest = name.partition("/")
        found = CredentialName(namespace, rest)
        self._touched.add(found)
        self._found.pop(found, None)
        self._sealed.pop(found, None)
        self._closed.pop(found, None)
        self._parts.pop(found, None)
        own = self._namespaces.get(namespace, {})
        own.pop(rest, None)
        if not own:
            self._namespaces.pop(namespace, None)
        if value is None or self._sealer is None:
            return
        try:
            credential = decode(found, value, self._sealer)
        except InvalidCredential as error:
            self._logger.warning("a secret cannot be used", secret=name, why=str(error))
            self._closed[found] = str(error)
            return
        known = changed(credential, material=changed(credential.material, key=b""))
        self._found[found] = known
        self._sealed[found] = value
        self._parts[found] = known.parts
        self._namespaces.setdefault(namespace, {})[rest] = known


class AlreadyThereError(Exception):
    """There is a credential of that name."""


def _place(name: CredentialName) -> str:
    return f"{name.namespace}/{name.name}"
