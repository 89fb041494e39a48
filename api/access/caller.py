"""The caller of the admin API whose call is being served, and what it may do."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum


class Right(StrEnum):
    """What can be allowed."""

    READ = "read objects, their history and problems"
    WRITE = "write objects"
    OBSERVE = "look at proxies, registries and the daemon"
    SECRETS = "read private configuration of proxies, and the store as it is"
    CREDENTIALS = "write secrets of proxies, and look at what may be known of them"
    STORE = "write, compact, save and restore the store"
    ACCESS = "say who may do what"


class Role(StrEnum):
    """What a binding gives."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.READ, Right.OBSERVE}),
    Role.EDITOR: frozenset({Right.READ, Right.OBSERVE, Right.WRITE}),
    Role.ADMIN: frozenset(Right),
}


class Method(StrEnum):
    """How a caller is known."""

    UNIX = "unix"
    CERTIFICATE = "certificate"
    TOKEN = "token"  # noqa: S105 - a word, no secret
    PASSWORD = "password"  # noqa: S105 - a word, no secret
    ANONYMOUS = "anonymous"


class Refused(Exception):  # noqa: N818 - it is named after what happened
    """The caller may not do that; the message names the caller, what was asked and what would allow it."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A role in some namespaces; ``namespaces`` empty: in all, and in what is of no namespace."""

    role: Role
    namespaces: frozenset[str] = frozenset()

    def gives(self, right: Right, namespace: str) -> bool:
        """True for a right in a namespace; ``""`` asks for all namespaces, and for what is of none."""
        return right in RIGHTS[self.role] and (not self.namespaces or namespace in self.namespaces)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. ``origin`` is the address, or the process on this machine, that the call comes from."""

    name: str
    method: Method
    origin: str = ""
    bindings: tuple[Binding, ...] = ()

    def may(self, right: Right, namespace: str = "") -> bool:
        """True if some binding gives the right there."""
        return any(binding.gives(right, namespace) for binding in self.bindings)

    def somewhere(self, right: Right) -> bool:
        """True if some binding gives the right in some namespace: lists then hold what the caller may read."""
        return any(right in RIGHTS[binding.role] for binding in self.bindings)

    def require(self, right: Right, namespace: str = "") -> None:
        """Raises Refused."""
        if not self.may(right, namespace):
            where = f" in namespace {namespace}" if namespace else ""
            raise Refused(f"{self.name} may not {right.value}{where}; {self._remedy(right, namespace)}")

    def _remedy(self, right: Right, namespace: str) -> str:
        if self.method is Method.ANONYMOUS:
            return "give a token (--token-file) or a client certificate (--cert, --key) of a user who may"
        least = next(role for role in Role if right in RIGHTS[role])
        scope = f" --namespace {namespace}" if namespace else ""
        return f"an admin can allow it: xdsctl role grant {self.name} {least}{scope}"


ROOT = Caller("root", Method.UNIX, bindings=(Binding(Role.ADMIN),))
"""Whoever may do everything."""

NOBODY = Caller("nobody", Method.ANONYMOUS)
"""Whoever no guard has let in."""

_current: ContextVar[Caller] = ContextVar("caller", default=NOBODY)
_report: ContextVar[Callable[[Refused], None]] = ContextVar("report", default=lambda _: None)


def current() -> Caller:
    """Who called, inside the handler of a call."""
    return _current.get()


def enter(caller: Caller, heard: Callable[[Refused], None] = lambda _: None) -> None:
    """Makes a caller the one of the call that the running task serves; ``heard`` is told of what is refused in it."""
    _current.set(caller)
    _report.set(heard)


def report(refused: Refused) -> None:
    """Says that a part of the call was refused, where the call itself goes on; what ends it, the guard hears anyway."""
    _report.get()(refused)


def require_somewhere(right: Right) -> None:
    """Raises Refused for a caller that has the right in no namespace."""
    if not current().somewhere(right):
        current().require(right)
