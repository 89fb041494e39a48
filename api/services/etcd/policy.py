"""Who may read and write which keys."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.access.caller import Caller, Refused, Right
from api.reserved_keys import reserved
from storage.base import prefix_end
from storage.spans import Span

OURS = b"/xdsd/"
HEALTH = b"health"
"""The key that etcdctl reads to learn whether a member answers."""

_READ = (
    (b"/xdsd/objects/", Right.READ),
    (b"/xdsd/history/", Right.READ),
    (b"/xdsd/status/", Right.READ),
    (b"/xdsd/members/", Right.OBSERVE),
    (b"/xdsd/singletons/", Right.OBSERVE),
    (b"/xdsd/meta/", Right.OBSERVE),
)
"""Other keys of ours, those of users among them, are for who may read the store as it is."""

_NAMESPACED = frozenset({b"/xdsd/objects/", b"/xdsd/history/", b"/xdsd/status/"})


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """``foreign`` are prefixes of keys beside ours that clients may use. ``alone``: nobody else keeps keys in the store."""

    foreign: tuple[bytes, ...] = ()
    alone: bool = True

    def check_read(self, caller: Caller, span: Span) -> None:
        """Raises Refused where the caller may not read all of a span."""
        try:
            self._check_read(caller, span)
        except Refused as refused:
            if not _lacks_slash(span):
                raise
            raise Refused(
                f"{refused}. If keys below {_text(span.start)}/ are meant, end it with that slash"
            ) from refused

    def _check_read(self, caller: Caller, span: Span) -> None:
        if span == Span.of(HEALTH, None):
            return
        for prefix, right in _READ:
            if _within(span, prefix):
                caller.require(right, _namespace(span, prefix) if prefix in _NAMESPACED else "")
                return
        if self._is_foreign(span):
            caller.require(Right.READ)
            return
        if not self.alone:
            self._check_ours(caller, span)
        caller.require(Right.SECRETS)

    def check_write(self, caller: Caller, span: Span, *, removal: bool = False) -> None:
        """Raises Refused where the caller may not write, or remove, all of a span."""
        self._check_write(caller, span)
        if why := reserved(span, removal=removal):
            raise Refused(why)

    def _check_write(self, caller: Caller, span: Span) -> None:
        objects = _READ[0][0]
        if _within(span, objects):
            caller.require(Right.WRITE, _namespace(span, objects))
        elif self._is_foreign(span):
            caller.require(Right.WRITE)
        else:
            self._check_ours(caller, span)
            caller.require(Right.STORE)

    def prefixes(self) -> Sequence[bytes]:
        """What the keys that clients may see begin with."""
        return (OURS, *self.foreign)

    def _is_foreign(self, span: Span) -> bool:
        return any(_within(span, prefix) for prefix in self.foreign)

    def _check_ours(self, caller: Caller, span: Span) -> None:
        """A span that goes beyond our keys is nobody's, whatever the role: others may keep theirs in the same etcd."""
        if not _within(span, OURS):
            raise Refused(
                f"{caller.name} may not use keys beside /xdsd/ ({_shown(span)}); "
                "name their prefix in the daemon's foreign-keys"
            )


def _within(span: Span, prefix: bytes) -> bool:
    return span.start >= prefix and span.stop is not None and span.stop <= prefix_end(prefix)


def _lacks_slash(span: Span) -> bool:
    """True where a folder is meant whose keys are readable, but not those of others that begin with its name."""
    if span.stop != prefix_end(span.start) or span.start.endswith(b"/"):
        return False
    return any(span.start + b"/" == prefix for prefix, _ in _READ) or any(
        span.start.startswith(prefix) and span.start.removeprefix(prefix).count(b"/") == 1
        for prefix in _NAMESPACED
    )


def _text(key: bytes) -> str:
    return key.decode("utf-8", "backslashreplace")


def _namespace(span: Span, prefix: bytes) -> str:
    """The namespace that a span of ``<prefix><kind>/<namespace>/…`` is in as a whole; empty where it is in several."""
    parts = span.start.removeprefix(prefix).split(b"/")
    if len(parts) < 3:
        return ""
    folder = prefix + b"/".join(parts[:2]) + b"/"
    return parts[1].decode("utf-8", "replace") if _within(span, folder) else ""


def _shown(span: Span) -> str:
    start = _text(span.start)
    if span.stop == span.start + b"\0":
        return start
    return f"{start} to {_text(span.stop) if span.stop is not None else 'the end'}"
