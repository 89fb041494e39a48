"""The Secrets of a cluster that proxies may be given. Nothing of them is kept here, and no message holds anything of them.

Which they are is named one by one, or by namespace, so that the rights may be those to single Secrets.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence

from xdsd.model.credential import CredentialName
from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.registry.base import SecretSink
from xdsd.registry.kubernetes import facts
from xdsd.registry.kubernetes.facts import Json, Name, Unreadable

KIND = "Secret"
TYPES = ("kubernetes.io/tls", "Opaque")
_KNOWN = frozenset({"tls.crt", "tls.key", "ca.crt", "cert", "key", "cacert"})
_TYPES = f"a credential is of type {TYPES[0]}, or generic ({TYPES[1]}) with the keys cert, key and cacert"


class SecretState:
    """Takes Secrets as they come and are gone, and hands them to ``sink``."""

    def __init__(self, source: str, sink: SecretSink) -> None:
        self._source = source
        self._sink = sink
        self._names: set[Name] = set()
        self._problems: dict[str, tuple[Problem, ...]] = {}

    def names(self, namespace: str, name: str) -> frozenset[Name]:
        """Those that are there as far as was told: the one of that name, or without a name all of a namespace."""
        return frozenset(
            each for each in self._names if each.namespace == namespace and name in ("", each.name)
        )

    def put(self, obj: Json, *, named: bool) -> None:
        """Adds or replaces one; ``named``: it is meant, whatever it holds. One that cannot be used stays as it was."""
        try:
            name = facts.name_of(obj)
        except Unreadable:
            return
        if not named and not _is_credential(obj):
            self.drop(name)
            return
        self._names.add(name)
        if obj.get("type") not in TYPES:
            self._note(name, (Reason.NOT_SUPPORTED, f"is of another type; {_TYPES}"))
            return
        try:
            self._sink.put(self._source, CredentialName(*name), _data(obj))
        except ValueError as error:
            self._note(name, (Reason.INVALID_VALUE, str(error)))
            return
        self._note(name)

    def drop(self, name: Name) -> None:
        """It is gone, if it was there."""
        if name in self._names:
            self._names.discard(name)
            self._sink.drop(self._source, CredentialName(*name))
            self._note(name)

    def spoil(self, name: Name) -> None:
        """It is too large to be read."""
        self._note(name, (Reason.TOO_LARGE, "is too large; it stays as it was"))

    def take_problems(self) -> Mapping[str, Sequence[Problem]]:
        """The problems of those that have others than when it was last asked."""
        found, self._problems = self._problems, {}
        return found

    def _note(self, name: Name, *told: tuple[Reason, str]) -> None:
        ref = ObjectRef(KIND, *name)
        self._problems[str(ref)] = tuple(
            Problem(reason, message, ref, file=self._source) for reason, message in told
        )


def _is_credential(obj: Json) -> bool:
    data = obj.get("data")
    return obj.get("type") in TYPES and isinstance(data, dict) and not _KNOWN.isdisjoint(data)


def _data(obj: Json) -> dict[str, bytes]:
    """Raises ValueError, which tells nothing of what is inside."""
    data = obj.get("data")
    items = data.items() if isinstance(data, dict) else ()
    try:
        return {str(name): base64.b64decode(str(text), validate=True) for name, text in items}
    except binascii.Error:
        raise ValueError("holds something that is not base64") from None
